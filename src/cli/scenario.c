/*
 * The scenarios of --selftest.  main() performs one before anything else of ours
 * has allocated, and nothing here uses stdio: the counts are exact.
 *
 * Each kind of block is allocated in a function of its own (a context is a call
 * stack) that is neither inlined nor left by a tail call, and every pointer goes
 * through a volatile, so that no compiler takes a malloc/free pair for useless.
 */
#include "cli/scenario.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Blocks that realloc(block, 0) leaves: in glibc it only frees. */
#ifdef __GLIBC__
enum { LEFT_BY_REALLOC = 0 };
#else
enum { LEFT_BY_REALLOC = 1 };
#endif

#define OWN_FRAME __attribute__((noinline, noclone))

static void *volatile sink;
static volatile size_t many = 1; /* a number no compiler knows */

/* Keeps the call above it from being a tail call, and the result alive. */
static void *keep(void *pointer)
{
	sink = pointer;
	return sink;
}

/* ---- one function each ---------------------------------------------------------------- */

static void do_nothing(void)
{
}

static OWN_FRAME void *make_malloc(size_t size)
{
	return keep(malloc(size));
}

static OWN_FRAME void *make_calloc(size_t count, size_t size)
{
	return keep(calloc(count, size));
}

static void do_calloc(void)
{
	make_calloc(13, 17);
}

static void do_malloc(void)
{
	make_malloc(100);
}

static OWN_FRAME void do_strdup(void)
{
	keep(strdup(many ? "twenty-one characters" : ""));
}

static void do_free(void)
{
	free(make_malloc(64));
	free(NULL);
}

static OWN_FRAME void *make_realloc(void *block, size_t size)
{
	return keep(realloc(block, size));
}

static void do_realloc(void)
{
	make_realloc(make_realloc(make_malloc(10), 20), 300000);
}

/* A realloc that fails leaves the block as it was; one to nothing frees it. */
static void do_reallocfail(void)
{
	void *block = make_malloc(48);

	make_realloc(block, many * (SIZE_MAX / 4));
	make_realloc(make_malloc(24), many - 1);
}

static OWN_FRAME void *make_reallocarray(void *block, size_t count, size_t size)
{
	return keep(reallocarray(block, count, size));
}

static void do_reallocarray(void)
{
	make_reallocarray(make_reallocarray(NULL, 7, 11), 14, 11);
}

enum { HUGE_BYTES = 256 << 20 };

/* (A device of 64 MB, or a limit, does not give that much, also not to be left alone.) */
static void do_hugecalloc(void)
{
	void *probe = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (probe == MAP_FAILED)
		_exit(SCENARIO_CANNOT);
	munmap(probe, HUGE_BYTES);
	make_calloc(1024, HUGE_BYTES / 1024);
}

static void do_mallocfail(void)
{
	make_malloc(many * (SIZE_MAX / 4));
}

static void do_zero(void)
{
	make_malloc(0);
	free(make_calloc(0, 5));
}

/* ---- aligned ------------------------------------------------------------------------------
 */

static OWN_FRAME void do_posix_memalign(void)
{
	void *block = NULL;

	if (!posix_memalign(&block, 256, 1000))
		keep(block);
	if (!posix_memalign(&block, 3, 1000)) /* no power of two: EINVAL */
		keep(block);
}

static OWN_FRAME void do_aligned_alloc(void)
{
	keep(aligned_alloc(64, 640));
	free(keep(aligned_alloc(4096, 8192)));
}

static OWN_FRAME void do_memalign(void)
{
	keep(memalign(128, 77));
}

static OWN_FRAME void do_valloc(void)
{
	keep(valloc(500));
}

/* ---- many -----------------------------------------------------------------------------------
 */

static void do_multimalloc(void)
{
	void *blocks[10];

	for (int i = 0; i < 10; i++)
		blocks[i] = make_malloc(53);
	for (int i = 0; i < 5; i++)
		free(blocks[i]);
}

static OWN_FRAME void make_small(void)
{
	void *blocks[100];

	for (int i = 0; i < 100; i++)
		blocks[i] = keep(calloc(1, 3));
	for (int i = 0; i < 50; i++)
		free(blocks[2 * i]);
}

static OWN_FRAME void make_single(void)
{
	keep(malloc(137));
}

static void do_multi(void)
{
	do_multimalloc();
	make_small();
	make_single();
}

/* ---- unusual stacks
 * --------------------------------------------------------------------------- */

static OWN_FRAME void descend(unsigned depth)
{
	if (depth)
		descend(depth - 1);
	else
		make_malloc(31);
	many = 1; /* no tail call */
}

static void do_deep(void)
{
	descend(200);
}

static OWN_FRAME void allocate_in_handler(int signo)
{
	(void)signo;
	make_malloc(41);
	many = 1; /* no tail call */
}

/* Told apart by their handlers: not every libc can be walked through to raise()'s caller. */
static OWN_FRAME void allocate_in_another(int signo)
{
	(void)signo;
	make_malloc(41);
	many = 1;
}

static void do_signal(void)
{
	signal(SIGUSR1, allocate_in_handler);
	signal(SIGUSR2, allocate_in_another);
	raise(SIGUSR1);
	raise(SIGUSR2);
}

static jmp_buf back;

static OWN_FRAME void jump_out(void)
{
	make_malloc(59);
	longjmp(back, 1);
}

static void do_longjmp(void)
{
	if (!setjmp(back))
		jump_out();
	make_malloc(61);
}

/* ---- threads and processes
 * ---------------------------------------------------------------------- */

static OWN_FRAME void *work(void *arg)
{
	for (int i = 0; i < 20; i++) {
		void *block;

		__asm__("" : "+r"(i)); /* no unrolling: one call, one call stack */
		block = make_malloc(1009);

		if (i % 2)
			free(block);
	}
	return arg;
}

static void do_threads(void)
{
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			abort();
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
}

/* The child runs untraced: its blocks are not ours. */
static void do_fork(void)
{
	pid_t child;

	make_malloc(71);
	child = fork();
	if (!child) {
		for (int i = 0; i < 10; i++)
			make_malloc(73);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	make_malloc(79);
}

/* A new program: what the old one had in use is gone with it. */
static void do_exec(void)
{
	make_malloc(83);
	execl("/proc/self/exe", "memtrace", "--selftest", "--action=malloc", (char *)NULL);
}

static const struct scenario scenarios[] = {
	{"nothing", do_nothing, 0, 0, 0, .in_use = {{0}}},
	{"calloc", do_calloc, 1, 0, 221, .in_use = {{221, 1}}},
	{"malloc", do_malloc, 1, 0, 100, .in_use = {{100, 1}}},
	{"strdup", do_strdup, 1, 0, 22, .in_use = {{22, 1}}},
	{"free", do_free, 1, 1, 64, .in_use = {{0}}},
	{"realloc", do_realloc, 3, 2, 300030, .in_use = {{300000, 1}}},
	{"reallocfail", do_reallocfail, 2 + LEFT_BY_REALLOC, 1, 72,
	 .in_use = {{48, 1}, {0, LEFT_BY_REALLOC}}},
	{"reallocarray", do_reallocarray, 2, 1, 231, .in_use = {{154, 1}}},
	{"multimalloc", do_multi, 111, 55, 967, .in_use = {{265, 5}, {150, 50}, {137, 1}}},
	{"hugecalloc", do_hugecalloc, 1, 0, HUGE_BYTES, .in_use = {{HUGE_BYTES, 1}}},
	{"mallocfail", do_mallocfail, 0, 0, 0, .in_use = {{0}}},
	{"zero", do_zero, 2, 1, 0, .in_use = {{0, 1}}},
	{"posix_memalign", do_posix_memalign, 1, 0, 1000, .in_use = {{1000, 1}}},
	{"aligned_alloc", do_aligned_alloc, 2, 1, 8832, .in_use = {{640, 1}}},
	{"memalign", do_memalign, 1, 0, 77, .in_use = {{77, 1}}},
	{"valloc", do_valloc, 1, 0, 500, .in_use = {{500, 1}}},
	{"deep", do_deep, 1, 0, 31, .in_use = {{31, 1}}, .cut = true},
	{"signal", do_signal, 2, 0, 82, .in_use = {{41, 1}, {41, 1}}},
	{"longjmp", do_longjmp, 2, 0, 120, .in_use = {{61, 1}, {59, 1}}},
	{"threads", do_threads, 80, 40, 80720, .in_use = {{40360, 40}}, .noisy = true},
	{"fork", do_fork, 2, 0, 150, .in_use = {{79, 1}, {71, 1}}},
	{"exec", do_exec, 1, 0, 100, .in_use = {{100, 1}}},
};

const struct scenario *scenario_at(size_t i)
{
	return i < ARRAY_SIZE(scenarios) ? &scenarios[i] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	return NULL;
}
