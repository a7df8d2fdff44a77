/* Patterns are matched by going back to the last "...", part by part. */
#include "report/suppress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "report/job.h"

static const char any_frames[] = "...";

/* ---- reading ------------------------------------------------------------------------- */

/* Whether it says anything: a part that is not * alone. */
static bool is_broad(const struct suppress_pattern *p)
{
	const char *part = p->parts;

	for (size_t i = 0; i < p->count; i++, part += strlen(part) + 1)
		if (strcmp(part, any_frames) && part[strspn(part, "*@")])
			return false;
	return true;
}

static bool add(struct suppressions *suppressions, const char *text, unsigned line, bool known)
{
	struct suppress_pattern p = {.line = line, .is_known = known};
	scope_free char *copy = strdup(text);
	char *rest, *part, *to;

	p.text = strdup(text);
	p.parts = to = calloc(strlen(text) + 2, 1);
	if (!copy || !p.text || !p.parts || !vec_push(&suppressions->patterns, p)) {
		free(p.text);
		free(p.parts);
		return false;
	}
	for (part = strtok_r(copy, ";", &rest); part; part = strtok_r(NULL, ";", &rest)) {
		size_t len;

		part += strspn(part, " \t");
		len = strlen(part);
		while (len && strchr(" \t\r", part[len - 1]))
			len--;
		if (!len)
			continue;
		memcpy(to, part, len);
		to += len + 1;
		p.count++;
	}
	p.is_broad = is_broad(&p);
	suppressions->patterns.at[suppressions->patterns.len - 1] = p;
	return true;
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory for suppressions");
}

int suppress_add_known(struct suppressions *suppressions, struct err *err)
{
	static const char streams[] = "_IO_file_doallocate@libc*";
	enum { STREAMS = 3 }; /* standard ones: more are somebody's */
	static const char *const known[] = {
		/* memory for exceptions when there is none: libsupc++/eh_alloc.cc */
		"...; _GLOBAL__sub_I_eh_alloc.cc",
		"*pool::pool*@libstdc++*",
		/* the buffer of a stream: libio/filedoalloc.c */
		streams,
		/* what the loader keeps of modules: elf/dl-*.c */
		"@libstdc++*; ...; _dl_init",
		"@libc.*; ...; _dl_init",
		"...; _dl_relocate_object@ld*",
		"...; dl_main@ld*",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!add(suppressions, known[i], 0, true))
			return no_memory(err);
		if (known[i] == streams)
			suppressions->patterns.at[suppressions->patterns.len - 1].most = STREAMS;
	}
	return 0;
}

int suppress_read(const char *path, struct suppressions *suppressions, struct err *err)
{
	FILE *in = fopen(path, "re");
	scope_free char *line = NULL;
	size_t size = 0, number = 0;
	bool ok = true;
	int e;

	if (!in)
		return err_sys(err, -errno, "%s", path);
	while (ok && getline(&line, &size, in) >= 0) {
		char *text = line + strspn(line, " \t");

		text[strcspn(text, "\r\n")] = '\0';
		number++;
		if (*text && *text != '#')
			ok = add(suppressions, text, (unsigned)number, false);
	}
	e = ferror(in) ? -errno : 0;
	fclose(in);
	if (e)
		return err_sys(err, e, "%s", path);
	return ok ? 0 : no_memory(err);
}

void suppress_deinit(struct suppressions *suppressions)
{
	for (size_t i = 0; i < suppressions->patterns.len; i++) {
		free(suppressions->patterns.at[i].text);
		free(suppressions->patterns.at[i].parts);
	}
	vec_deinit(&suppressions->patterns);
}

/* ---- matching ------------------------------------------------------------------------ */

/* One function of a stack. */
struct place {
	const char *function, *module; /* "": unknown */
	bool is_allocator;
};
VEC_TYPE(places, struct place);

/* * is any text; len: of pattern. */
static bool fits_text(const char *pattern, size_t len, const char *text, size_t text_len)
{
	size_t star = SIZE_MAX, from = 0, p = 0, t = 0;

	while (t < text_len) {
		if (p < len && pattern[p] == '*') {
			star = ++p;
			from = t;
		} else if (p < len && pattern[p] == text[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < len && pattern[p] == '*')
		p++;
	return p == len;
}

static bool fits_place(const char *part, const struct place *place)
{
	const char *at = strrchr(part, '@');
	size_t len = at ? (size_t)(at - part) : strlen(part);
	size_t name = strcspn(place->function, "(");

	if (at && !fits_text(at + 1, strlen(at + 1), place->module, strlen(place->module)))
		return false;
	return !len || fits_text(part, len, place->function, strlen(place->function)) ||
	       (name && fits_text(part, len, place->function, name));
}

static bool fits(const struct suppress_pattern *p, const struct place *places, size_t count)
{
	const char *part = p->parts, *back = NULL;
	size_t i = 0, left = p->count, back_left = 0, from = 0;

	while (left) {
		if (!strcmp(part, any_frames)) {
			part += sizeof(any_frames);
			back = part;
			back_left = --left;
			from = i;
		} else if (i < count && fits_place(part, &places[i])) {
			part += strlen(part) + 1;
			left--;
			i++;
		} else if (back && from < count) {
			part = back;
			left = back_left;
			i = ++from;
		} else {
			return false;
		}
	}
	return true;
}

static bool gather(const struct snapshot *snapshot, const struct names *names, uint32_t id,
		   struct places *ret)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(snapshot, id, frames, ARRAY_SIZE(frames), &end);

	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named = names_find(names, frames[i]);
		bool allocator = named && names_count_folded(names, named) == named->count;

		for (uint32_t k = 0; named && k < named->count; k++) {
			struct names_line l = names_line(names, named, k);
			struct place place = {.function =
						      l.name.function ? l.name.function : "",
					      .module = l.module && l.module->id.path
								? module_id_name(&l.module->id)
								: "",
					      .is_allocator = allocator};

			if (!vec_push(ret, place))
				return false;
		}
	}
	return true;
}

bool suppress_find(struct suppressions *suppressions, const struct snapshot *snapshot,
		   const struct names *names, uint32_t id, struct suppress_pattern **ret)
{
	uint64_t blocks = report_in_use_blocks(&snapshot->contexts[id]);
	struct places places = {};
	size_t skipped = 0;
	bool ok = gather(snapshot, names, id, &places);

	*ret = NULL;
	while (skipped < places.len && places.at[skipped].is_allocator)
		skipped++;
	for (size_t i = 0; ok && !*ret && i < suppressions->patterns.len; i++) {
		struct suppress_pattern *p = &suppressions->patterns.at[i];

		if (!p->is_broad && (!p->most || blocks <= p->most) &&
		    (fits(p, places.at, places.len) ||
		     fits(p, places.at + skipped, places.len - skipped)))
			*ret = p;
	}
	vec_deinit(&places);
	return ok;
}
