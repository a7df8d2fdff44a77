/*
 * Modules stay open for the next client that asks; of those that nobody uses, the ones
 * used longest ago are closed when they become many, or descriptors few.  A module is never
 * looked for without descriptors: what is found then is nothing, and would stay.
 */
#include "serve/shelf.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	IDLE_MODULES = 256,
	MAX_MODULES = 16384,
	/* Descriptors to look for one module; each directory on the way to a file takes one. */
	NEEDED = DEBUGINFO_FILES + 16,
};

/* How many files may be open: what clients, at most half, and the server itself leave. */
static unsigned most_files(void)
{
	enum { FEW = 1024 };
	struct rlimit limit;
	rlim_t left;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > UINT32_MAX)
		return UINT32_MAX;
	left = limit.rlim_cur > FEW ? limit.rlim_cur - FEW / 2 : limit.rlim_cur / 2;
	return (unsigned)(left - (left > FEW ? FEW : left) / 8);
}

static bool descriptors_left(unsigned count)
{
	int fds[NEEDED];
	unsigned n = 0;

	while (n < count && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
		n++;
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	return n == count;
}

static void close_at(struct shelf *shelf, size_t index)
{
	shelf->files -= debuginfo_files(shelf->places.at[index].info);
	debuginfo_close(shelf->places.at[index].info);
	shelf->places.at[index] = shelf->places.at[--shelf->places.len];
}

/* Closes the idle module that was used longest ago, if there are more than `most`. */
static bool close_idle(struct shelf *shelf, size_t most)
{
	size_t idle = 0, oldest = 0;

	for (size_t i = 0; i < shelf->places.len; i++) {
		struct shelf_place *place = &shelf->places.at[i];
		if (place->users)
			continue;
		if (!idle++ || place->used < shelf->places.at[oldest].used)
			oldest = i;
	}
	if (idle <= most)
		return false;
	close_at(shelf, oldest);
	return true;
}

static bool has_room(const struct shelf *shelf)
{
	return shelf->places.len < MAX_MODULES && shelf->files + NEEDED <= most_files() &&
	       descriptors_left(NEEDED);
}

static struct debuginfo *use(struct shelf *shelf, struct shelf_place *place)
{
	place->users++;
	place->used = ++shelf->takes;
	return place->info;
}

/* Puts a new one on the shelf, or drops it where the same files are there. */
static struct debuginfo *add(struct shelf *shelf, struct debuginfo *info)
{
	for (size_t i = 0; i < shelf->places.len; i++)
		if (debuginfo_is_same(shelf->places.at[i].info, info)) {
			debuginfo_close(info);
			return use(shelf, &shelf->places.at[i]);
		}
	if (!vec_push(&shelf->places, (struct shelf_place){.info = info})) {
		debuginfo_close(info);
		return NULL;
	}
	shelf->files += debuginfo_files(info);
	return use(shelf, &shelf->places.at[shelf->places.len - 1]);
}

int shelf_take(struct shelf *shelf, const struct search_for *who,
	       const struct debuginfo_options *options, struct debuginfo **ret, struct err *err)
{
	struct debuginfo *info;
	int e;

	for (size_t i = 0; i < shelf->places.len; i++)
		if (debuginfo_is_for(shelf->places.at[i].info, who)) {
			*ret = use(shelf, &shelf->places.at[i]);
			return 0;
		}
	while (!has_room(shelf))
		if (!close_idle(shelf, 0))
			return err_set(err, -EMFILE, "too many files are open");
	e = debuginfo_open(who, options, &info, err);
	if (e)
		return e;
	*ret = add(shelf, info);
	return *ret ? 0 : err_set(err, -ENOMEM, "no memory for a module");
}

void shelf_put(struct shelf *shelf, struct debuginfo *info)
{
	for (size_t i = 0; info && i < shelf->places.len; i++)
		if (shelf->places.at[i].info == info) {
			shelf->places.at[i].users--;
			close_idle(shelf, IDLE_MODULES);
			return;
		}
}

void shelf_deinit(struct shelf *shelf)
{
	for (size_t i = 0; i < shelf->places.len; i++)
		debuginfo_close(shelf->places.at[i].info);
	vec_deinit(&shelf->places);
}
