/*
 * Which file goes when there are too many: of all but the first and the last, the one that is
 * missed least, which has the smallest gap between its neighbours for its age.  So recent ones
 * lie close, old ones ever farther apart, and the first one stays:
 *
 *     1 ....... 8 ..... 13 .. 15 . 16      (one a minute, 5 kept)
 *
 * Nothing but files of this run is ever deleted.
 */
#include "cli/series.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ------------------------------------------------------------------------- */

static int check_folder(const char *pattern, size_t len, struct err *err)
{
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%.*s", len ? (int)len : 1, len ? pattern : "/");
	if (stat(folder, &st))
		return err_sys(err, -errno, "--output: %s", folder);
	return S_ISDIR(st.st_mode) ? 0
				   : err_set(err, -ENOTDIR, "--output: %s is not a directory",
					     folder);
}

int series_check(const char *pattern, struct err *err)
{
	const char *slash = strrchr(pattern, '/');

	if (strlen(pattern) >= PATH_MAX / 2)
		return err_set(err, -ENAMETOOLONG, "--output: the name is too long");
	for (const char *p = strchr(pattern, '%'); p; p = strchr(p + 2, '%')) {
		if (slash && p < slash)
			return err_set(err, -EINVAL,
				       "--output: only a file's name may have %%, not a folder's");
		if (!p[1] || !strchr("YmdHMSnp%", p[1]))
			return err_set(err, -EINVAL,
				       "--output: '%.2s' is none of %%Y %%m %%d %%H %%M %%S "
				       "(the time), %%n (a number), %%p (the pid) and %%%%",
				       p);
	}
	return slash ? check_folder(pattern, (size_t)(slash - pattern), err) : 0;
}

bool series_has_pid(const char *pattern)
{
	for (const char *p = pattern ? strchr(pattern, '%') : NULL; p && p[1]; p = strchr(p + 2, '%'))
		if (p[1] == 'p')
			return true;
	return false;
}

static int convert(const struct series *series, char conversion, const struct tm *now, char *to,
		   size_t size)
{
	switch (conversion) {
	case 'Y':
		return snprintf(to, size, "%04d", now->tm_year + 1900);
	case 'm':
		return snprintf(to, size, "%02d", now->tm_mon + 1);
	case 'd':
		return snprintf(to, size, "%02d", now->tm_mday);
	case 'H':
		return snprintf(to, size, "%02d", now->tm_hour);
	case 'M':
		return snprintf(to, size, "%02d", now->tm_min);
	case 'S':
		return snprintf(to, size, "%02d", now->tm_sec);
	case 'n':
		return snprintf(to, size, "%04" PRIu64, series->written + 1);
	case 'p':
		return snprintf(to, size, "%d", series->pid);
	default:
		return snprintf(to, size, "%%");
	}
}

void series_name(const struct series *series, const char *pattern, const struct tm *now,
		 char ret[PATH_MAX])
{
	size_t len = 0;

	for (const char *p = pattern; *p && len + 24 < PATH_MAX; p++) {
		if (*p == '%' && p[1])
			len += (size_t)convert(series, *++p, now, ret + len, PATH_MAX - len);
		else
			ret[len++] = *p;
	}
	ret[len] = '\0';
}

/* ---- which go ---------------------------------------------------------------------- */

static void forget(struct series *series, size_t i)
{
	struct series_file *at = series->files.at;

	free(at[i].path);
	memmove(at + i, at + i + 1, (--series->files.len - i) * sizeof(*at));
}

/* Of at least two. */
static size_t missed_least(const struct series *series)
{
	const struct series_file *at = series->files.at;
	size_t last = series->files.len - 1, ret = 0;
	double least = 0;

	for (size_t i = 1; i < last; i++) {
		double gap = (double)(at[i + 1].ms - at[i - 1].ms);
		double age = (double)(at[last].ms - at[i].ms) + 1; /* (of one moment: no 0) */

		if (!ret || gap / age < least) {
			least = gap / age;
			ret = i;
		}
	}
	return ret;
}

void series_add(struct series *series, const char *path, int64_t ms, size_t keep)
{
	const struct series_file file = {strdup(path), ms};
	struct stat st;

	series->written++;
	for (size_t i = 0; i < series->files.len; i++)
		if (!strcmp(series->files.at[i].path, path))
			forget(series, i--);
	if (!file.path || !vec_push(&series->files, file)) {
		free(file.path); /* without memory it is one that stays */
		return;
	}
	while (series->files.len > keep && series->files.len > 1) {
		size_t i = missed_least(series);

		if (!lstat(series->files.at[i].path, &st) && S_ISREG(st.st_mode))
			unlink(series->files.at[i].path);
		forget(series, i);
	}
}

void series_deinit(struct series *series)
{
	while (series->files.len)
		forget(series, series->files.len - 1);
	vec_deinit(&series->files);
}
