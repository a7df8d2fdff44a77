/*
 * What the targets share: programs that are traced by the tests.
 *
 * A target talks to its test by lines on stdin and stdout, never through stdio
 * (stdio allocates), and says with its last line what it did:
 *
 *     target -> READY <pid>          it stands, nothing is counted yet
 *     test   -> any line             go on (the end of input goes on for ever)
 *     target -> DONE                 its allocations are over, it still lives
 *     test   -> any line
 *     target -> RESULT {json}        its own tally, and its own verdict
 *
 * The tally is what memtrace has to find, kept by the target itself: a call that
 * returned memory is one allocation of the size asked for, realloc is one free and
 * one allocation, free(NULL) and failed calls are nothing.
 */
#ifndef TARGET_H
#define TARGET_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Keeps a block reachable, and the compiler from leaving its allocation out. */
extern void *volatile target_kept[8];
void *volatile target_kept[8];

#define NOINLINE __attribute__((noinline, noclone))

static unsigned long tally_allocs, tally_frees, tally_bytes, tally_freed;
static char target_verdict[160] = "ok";

#define ADD(counter, n) __atomic_fetch_add(&(counter), (n), __ATOMIC_RELAXED)
#define READ(counter)	__atomic_load_n(&(counter), __ATOMIC_RELAXED)

__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (int done = 0; done < len;) {
		ssize_t n = write(1, line + done, len - done);
		if (n < 0 && errno != EINTR)
			return;
		done += n > 0 ? n : 0;
	}
}

/* Waits for a line of the test. */
static inline void await_test(void)
{
	char c = 0;
	ssize_t n;
	do
		n = read(0, &c, 1);
	while ((n == 1 && c != '\n') || (n < 0 && errno == EINTR));
}

static inline void target_ready(void)
{
	say("READY %d\n", getpid());
	await_test();
}

static inline void target_done(void)
{
	say("DONE\n");
	await_test();
}

/* The first thing that went wrong is the verdict. */
__attribute__((format(printf, 1, 2))) static inline void target_fail(const char *format, ...)
{
	static int failed;
	if (__atomic_exchange_n(&failed, 1, __ATOMIC_SEQ_CST))
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(target_verdict, sizeof(target_verdict), format, args);
	va_end(args);
}

/* The last line; `more`: further members, each beginning with ", ". */
static inline int target_result(const char *more)
{
	say("RESULT {\"verdict\": \"%s\", \"allocs\": %lu, \"frees\": %lu, "
	    "\"allocated_bytes\": %lu, \"freed_bytes\": %lu%s}\n",
	    target_verdict, READ(tally_allocs), READ(tally_frees), READ(tally_bytes),
	    READ(tally_freed), more ? more : "");
	return strcmp(target_verdict, "ok") ? 1 : 0;
}

/* Notes an allocation that should have succeeded, and touches it. */
static inline void *got(void *block, size_t size)
{
	if (!block) {
		target_fail("an allocation of %zu bytes failed", size);
		return block;
	}
	ADD(tally_allocs, 1);
	ADD(tally_bytes, size);
	if (size)
		*(volatile char *)block = 1;
	return block;
}

static inline void gone(size_t size)
{
	ADD(tally_frees, 1);
	ADD(tally_freed, size);
}

static inline void drop(void *block, size_t size)
{
	gone(size);
	free(block);
}

static inline int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* xorshift: the same numbers in every run. */
static inline uint32_t dice(uint32_t *state)
{
	uint32_t x = *state ? *state : 2463534242u;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

#endif
