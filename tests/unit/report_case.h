/*
 * A small heap to report on, and a resolver that knows what this file says: the
 * linker takes these functions instead of the real ones, which need a server.
 */
#ifndef REPORT_CASE_H
#define REPORT_CASE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/types.h"
#include "report/report.h"

/* ---- the resolver ------------------------------------------------------------ */

struct answer {
	uint32_t instance;
	uint64_t offset;
	struct resolved_frame frames[3];
	size_t count;
};

struct resolver {
	const struct answer *answers;
	size_t count;
	const char *lost;      /* fails with these words; NULL: alive */
	const char *remark;    /* about module 1 */
	unsigned wants, waits; /* calls */
	uint64_t asked[3][32]; /* by instance: the offsets of the last question */
	size_t asked_count[3];
	struct resolved result;
};

int resolver_want(struct resolver *r, const struct resolver_module *module,
		  const uint64_t *offsets, size_t count, struct err *err)
{
	r->wants++;
	if (r->lost)
		return err_set(err, -EPIPE, "%s", r->lost);
	if (module->instance < 3 && count <= 32) {
		memcpy(r->asked[module->instance], offsets, count * sizeof(*offsets));
		r->asked_count[module->instance] = count;
	}
	return 0;
}

int resolver_wait(struct resolver *r, resolver_progress_fn *progress, void *arg,
		  struct err *err)
{
	r->waits++;
	if (!progress(arg, 1, 1))
		return -ECANCELED;
	return r->lost ? err_set(err, -EPIPE, "%s", r->lost) : 0;
}

const char *resolver_remark(const struct resolver *r, uint32_t instance)
{
	return instance == 1 ? r->remark : NULL;
}

const struct resolved *resolver_find(const struct resolver *r, uint32_t instance,
				     uint64_t offset)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->answers[i].instance != instance || r->answers[i].offset != offset)
			continue;
		((struct resolver *)r)->result = (struct resolved){
			(struct resolved_frame *)r->answers[i].frames, r->answers[i].count};
		return &r->result;
	}
	return NULL;
}

const char *resolver_source(const struct resolver *r, uint32_t instance)
{
	return instance == 1		    ? "its own .symtab"
	       : instance == 3 && !r->count ? "nothing"
					    : NULL;
}

bool resolver_is_alive(const struct resolver *r, const char **why)
{
	*why = r->lost;
	return !r->lost;
}

/* What the demo's addresses are called: offsets are looked up at the call, one
 * byte before the return address. */
static const struct answer answers[] = {
	{1, 0x113f, {{"multimalloc", "/src/demo.c", 28, false}}, 1},
	{1, 0x11ff, {{"main", "/src/demo.c", 50, false}}, 1},
	{1,
	 0x12ff,
	 {{"operator new(unsigned long)", "/src/new.h", 3, true},
	  {"push", "/src/list.h", 9, true},
	  {"ns::List<int, std::less<int> >::insert(std::pair<int const, std::vector<int> > "
	   "const&, int)",
	   "/src/list.cc", 77, false}},
	 3},
	{2, 0x9f00, {{"malloc", NULL, 0, false}}, 1},
	{2, 0x271c9, {{"__libc_start_call_main", NULL, 0, false}}, 1},
};

static struct resolver knowing = {.answers = answers, .count = ARRAY_SIZE(answers)};

/* ---- the heap ---------------------------------------------------------------- */

static struct region_space space;
static struct region *region;
static struct snapshot *heap;

static inline void case_stack(const frame_t *frames, size_t count, enum walk_end end,
			      unsigned blocks, unsigned freed, uint64_t size)
{
	static uint64_t addr = 0x10000;
	uint32_t id = region_context(region, &space, frames, count, end);
	struct region_block taken;

	for (unsigned i = 0; i < blocks; i++) {
		addr += 4096;
		region_alloc(region, &space, addr, size, id, 100 * id, false);
		if (i < freed && region_take(region, addr, &taken))
			region_free(region, &taken);
	}
}

#define MALLOC	   (frame_of(2, 0x9f00) | FRAME_EXACT)
#define MAIN	   frame_of(1, 0x1200)
#define START_MAIN frame_of(2, 0x271ca)

/* The three contexts of the demo program: 967 bytes allocated, 552 in use. */
static inline void case_demo(void)
{
	const frame_t a[] = {MALLOC, frame_of(1, 0x1140), MAIN, START_MAIN};
	const frame_t b[] = {MALLOC, frame_of(1, 0x1300), MAIN, START_MAIN};
	const frame_t c[] = {MALLOC, frame_of(1, 0x5000), frame_of(3, 0x1234) | FRAME_GUESS};

	case_stack(a, 4, WALK_ROOT, 10, 5, 53);
	case_stack(b, 4, WALK_DEPTH, 100, 50, 3);
	case_stack(c, 3, WALK_NO_DATA, 1, 0, 137);
}

static inline void case_module(struct snapshot_module *m, uint32_t instance, const char *path,
			       uint64_t bias, bool mapped)
{
	*m = (struct snapshot_module){.instance = instance,
				      .id.path = strdup(path),
				      .begin = bias,
				      .end = bias + 0x10000,
				      .bias = bias,
				      .mapped = mapped,
				      .id.build_id = {0x8a, 0x3f, 0x01},
				      .id.build_id_len = instance == 2 ? 0 : 3,
				      .unwind_from = ".eh_frame"};
}

static inline int case_begin(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	return region_space_private(&space, 1u << 30) || region_init(&space, &region);
}

/* The snapshot of what was recorded since case_begin(). */
static inline void case_snapshot(void)
{
	assert_int_equal(snapshot_create(space.base, space.limit, &heap, NULL), 0);
	heap->pid = 16563;
	heap->command = calloc(3, sizeof(char *));
	heap->command[0] = strdup("./demo");
	heap->command[1] = strdup("-x");
	strcpy(heap->engine, "breakpoint");
	heap->taken = (struct timespec){1645633911, 500000000}; /* 2022-02-23 16:31:51 UTC */
	heap->started = (struct timespec){1645633899, 100000000};
	heap->ticks_now = 1240;
	heap->running = true;
	heap->resident_bytes = 1048576;
	heap->module_count = 3;
	heap->modules = calloc(3, sizeof(*heap->modules));
	case_module(&heap->modules[0], 1, "/src/demo", 0x555500000000, true);
	case_module(&heap->modules[1], 2, "/lib/libc.so.6", 0x7f0000000000, true);
	case_module(&heap->modules[2], 3, "/opt/plug\"in.so", 0x7f1000000000, false);
	heap->modules[2].unwind_from[0] = 0;
}

static inline int case_end(void **state)
{
	(void)state;
	snapshot_destroy(heap);
	heap = NULL;
	region_space_deinit(&space);
	return 0;
}

/* The report as a string, to be freed. */
__attribute__((noinline, unused)) static char *case_report(struct resolver *resolver,
							   const struct report_names *names,
							   const struct report_options *options)
{
	struct err err = {0};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(report_write(heap, resolver, names, options, out, &err), 0);
	fclose(out);
	return text;
}

static inline void expect_report(struct resolver *resolver, const struct report_names *names,
				 const struct report_options *options, const char *expected)
{
	char *text = case_report(resolver, names, options);

	assert_string_equal(text, expected);
	free(text);
}

#endif
