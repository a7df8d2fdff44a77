/*
 * rehook: hooks its own malloc while it is traced, as tools in a process do (frida, an
 * injected profiler): a jump over malloc's first bytes, which are kept, moved, and run
 * behind the hook.  They are a jump themselves by then: the tracer's.
 *
 *    READY, a line, hooked, DONE, a line, allocates, forks a child that allocates, DONE,
 *    a line, unhooked (the bytes it kept are back), allocates, RESULT
 *
 * (Where that is not x86-64's it only allocates.)
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "target.h"

static unsigned long calls;

NOINLINE static void allocate(void)
{
	for (int i = 0; i < 100; i++)
		drop(got(malloc(100), 100), 100);
}

#ifdef __x86_64__
enum { PATCH = 5, SOME = 16 };

static unsigned char *entry, kept[SOME];
static int len; /* of what is kept: whole instructions, of which the tracer's jump is the last */

static void writable(unsigned char *at)
{
	char *page = (char *)((uintptr_t)at & ~4095ul);

	if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC))
		target_fail("mprotect: %m");
}

static void jump(unsigned char *from, const unsigned char *to)
{
	int32_t distance = (int32_t)(to - (from + PATCH));

	from[0] = 0xe9;
	memcpy(from + 1, &distance, sizeof(distance));
}

/* incq calls, by an absolute address; then where malloc's first bytes led to. */
static void hook(void)
{
	unsigned char *code, *counter = (unsigned char *)&calls;
	int32_t distance;

	entry = dlsym(RTLD_DEFAULT, "malloc");
	while (len < SOME - PATCH && entry[len] != 0xe9)
		len++;
	memcpy(kept, entry, len + PATCH);
	if (kept[len] != 0xe9) {
		target_fail("malloc is not patched");
		return;
	}
	memcpy(&distance, kept + len + 1, sizeof(distance));
	len += PATCH;
	code = mmap(entry - (64 << 20), 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(code, "\x50\x48\xb8", 3); /* push rax; movabs rax, counter */
	memcpy(code + 3, &counter, 8);
	memcpy(code + 11, "\x48\xff\x00\x58", 4); /* incq (rax); pop rax */
	memcpy(code + 15, kept, len - PATCH);
	jump(code + 15 + len - PATCH, entry + len + distance);
	writable(entry);
	jump(entry, code);
}

static void unhook(void)
{
	memcpy(entry, kept, len);
}
#else
static void hook(void)
{
	calls = 200;
}

static void unhook(void)
{
}
#endif

int main(void)
{
	int status;

	target_ready();
	hook();
	allocate();
	target_done();
	allocate();
	if (calls < 200)
		target_fail("the program's own hook saw %lu calls", calls);
	pid_t child = fork();
	if (child == 0) {
		allocate();
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		target_fail("its child ended with %#x", status);
	target_done();
	unhook();
	allocate();
	return target_result(NULL);
}
