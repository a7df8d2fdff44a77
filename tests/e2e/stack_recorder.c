/*
 * stack_recorder FILE EVERY PROGRAM [ARG]...
 *
 * A small tracer that owes memtrace nothing: int3 at libc's malloc, single-step over
 * it, the stack of every EVERY-th call by libunwind, written as in record.h.  It shows
 * that stack_oracle is right before it judges memtrace, and that two unwinders agree on
 * what is judged.  For programs that allocate in one thread at a time.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <libunwind-ptrace.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record.h"

enum { MAX_FRAMES = 512, STACK_BYTES = 256 * 1024, MAPS_BYTES = 1 << 20 };

static FILE *out;
static char last_maps[MAPS_BYTES];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t auxv_entry(pid_t pid)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	FILE *file = fopen(path, "r");
	uint64_t pair[2];
	while (file && fread(pair, sizeof(pair), 1, file) == 1)
		if (pair[0] == AT_ENTRY) {
			fclose(file);
			return pair[1];
		}
	die(path);
	return 0;
}

static size_t maps_text(pid_t pid, char *text, size_t size)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		die(path);
	size_t len = fread(text, 1, size - 1, file);
	text[len] = 0;
	fclose(file);
	return len;
}

/* Where a module's first page is, by a line of maps that ends in `name`. */
static uint64_t module_base(const char *maps, const char *name)
{
	const char *hit = strstr(maps, name);
	if (!hit)
		return 0;
	while (hit > maps && hit[-1] != '\n')
		hit--;
	return strtoull(hit, NULL, 16);
}

static uint8_t swap_byte(pid_t pid, uint64_t addr, uint8_t byte)
{
	long word = ptrace(PTRACE_PEEKTEXT, pid, addr, 0);
	if (ptrace(PTRACE_POKETEXT, pid, addr, (word & ~0xffl) | byte))
		die("PTRACE_POKETEXT");
	return word & 0xff;
}

static void put(uint32_t type, const void *first, size_t first_len, const void *second,
		size_t second_len, const void *third, size_t third_len)
{
	struct record_head head = {type, first_len + second_len + third_len};
	fwrite(&head, sizeof(head), 1, out);
	fwrite(first, 1, first_len, out);
	fwrite(second, 1, second_len, out);
	fwrite(third, 1, third_len, out);
}

static uint32_t walk(pid_t tid, unw_addr_space_t space, uint64_t *pcs, uint32_t *end)
{
	void *arg = _UPT_create(tid);
	unw_cursor_t cursor;
	uint32_t count = 0;
	int step = unw_init_remote(&cursor, space, arg) ? -1 : 1;
	while (step > 0 && count < MAX_FRAMES) {
		unw_word_t pc = 0;
		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		if (!pc)
			break;
		pcs[count++] = pc;
		step = unw_step(&cursor);
	}
	*end = step < 0 ? END_NO_DATA : count == MAX_FRAMES ? END_DEPTH : END_ROOT;
	_UPT_destroy(arg);
	return count;
}

static void sample(pid_t pid, pid_t tid, unw_addr_space_t space,
		   const struct user_regs_struct *regs)
{
	static char maps[MAPS_BYTES], stack[STACK_BYTES];
	size_t len = maps_text(pid, maps, sizeof(maps));
	if (strcmp(maps, last_maps)) {
		put(RECORD_MAPS, maps, len, NULL, 0, NULL, 0);
		memcpy(last_maps, maps, len + 1);
		unw_flush_cache(space, 0, 0);
	}
	uint64_t pcs[MAX_FRAMES];
	struct record_sample record = {.tid = tid};
	record.frames = walk(tid, space, pcs, &record.end);
	uint64_t values[RECORD_REGS] = {regs->rax, regs->rdx, regs->rcx, regs->rbx, regs->rsi,
					regs->rdi, regs->rbp, regs->rsp, regs->r8,  regs->r9,
					regs->r10, regs->r11, regs->r12, regs->r13, regs->r14,
					regs->r15, regs->rip};
	memcpy(record.regs, values, sizeof(values));
	for (size_t done = 0; done < sizeof(stack); done += 4096) { /* up to the stack's end */
		struct iovec here = {stack + done, 4096},
			     there = {(void *)(regs->rsp + done), 4096};
		ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);
		if (n > 0)
			record.stack_len += n;
		if (n != 4096)
			break;
	}
	put(RECORD_SAMPLE, &record, sizeof(record), pcs, record.frames * sizeof(*pcs), stack,
	    record.stack_len);
}

/* Runs on until the next stop of the breakpoint; returns the thread, 0 at the end. */
static pid_t next_hit(pid_t pid, pid_t resume, uint64_t breakpoint)
{
	int status, deliver = 0;
	for (;;) {
		if (resume && ptrace(PTRACE_CONT, resume, 0, deliver) && errno != ESRCH)
			die("PTRACE_CONT");
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0)
			return 0;
		deliver = 0;
		resume = 0;
		if (!WIFSTOPPED(status)) {
			if (tid == pid)
				return 0;
			continue;
		}
		resume = tid;
		if (status >> 16 || WSTOPSIG(status) == SIGSTOP)
			continue; /* a new thread */
		struct user_regs_struct regs;
		ptrace(PTRACE_GETREGS, tid, 0, &regs);
		if (WSTOPSIG(status) == SIGTRAP && regs.rip == breakpoint + 1) {
			regs.rip = breakpoint;
			ptrace(PTRACE_SETREGS, tid, 0, &regs);
			return tid;
		}
		deliver = WSTOPSIG(status);
	}
}

/* One instruction; signals that come meanwhile are sent again afterwards. */
static void step(pid_t pid, pid_t tid)
{
	int status, later[8], count = 0;
	for (;;) {
		if (ptrace(PTRACE_SINGLESTEP, tid, 0, 0) ||
		    waitpid(tid, &status, __WALL) != tid)
			die("PTRACE_SINGLESTEP");
		if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGTRAP)
			break;
		if (count < 8)
			later[count++] = WSTOPSIG(status);
	}
	while (count)
		tgkill(pid, tid, later[--count]);
}

int main(int argc, char **argv)
{
	if (argc < 4 || !(out = fopen(argv[1], "w")))
		return 2;
	unsigned every = atoi(argv[2]), calls = 0;
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	int status;
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 2;
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
	uint64_t entry = auxv_entry(pid);
	uint8_t saved = swap_byte(pid, entry, 0xcc);
	if (!next_hit(pid, pid, entry))
		return 2;
	swap_byte(pid, entry, saved);

	/* The same libc as ours: the same offset. */
	Dl_info info;
	char *maps = malloc(MAPS_BYTES);
	maps_text(pid, maps, MAPS_BYTES);
	void *own = dlsym(RTLD_DEFAULT, "malloc");
	if (!dladdr(own, &info))
		return 2;
	uint64_t base = module_base(maps, strrchr(info.dli_fname, '/'));
	if (!base)
		return 2;
	uint64_t function = base + ((uintptr_t)own - (uintptr_t)info.dli_fbase);
	free(maps);

	unw_addr_space_t space = unw_create_addr_space(&_UPT_accessors, 0);
	unw_set_caching_policy(space, UNW_CACHE_GLOBAL);
	pid_t tid = pid;
	saved = swap_byte(pid, function, 0xcc);
	while ((tid = next_hit(pid, tid, function))) {
		struct user_regs_struct regs;
		swap_byte(tid, function, saved);
		ptrace(PTRACE_GETREGS, tid, 0, &regs);
		if (calls++ % every == 0)
			sample(pid, tid, space, &regs);
		step(pid, tid);
		swap_byte(tid, function, 0xcc);
	}
	fclose(out);
	return 0;
}
