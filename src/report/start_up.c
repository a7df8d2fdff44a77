/*
 * Two kinds are known:
 *
 *   malloc <- libstdc++ ... <- call_init <- _dl_init <- _dl_start_user     constructors of the
 *             (libc, libstdc++, libgcc_s and the loader alone)            libraries, the loader
 *   malloc <- _IO_file_doallocate <- ... <- printf <- main                buffer of a stream
 *             (libio/filedoalloc.c)
 *
 * The first by the modules that the stack passes, as the loader mostly has no names; the second by
 * its name, which is asked for only where size and place are right: naming all call stacks would
 * make a report read the debug information of all modules.
 */
#include "report/start_up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/sampling.h"

enum {
	STREAMS = 3,	       /* standard ones; more are somebody's */
	LEAST = 512, LEAF = 4, /* the buffer's size; it is asked for at one of these frames */
};

static const char stream_buffer[] = "_IO_file_doallocate";

/* Those whose constructors every program runs. */
static bool is_library(const struct snapshot_module *module)
{
	static const char *const names[] = {"libc.", "libc-2.", "libstdc++.", "libgcc_s.", "ld-"};
	const char *name = module && module->id.path ? module_id_name(&module->id) : "";

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool is_loader(const struct snapshot_module *module)
{
	return is_library(module) && !strncmp(module_id_name(&module->id), "ld-", 3);
}

static bool is_constructed(const struct snapshot *s, const frame_t *frames, size_t count,
			   enum walk_end end)
{
	size_t i = 0;

	while (i < count && is_library(snapshot_module(s, frame_instance(frames[i]))))
		i++;
	return end == WALK_ROOT && count && i == count &&
	       is_loader(snapshot_module(s, frame_instance(frames[count - 1])));
}

bool start_up_is_constructed(const struct snapshot *snapshot, uint32_t id)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(snapshot, id, frames, ARRAY_SIZE(frames), &end);

	return is_constructed(snapshot, frames, count, end);
}

/* Whether it may be the buffer of a stream: st_blksize bytes, or 1024 of a terminal. */
static bool may_be_buffer(const struct snapshot *s, const struct region_context *c,
			  const frame_t *frames, size_t count)
{
	uint64_t blocks = report_in_use_blocks(c);
	uint64_t size = blocks ? report_in_use_bytes(c) / blocks : 0;

	/* (of a sample one block stands for many) */
	return blocks && (blocks <= STREAMS || sampling_estimates(s)) && size >= LEAST && !(size & (size - 1)) && count > 1 &&
	       is_library(snapshot_module(s, frame_instance(frames[1])));
}

static bool is_buffer(const struct names *names, const frame_t *frames, size_t count)
{
	for (size_t i = 0; i < count && i < LEAF; i++) {
		const struct named_frame *named = names_find(names, frames[i]);

		for (uint32_t k = 0; named && k < named->count; k++) {
			const char *function = names_line(names, named, k).name.function;

			if (function && !strcmp(function, stream_buffer))
				return true;
		}
	}
	return false;
}

static void add(struct start_up *ret, const struct region_context *c, uint32_t id)
{
	ret->is[id] = true;
	ret->contexts++;
	ret->bytes += report_in_use_bytes(c);
	ret->blocks += report_in_use_blocks(c);
}

/* Those that are known by place; *ask of `count`: those whose names tell. */
static void look(const struct snapshot *s, struct start_up *ret, uint32_t *ask, size_t *count)
{
	frame_t frames[REPORT_MAX_FRAMES];

	*count = 0;
	for (uint32_t id = 0; id < s->context_count; id++) {
		const struct region_context *c = &s->contexts[id];
		enum walk_end end;
		size_t len;

		if (!report_in_use_blocks(c))
			continue;
		len = snapshot_stack(s, id, frames, ARRAY_SIZE(frames), &end);
		if (is_constructed(s, frames, len, end))
			add(ret, c, id);
		else if (may_be_buffer(s, c, frames, len))
			ask[(*count)++] = id;
	}
}

/* By their names. */
static int ask(struct report_job *job, const uint32_t *ids, size_t count, struct start_up *ret,
	       struct err *err)
{
	frame_t frames[REPORT_MAX_FRAMES];
	struct names *names;
	int failed = names_create(job->snapshot, job->resolver, job->symbols, ids, count,
				  &job->progress, &names, err);

	if (failed)
		return failed;
	for (size_t i = 0; i < count; i++) {
		enum walk_end end;
		size_t len = snapshot_stack(job->snapshot, ids[i], frames, ARRAY_SIZE(frames),
					    &end);

		if (is_buffer(names, frames, len))
			add(ret, &job->snapshot->contexts[ids[i]], ids[i]);
	}
	names_destroy(names);
	return 0;
}

/* Behind all others, which stay in their order. */
static void put_last(const struct start_up *start_up, uint32_t *ids, size_t count)
{
	size_t kept = 0, moved = 0;
	uint32_t *last = start_up->contexts ? malloc(count * sizeof(*last)) : NULL;

	if (!last) /* (without memory they stay where they are) */
		return;
	for (size_t i = 0; i < count; i++) {
		if (start_up_has(start_up, ids[i]))
			last[moved++] = ids[i];
		else
			ids[kept++] = ids[i];
	}
	memcpy(ids + kept, last, moved * sizeof(*ids));
	free(last);
}

int start_up_find(struct report_job *job, uint32_t *ids, struct start_up *ret, struct err *err)
{
	const struct report_options *options = job->options;
	uint32_t contexts = job->snapshot->context_count, *asked;
	size_t count;
	int failed = 0;

	*ret = (struct start_up){.is = calloc((size_t)contexts + 1, sizeof(*ret->is)),
				 .count = contexts};
	asked = malloc(((size_t)contexts + 1) * sizeof(*asked));
	if (!ret->is || !asked)
		failed = err_set(err, -ENOMEM, "out of memory");
	if (!failed)
		look(job->snapshot, ret, asked, &count);
	if (!failed && count)
		failed = ask(job, asked, count, ret, err);
	free(asked);
	if (failed) {
		free(ret->is);
		ret->is = NULL;
	} else if (options->order == SNAPSHOT_BY_VERDICT &&
		   (!options->findings || options->findings_earlier)) {
		put_last(ret, ids, job->count);
	}
	return failed;
}
