/*
 * The agent's own frames: it runs in a traced child, on a memory that makes it do all it can, and
 * after each instruction its unwind data leads back to where it was called, with sp and fp as
 * they were there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/blob.h"
#include "arch/native.h"
#include "capture/agent_frames.h"
#include "region/known.h"

#if !defined(__x86_64__) && !defined(__aarch64__)
int main(void)
{
	return 0; /* there is none to run, or nobody can go step by step (32-bit ARM) */
}
#else

#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_AROUND = 1 << 16, NUMBER = 3, BLOCK = 0x10000 };

/* As a gate calls it, for a call with one argument (all three). */
uint64_t ask(const void *entry, const void *site, uint64_t argument, uint64_t result);
extern const uint8_t asked[];
#ifdef __x86_64__
__asm__(".text\n"
	".globl ask, asked\n"
	"ask:	mov %rcx, %rax\n"
	"	push %rbp; mov $0x5577, %ebp\n" /* the caller's */
	"	push 8(%rsp); push %rdx; push %rdx; push %rdx; push %rsi; push %rcx\n"
	"	call *%rdi\n"
	"asked:	mov %ecx, %eax; lea 48(%rsp), %rsp; pop %rbp\n"
	"	ret\n");

static uint64_t thread_pointer(void)
{
	uint64_t pointer;

	__asm__("mov %%fs:0, %0" : "=r"(pointer));
	return pointer;
}

/* nop [rax + NUMBER]; call; and what is behind it */
static const uint8_t stub[] = {0x0f, 0x1f, 0x80, NUMBER, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0};
static const uint8_t *const site = stub + 12;
#else
__asm__(".text\n"
	".globl ask, asked\n"
	"ask:	stp x29, x30, [sp, #-16]!; mov x29, #0x5577; mov x9, x0\n"
	"	stp x2, x30, [sp, #-16]!; stp x2, x2, [sp, #-16]!; stp x16, x1, [sp, #-16]!\n"
	"	mov x0, x3; blr x9\n"
	"asked:	mov w0, w16; add sp, sp, #48; ldp x29, x30, [sp], #16\n"
	"	ret\n");

static uint64_t thread_pointer(void)
{
	uint64_t pointer;

	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
	return pointer;
}

/* movz xzr, #NUMBER; bl; and what is behind it */
static const uint32_t stub[] = {0xd280001f | NUMBER << 5, 0x94000000, 0};
static const uint32_t *const site = stub + 2;
#endif

static void *map_memory(size_t len, int protection)
{
	void *at = mmap(NULL, len, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

/* The caller is known, and the stack ends behind it. */
static struct shared memory_make(void)
{
	const struct row root = {.cfa = ROW_CFA_ROOT};
	struct shared shared = {.pieces = 16, .shift = 4};
	uint64_t here = (uintptr_t)&shared;

	shared.base = map_memory(shared_bytes(16), PROT_READ | PROT_WRITE);
	assert_true(shared_init(&shared, 16));
	known_thread_set(&shared, thread_pointer(), here - STACK_AROUND, here + STACK_AROUND);
	for (uint64_t pc = (uintptr_t)memory_make - 4096; pc < (uintptr_t)memory_make + 4096; pc++)
		known_pc_add(&shared, pc, false, frame_of(1, pc), &root);
	return shared;
}

/* Returns what it said: a bit for each call that it did not know. */
static int run(const uint8_t *blob, struct shared_hook *hook)
{
	const struct blob_head *head = (const struct blob_head *)blob;
	const void *entry = blob + head->entry;
	int unknown = 0;

	hook->kind = SHARED_ALLOC;
	for (int i = 0; i < 2; i++)
		unknown = unknown * 2 + (int)ask(entry, site, 100, BLOCK);
	hook->kind = SHARED_FREE;
	for (int i = 0; i < 3; i++)
		unknown = unknown * 2 + (int)ask(entry, site, BLOCK + 64 * (i / 2), 0);
	((struct blob_control *)(blob + BLOB_BYTES))->on = 0;
	return unknown * 2 + (int)ask(entry, site, BLOCK, 0);
}

static uint64_t word(pid_t child, uint64_t at)
{
	return (uint64_t)ptrace(PTRACE_PEEKDATA, child, (void *)at, NULL);
}

/* From where the child is in the agent to where that was called; returns how many frames that were. */
static unsigned check_walk(struct agent_frames *frames, const struct undo *undo, pid_t child,
			   const struct regs *regs)
{
	const struct arch *arch = arch_native();
	uint64_t pc = regs_read(arch, regs, arch->reg_pc), sp = regs_read(arch, regs, arch->reg_sp),
		 fp = regs_read(arch, regs, arch->reg_fp);
	struct row row;
	unsigned count = 0;

	for (; agent_frames_row(frames, arch, undo, pc, !count, &row); count++) {
		uint64_t cfa = (row.cfa == ROW_CFA_FP ? fp : sp) + (uint64_t)row.cfa_offset;

		assert_true(row.cfa == ROW_CFA_SP || row.cfa == ROW_CFA_FP);
		assert_int_equal(row.ra, row.ra == ROW_SAME && !count ? ROW_SAME : ROW_AT_CFA);
		pc = row.ra == ROW_SAME ? regs_read(arch, regs, arch->reg_lr)
					: word(child, cfa + (uint64_t)row.ra_offset);
		if (row.fp != ROW_SAME)
			fp = word(child, cfa + (uint64_t)row.fp_offset);
		sp = cfa;
	}
	assert_int_equal(pc, (uintptr_t)asked);
	assert_int_equal(fp, 0x5577);
	return count;
}

#ifdef __aarch64__
static uint32_t insn_at(pid_t child, uint64_t at)
{
	return (uint32_t)(word(child, at & ~7ull) >> at % 8 * 8);
}

/* The instruction at `at` becomes another one; returns what it was. */
static uint32_t put_insn(pid_t child, uint64_t at, uint32_t insn)
{
	const unsigned shift = at % 8 * 8;
	uint64_t both = word(child, at & ~7ull), mask = 0xffffffffull << shift;

	ptrace(PTRACE_POKEDATA, child, (void *)(at & ~7ull),
	       (void *)((both & ~mask) | (uint64_t)insn << shift));
	return (uint32_t)(both >> shift);
}

/*
 * Through load exclusive ... store exclusive, cbnz, in one go: a stop in between makes the store fail, and
 * each step is one.  False: pc is at none.
 */
static bool step_exclusive(pid_t child, uint64_t pc)
{
	enum { BRK = 0xd4200000 };
	uint64_t ends[2] = {0, 0};
	uint32_t was[2] = {0, 0}, insn = insn_at(child, pc), at = 0;

	if ((insn & 0xbfff7c00) != 0x885f7c00)
		return false;
	do {
		at += 4;
		insn = insn_at(child, pc + at);
		if ((insn & 0xff000000) == 0x54000000) /* b.ne: out of it */
			ends[1] = pc + at + ((uint64_t)(insn >> 5 & 0x3ffff) << 2);
	} while ((insn & 0xbfe07c00) != 0x88007c00);
	ends[0] = pc + at + 8; /* behind its cbnz */
	for (int i = 0; i < 2 && ends[i]; i++)
		if (!i || ends[i] != ends[0])
			was[i] = put_insn(child, ends[i], BRK);
	ptrace(PTRACE_CONT, child, NULL, NULL);
	waitpid(child, &(int){0}, 0);
	for (int i = 0; i < 2; i++)
		if (was[i])
			put_insn(child, ends[i], was[i]);
	return true;
}
#else
static bool step_exclusive(pid_t child, uint64_t pc)
{
	(void)child;
	(void)pc;
	return false;
}
#endif

/* Its next stop. */
static int step(pid_t child, uint64_t pc)
{
	int status = SIGTRAP << 8 | 0x7f;

	if (!step_exclusive(child, pc)) {
		ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
		waitpid(child, &status, 0);
	}
	return status;
}

static pid_t child_start(const uint8_t *blob, struct shared_hook *hook)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(run(blob, hook));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	return child;
}

/* Two that wait for each other are faster on one (on an emulator ten times). */
static void one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void each_instruction(void **state)
{
	struct agent_frames frames = {NULL};
	struct undo *undo = undo_create();
	uint8_t *blob = map_memory(BLOB_BYTES + BLOB_CONTROL, PROT_READ | PROT_WRITE | PROT_EXEC);
	struct blob_head *head = (struct blob_head *)blob;
	unsigned inside = 0, deepest = 0;
	uint64_t pc = 0;
	struct row row;
	pid_t child;
	int status;

	(void)state;
	one_cpu();
	memcpy(blob, blob_bytes, blob_len);
	head->shared = memory_make();
	((struct blob_control *)(blob + BLOB_BYTES))->on = 1;
	undo_agent(undo, &(struct undo_agent){.base = (uintptr_t)blob, .len = BLOB_BYTES});
	child = child_start(blob, shared_hook(&head->shared, NUMBER));
	while (status = step(child, pc), WIFSTOPPED(status)) {
		const struct arch *arch = arch_native();
		struct regs regs;
		struct iovec io = {regs.bytes, sizeof(regs.bytes)};
		unsigned depth;

		ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &io);
		regs.len = arch->regs_len;
		pc = regs_read(arch, &regs, arch->reg_pc);
		if (!undo_is_agent(undo, pc))
			continue;
		depth = check_walk(&frames, undo, child, &regs);
		deepest = depth > deepest ? depth : deepest;
		inside++;
	}
	assert_true(WIFEXITED(status));
	/* the second block's place is taken; the first is freed twice, the other is not there */
	assert_int_equal(WEXITSTATUS(status), 0x13);
	assert_true(inside > 1000 && deepest >= 3);
	assert_false(agent_frames_row(&frames, arch_native(), undo, (uintptr_t)run, true, &row));
	agent_frames_deinit(&frames);
	munmap(head->shared.base, shared_bytes(16));
	munmap(blob, BLOB_BYTES + BLOB_CONTROL);
	undo_destroy(undo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
