/*
 * What a walk costs without the kernel: walk_ns [ROUNDS]
 *
 * Walks this program's own stack, of 5, 30 and 100 frames, with all rows known and the
 * stack in the window, as for a thread that allocates in a loop.  Two ways in turn, each
 * ROUNDS times; the least of each is printed, in nanoseconds a walk:
 *
 *     WALK depth 30 capture 410 pointers 480
 *
 * capture: walker_walk(), the way of a malloc that has returned; pointers: walk_stack() with
 * the same rows and memory, by the pointers of struct walk_ops.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture/walker.h"

enum { MAX = 256, WALKS = 20000 };

static struct tracee tracee;
static struct modules modules;
static struct hooks hooks;
static struct undo no_undo;
static struct walker walker;
static int rounds = 15;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double capture_ns(const struct regs *regs, taddr_t slot, size_t *count)
{
	static frame_t frames[MAX];
	double begin = now_ns();
	enum walk_end end;

	for (int i = 0; i < WALKS; i++)
		*count = walker_walk(&walker, regs, slot, 0, frames, MAX, &end);
	return (now_ns() - begin) / WALKS;
}

static double pointers_ns(const struct walk_regs *start)
{
	static frame_t frames[MAX];
	struct walk_ops ops = walker_ops(&walker);
	double begin = now_ns();
	enum walk_end end;

	for (int i = 0; i < WALKS; i++)
		walk_stack(&ops, start, false, frames, MAX, &end);
	return (now_ns() - begin) / WALKS;
}

/* A frame with a chain: [fp] = the caller's fp, [fp + word] = the return address. */
static __attribute__((noinline, optimize("no-omit-frame-pointer"))) void measure(int depth)
{
	const struct arch *arch = tracee.arch;
	uint64_t *frame = __builtin_frame_address(0);
	taddr_t slot = (uintptr_t)&frame[1];
	struct walk_regs start = {.pc = frame[1], .sp = slot + 8, .fp = frame[0]};
	double capture = 1e18, pointers = 1e18;
	struct regs regs = {.len = arch->regs_len};
	size_t count = 0;

	regs_write(arch, &regs, arch->reg_fp, frame[0]);
	target_read_some(&tracee.target, slot, walker.window, sizeof(walker.window));
	walker.window_base = slot;
	walker.window_len = sizeof(walker.window);
	for (int i = 0; i < rounds; i++) {
		double c = capture_ns(&regs, slot, &count), p = pointers_ns(&start);

		capture = c < capture ? c : capture;
		pointers = p < pointers ? p : pointers;
	}
	printf("WALK depth %d (%zu frames) capture %.0f pointers %.0f\n", depth, count, capture,
	       pointers);
}

static __attribute__((noinline)) void deeper(int depth, int left)
{
	if (left)
		deeper(depth, left - 1);
	else
		measure(depth);
	__asm__ volatile(""); /* no tail call */
}

int main(int argc, char **argv)
{
	static const int depths[] = {5, 30, 100};
	struct maps maps = {0};
	struct err err = {0};

	if (argc > 1)
		rounds = atoi(argv[1]);
	tracee.arch = arch_native();
	target_of_file(&tracee.target, open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
	modules_init(&modules, module_unwind_forget);
	if (maps_read(getpid(), &maps, &err) ||
	    modules_update(&modules, getpid(), &maps, NULL, NULL, &err)) {
		fprintf(stderr, "walk_ns: %s\n", err.text);
		return 1;
	}
	walker_init(&walker, &tracee, &modules, &hooks, &no_undo);
	walker.maps = &maps;
	for (size_t i = 0; i < ARRAY_SIZE(depths); i++)
		deeper(depths[i], depths[i]);
	return 0;
}
