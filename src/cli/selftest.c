/*
 * --selftest: launches /proc/self/exe once per scenario, captures it as any other
 * program is captured, and compares the last snapshot with what the scenario must
 * show.  Whoever copies memtrace to a strange machine learns here whether it works.
 */
#include "cli/selftest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/capture.h"
#include "cli/scenario.h"
#include "elf/image.h"

/*
 * Here we trace ourselves, and a static program has no room for stubs but behind its own
 * code, in the last page of it: this sees to it that much of that page is free.  The linker
 * puts an executable section that it does not know behind those that it knows, and glibc's
 * __libc_freeres_fn, of 2.7 to 4.1 KB, behind this one; musl has none.
 */
__asm__(".pushsection memtrace_room, \"ax\", %progbits\n"
	".balign 4096\n"
	".globl memtrace_room_begin\n" /* (as MIPS' compiler and assembler must agree upon) */
	".hidden memtrace_room_begin\n"
	"memtrace_room_begin:\n"
	".space 1536\n"
	".popsection\n");

extern const char memtrace_room_begin[] __attribute__((visibility("hidden")));

enum { DEPTH = 64 };

int selftest_perform(const char *action)
{
	const struct scenario *scenario = scenario_find(action);

	if (!scenario) {
		fprintf(stderr,
			"memtrace: no scenario '%s'; 'memtrace --selftest' names them all\n",
			action);
		return 1;
	}
	/* (or the linker would leave out what nobody refers to) */
	__asm__ volatile("" : : "r"(memtrace_room_begin));
	scenario->perform();
	return 0;
}

/* ---- comparing ----------------------------------------------------------------------------
 */

struct in_use {
	uint64_t bytes, blocks;
};

/* What a program that does nothing shows: a static one's libc allocates before
 * main(), and frees none of it. */
struct baseline {
	uint64_t allocs, frees, allocated_bytes;
	struct in_use contexts[16];
	size_t count;
};

static struct in_use in_use_of(const struct snapshot *snapshot, uint32_t id)
{
	const struct region_context *context = &snapshot->contexts[id];

	return (struct in_use){context->allocated_bytes - context->freed_bytes,
			       context->allocs - context->frees};
}

static bool is_equal(struct in_use a, struct in_use b)
{
	return a.bytes == b.bytes && a.blocks == b.blocks;
}

/* Strikes a context off the baseline; false: it is not there. */
static bool strike(struct baseline *baseline, struct in_use found)
{
	for (size_t i = 0; i < baseline->count; i++) {
		if (!is_equal(baseline->contexts[i], found))
			continue;
		baseline->contexts[i] = baseline->contexts[--baseline->count];
		return true;
	}
	return false;
}

/* musl has no unwind data: behind main(), or where a thread begins, nobody knows the way. */
static bool ends_in_libc(enum walk_end end)
{
#ifdef __GLIBC__
	(void)end;
	return false;
#else
	return end == WALK_NO_DATA;
#endif
}

static int compare_stack(const struct scenario *scenario, const struct snapshot *snapshot,
			 uint32_t id, struct err *err)
{
	frame_t frames[DEPTH];
	enum walk_end end;
	size_t count = snapshot_stack(snapshot, id, frames, DEPTH, &end);
	enum walk_end expected = scenario->cut ? WALK_DEPTH : WALK_ROOT;

	if (end != expected && (scenario->cut || !ends_in_libc(end)))
		return err_set(err, -1, "a stack of %zu frames ends for reason %d, not %d",
			       count, (int)end, (int)expected);
	return 0;
}

/* ids: the contexts in use, worst first.  The baseline is a copy, to strike from. */
static int compare_contexts(const struct scenario *scenario, const struct snapshot *snapshot,
			    const uint32_t *ids, size_t count, struct baseline baseline,
			    struct err *err)
{
	struct in_use expected[SCENARIO_CONTEXTS + 1] = {{0, 0}};
	size_t seen = 0;

	for (size_t i = 0; i < SCENARIO_CONTEXTS; i++)
		expected[i] =
			(struct in_use){scenario->in_use[i].bytes, scenario->in_use[i].blocks};
	for (size_t i = 0; i < count; i++) {
		struct in_use found = in_use_of(snapshot, ids[i]);

		if (is_equal(found, expected[seen])) {
			seen++;
			if (compare_stack(scenario, snapshot, ids[i], err))
				return -1;
		} else if (!strike(&baseline, found) && !scenario->noisy) {
			return err_set(err, -1,
				       "a context with %" PRIu64 " bytes in %" PRIu64
				       " blocks was not expected",
				       found.bytes, found.blocks);
		}
	}
	if (expected[seen].blocks)
		return err_set(err, -1,
			       "the context with %" PRIu64 " bytes in %" PRIu64
			       " blocks is missing",
			       expected[seen].bytes, expected[seen].blocks);
	return 0;
}

static int compare_totals(const struct scenario *scenario, const struct region_totals *totals,
			  const struct baseline *baseline, struct err *err)
{
	uint64_t allocs = scenario->allocs + baseline->allocs;
	uint64_t frees = scenario->frees + baseline->frees;
	uint64_t bytes = scenario->allocated_bytes + baseline->allocated_bytes;

	if (totals->lost_events)
		return err_set(err, -1, "%" PRIu64 " events were lost", totals->lost_events);
	if (scenario->noisy && totals->allocs >= allocs && totals->frees >= frees &&
	    totals->allocated_bytes >= bytes)
		return 0;
	if (totals->allocs == allocs && totals->frees == frees &&
	    totals->allocated_bytes == bytes)
		return 0;
	return err_set(err, -1,
		       "%" PRIu64 " allocs, %" PRIu64 " frees, %" PRIu64
		       " bytes instead of %" PRIu64 ", %" PRIu64 ", %" PRIu64,
		       totals->allocs, totals->frees, totals->allocated_bytes, allocs, frees,
		       bytes);
}

static int compare(const struct scenario *scenario, const struct snapshot *snapshot,
		   const struct baseline *baseline, struct err *err)
{
	uint32_t *ids = NULL;
	size_t count;
	int rc = compare_totals(scenario, &snapshot->totals, baseline, err);

	if (!rc)
		rc = snapshot_select(snapshot, SNAPSHOT_BY_BYTES, false, &ids, &count, err);
	if (!rc)
		rc = compare_contexts(scenario, snapshot, ids, count, *baseline, err);
	free(ids);
	return rc;
}

/* The other way round: what is seen is what there is. */
static int learn(struct baseline *baseline, const struct snapshot *snapshot, struct err *err)
{
	const struct region_totals *totals = &snapshot->totals;

	*baseline = (struct baseline){
		.allocs = totals->allocs,
		.frees = totals->frees,
		.allocated_bytes = totals->allocated_bytes,
	};
	for (uint32_t id = 0; id < snapshot->context_count; id++) {
		struct in_use found = in_use_of(snapshot, id);

		if (!found.blocks)
			continue;
		if (baseline->count == ARRAY_SIZE(baseline->contexts))
			return err_set(err, -1,
				       "libc allocates at more than %zu places by itself",
				       baseline->count);
		baseline->contexts[baseline->count++] = found;
	}
	return 0;
}

/* ---- what a stripped file does not say of itself ------------------------------------------- */

/*
 * A static file that was stripped has no symbols, so that nobody finds its malloc; but here it is
 * we who are followed, and know where our functions are.  Addresses are those of the file: it is
 * not position-independent.  (On 32-bit ARM bit 0 of a function's address says Thumb.)
 */
static const struct {
	const char *name;
	void *address;
} own_functions[] = {
	{"malloc", (void *)malloc},
	{"free", (void *)free},
	{"calloc", (void *)calloc},
	{"realloc", (void *)realloc},
	{"reallocarray", (void *)reallocarray},
	{"posix_memalign", (void *)posix_memalign},
	{"aligned_alloc", (void *)aligned_alloc},
	{"memalign", (void *)memalign},
	{"valloc", (void *)valloc},
	{"sigaction", (void *)sigaction},
};

static bool add_functions(struct external *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_functions); i++) {
		uintptr_t address = (uintptr_t)own_functions[i].address;
		struct external_symbol symbol = {.name = own_functions[i].name,
						 .value = address};

#ifdef __arm__
		symbol.thumb = address & 1;
		symbol.value &= ~(uint64_t)1;
#endif
		if (!vec_push(&ret->symbols, symbol))
			return false;
	}
	return true;
}

static struct external *external_of_ours(struct image *image)
{
	struct external *external = calloc(1, sizeof(*external));
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	struct module_id id = {.path = path};
	const uint8_t *build_id;
	size_t id_len;

	path[len > 0 ? len : 0] = '\0';
	build_id = image_build_id(image, &id_len);
	if (build_id)
		module_id_set_build_id(&id, build_id, id_len);
	if (external && (!module_id_copy(&external->id, &id) || !add_functions(external))) {
		external_destroy(external);
		external = NULL;
	}
	return external;
}

/* Where this file has lost its symbols, and there is no libc beside it that has them.  (What fails
 * here the scenarios will say: they find no allocator.) */
static void find_ours(struct externals *ret)
{
	struct memory_file file;
	struct image_symbol ignored;
	struct image *image = NULL;
	struct external *external = NULL;

	memory_file_init(&file, open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	if (file.fd >= 0 && !image_open(&file.memory, &image, NULL) &&
	    !image_interpreter(image) && !image_symbol_find(image, "malloc", &ignored))
		external = external_of_ours(image);
	if (external && !vec_push(ret, external))
		external_destroy(external);
	image_close(image);
	if (file.fd >= 0)
		close(file.fd);
}

/* ---- running -------------------------------------------------------------------------------
 */

/* Follows the program to its end. */
static void wait_for_end(struct capture *capture, struct notice *ret)
{
	struct pollfd fd = {capture_fd(capture), POLLIN, 0};

	for (;;) {
		while (capture_next(capture, ret))
			if (ret->kind == NOTICE_ENDED)
				return;
		poll(&fd, 1, -1);
	}
}

static int examine(const struct scenario *scenario, struct capture *capture,
		   struct baseline *baseline, struct err *err)
{
	struct snapshot *snapshot = NULL;
	struct notice ending;
	int rc;

	wait_for_end(capture, &ending);
	if (ending.end == CAPTURE_FAILED || ending.end == CAPTURE_LOST)
		return err_set(err, -1, "%s", ending.text);
	if (ending.end == CAPTURE_EXITED && ending.status == SCENARIO_CANNOT)
		return SCENARIO_CANNOT;
	if (ending.end != CAPTURE_EXITED || ending.status)
		return err_set(err, -1, "it ended with %s %d",
			       ending.end == CAPTURE_KILLED ? "signal" : "status",
			       ending.status);
	rc = capture_snapshot(capture, &snapshot, err);
	if (!rc && scenario == scenario_at(0))
		rc = learn(baseline, snapshot, err);
	if (!rc)
		rc = compare(scenario, snapshot, baseline, err);
	snapshot_destroy(snapshot);
	return rc;
}

static int run_one(const struct scenario *scenario, struct baseline *baseline, struct err *err)
{
	struct capture_options options = {.depth = DEPTH, .record_every = 1};
	struct capture *capture = NULL;
	char action[64];
	char *argv[] = {"/proc/self/exe", "--selftest", action, NULL};
	int rc;

	snprintf(action, sizeof(action), "--action=%s", scenario->name);
	find_ours(&options.externals);
	rc = capture_launch(&options, argv, &capture, err);
	if (!rc)
		rc = examine(scenario, capture, baseline, err);
	capture_destroy(capture);
	return rc;
}

int selftest_run(void)
{
	const struct scenario *scenario;
	struct baseline baseline = {0};
	size_t passed = 0, skipped = 0, count = 0;

	for (; (scenario = scenario_at(count)); count++) {
		struct err err;
		int rc = run_one(scenario, &baseline, &err);

		passed += !rc;
		skipped += rc == SCENARIO_CANNOT;
		printf("%s: %s%s\n", scenario->name,
		       !rc		       ? "passed"
		       : rc == SCENARIO_CANNOT ? "skipped, the machine has no memory for it"
					       : "FAILED: ",
		       rc < 0 ? err.text : "");
		fflush(stdout);
	}
	count -= skipped;
	printf("%zu of %zu scenarios passed\n", passed, count);
	return passed == count ? 0 : 1;
}
