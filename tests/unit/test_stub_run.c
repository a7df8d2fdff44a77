/*
 * The stubs of x86-64, run: on a function of this file that shows how it was called, on
 * those of libc, and in a traced child, where every stop and every single step is held to
 * what arch.h promises.
 */
#ifndef __x86_64__
int main(void)
{
	return 0; /* nothing to run the code on */
}
#else

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/trap.h"

/* Registers by DWARF number before and after a call made by probe(). */
struct probe {
	uint64_t reg[16];
};

/* How callee() was called. */
struct seen {
	uint64_t sp, rdi, rsi, rdx, rcx, r8, r9;
};
extern struct seen seen;
struct seen seen;

/* Calls function with all registers from *probe and stores what they are afterwards
 * (not r11, which carries the call, and not sp). */
void probe(void *function, struct probe *probe);
extern const uint8_t probe_return[];

/* Fills `seen` (rip-relative stores: the first of them is displaced) and returns
 * rdi + rsi + rdx. */
extern const uint8_t callee[], callee_end[];

__asm__(".text\n"
	".globl probe, probe_return, callee, callee_end, other, other_end, unknown, known\n"
	"probe:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	push %rsi\n"
	"	mov %rdi, %r11; mov %rsi, %rax\n"
	"	mov 8(%rax), %rdx; mov 16(%rax), %rcx; mov 24(%rax), %rbx; mov 32(%rax), %rsi\n"
	"	mov 40(%rax), %rdi; mov 48(%rax), %rbp; mov 64(%rax), %r8; mov 72(%rax), %r9\n"
	"	mov 80(%rax), %r10; mov 96(%rax), %r12; mov 104(%rax), %r13\n"
	"	mov 112(%rax), %r14; mov 120(%rax), %r15; mov 0(%rax), %rax\n"
	"	call *%r11\n"
	"probe_return:\n"
	"	push %rax; mov 8(%rsp), %rax\n"
	"	mov %rdx, 8(%rax); mov %rcx, 16(%rax); mov %rbx, 24(%rax); mov %rsi, 32(%rax)\n"
	"	mov %rdi, 40(%rax); mov %rbp, 48(%rax); mov %r8, 64(%rax); mov %r9, 72(%rax)\n"
	"	mov %r10, 80(%rax); mov %r12, 96(%rax); mov %r13, 104(%rax)\n"
	"	mov %r14, 112(%rax); mov %r15, 120(%rax)\n"
	"	pop (%rax); pop %rsi\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	"callee:\n"
	"	mov %rsp, seen(%rip); mov %rdi, seen+8(%rip); mov %rsi, seen+16(%rip)\n"
	"	mov %rdx, seen+24(%rip); mov %rcx, seen+32(%rip); mov %r8, seen+40(%rip)\n"
	"	mov %r9, seen+48(%rip)\n"
	"	lea (%rdi,%rsi), %rax; add %rdx, %rax\n"
	"	ret\n"
	"callee_end:\n"
	"other:\n" /* 77, and in rcx where it returns to */
	"	mov $77, %eax; mov (%rsp), %rcx\n"
	"	ret\n"
	"other_end:\n"
	"unknown:	mov $1, %ecx; ret\n"
	"known:	mov $0, %ecx; ret\n");
extern const uint8_t other[], other_end[];
/* Agents that know nothing, or everything. */
extern const uint8_t unknown[], known[];
static const uint8_t *const agents[] = {NULL, unknown, known};
static const uint8_t *agent; /* that stubs are built with */

enum { RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8, R9, R10, R11 };

/* Some pages for code within reach of `near`. */
static uint8_t *code_near(const void *near)
{
	uintptr_t place = ((uintptr_t)near & ~(uintptr_t)0xfffff) + 0x4000000;

	for (int i = 0; i < 64; i++, place += 0x1000000) {
		void *at = mmap((void *)place, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (at == (void *)place)
			return at;
	}
	fail_msg("no free page near %p", near);
	return NULL;
}

struct wanted {
	enum stub_kind kind;
	const void *function;
	size_t len;
};

/* The stubs of functions at `place`, ready to be called. */
static void build(struct stub_area *area, uint8_t *place, struct stub *stubs, size_t count,
		  const struct wanted *wanted)
{
	const uint8_t *code[16];
	size_t len[16];
	struct err err;

	*area = (struct stub_area){
		.base = (taddr_t)(uintptr_t)place, .room = 2048, .agent = (uintptr_t)agent};
	for (size_t i = 0; i < count; i++) {
		uint32_t skip = arch_x86_64.trap->patch_offset(wanted[i].function, wanted[i].len);

		code[i] = (const uint8_t *)wanted[i].function + skip;
		len[i] = wanted[i].len - skip;
		stubs[i] = (struct stub){.kind = wanted[i].kind,
					 .function = (taddr_t)(uintptr_t)code[i],
					 .number = 7,
					 .swap = wanted[i].kind == STUB_INSTEAD &&
						 stubs[i].swap};
	}
	if (arch_x86_64.trap->stubs_build(area, SIGURG, stubs, count, code, len, NULL, &err))
		fail_msg("%s", err.text);
	memcpy(place, area->bytes, area->len);
}

static void fill(struct probe *p)
{
	for (uint64_t i = 0; i < 16; i++)
		p->reg[i] = 0xabcd000000000000 + i * 0x111111111;
	p->reg[RDI] = 1000;
	p->reg[RSI] = 200;
	p->reg[RDX] = 30;
}

/* callee() through a stub of each kind: what it sees, what its caller gets back. */
static void check_call(enum stub_kind kind, const void *entry)
{
	struct probe before, after;

	fill(&before);
	after = before;
	memset(&seen, 0, sizeof(seen));
	probe((void *)(uintptr_t)entry, &after);
	assert_int_equal(after.reg[RAX], 1230);
	assert_int_equal(seen.rdi, 1000);
	assert_int_equal(seen.rsi, 200);
	assert_int_equal(seen.rdx, 30);
	assert_int_equal(seen.sp & 15, 8);
	if (kind == STUB_RETURN) {
		assert_int_equal(seen.rcx, before.reg[RCX]);
		assert_int_equal(seen.r8, before.reg[R8]);
		assert_int_equal(seen.r9, before.reg[R9]);
	}
	for (int i = RAX + 1; i < 16; i++) /* r11 and flags: test_stub_registers.c */
		if (i != R11)
			assert_int_equal(after.reg[i], before.reg[i]);
}

static void check_registers(void)
{
	uint8_t *place = code_near(callee);

	for (enum stub_kind kind = STUB_RETURN; kind <= STUB_BOTH; kind++) {
		const struct wanted wanted = {kind, callee, (size_t)(callee_end - callee)};
		struct stub_area area;
		struct stub stub = {0};

		build(&area, place, &stub, 1, &wanted);
		check_call(kind, (const void *)(uintptr_t)stub.entry);
		/* let go: the trap does nothing any more */
		arch_x86_64.trap->disarm(place + (area.trap.begin - area.base));
		check_call(kind, (const void *)(uintptr_t)stub.entry);
	}
	munmap(place, 4096);
}

static void test_registers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(agents); i++) {
		agent = agents[i];
		check_registers();
	}
	agent = NULL;
}

/* STUB_INSTEAD: the other function's result, its arguments exchanged if asked for; when
 * the other one fails, the function itself with its own arguments and no frame of ours
 * below it, for an exception may pass there. */
static void check_instead(void)
{
	uint8_t *place = code_near(callee);
	struct wanted wanted[] = {
		{STUB_RETURN, callee, (size_t)(callee_end - callee)},
		{STUB_INSTEAD, other, (size_t)(other_end - other)},
	};

	for (int swap = 0; swap < 2; swap++) {
		struct probe before, after;
		struct stub_area area;
		struct stub stubs[2] = {0};

		stubs[1].swap = swap;
		build(&area, place, stubs, 2, wanted);
		fill(&before);
		after = before;
		probe((void *)(uintptr_t)stubs[1].entry, &after);
		assert_int_equal(after.reg[RAX], 1230);
		assert_int_equal(seen.rdi, swap ? 200 : 1000);
		assert_int_equal(seen.rsi, swap ? 1000 : 200);
		assert_int_equal(seen.sp & 15, 8);

		before.reg[RDI] = before.reg[RSI] = before.reg[RDX] = 0; /* callee() returns 0 */
		after = before;
		probe((void *)(uintptr_t)stubs[1].entry, &after);
		assert_int_equal(after.reg[RAX], 77);
		assert_int_equal(after.reg[RCX], (uint64_t)(uintptr_t)probe_return);
	}
	munmap(place, 4096);
}

static void test_instead(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(agents); i++) {
		agent = agents[i];
		check_instead();
	}
	agent = NULL;
}

/* The real thing: a function is patched, and called at its own address.  It is callee()
 * moved to where it can be written to. */
static void test_patched(void **state)
{
	uint8_t *place = code_near(callee), *function = place + 2048;
	struct displaced moved;
	struct stub_area area;
	struct stub stub;
	struct err err;

	(void)state;
	assert_int_equal(arch_x86_64.trap->displace(callee, (size_t)(callee_end - callee),
					      (taddr_t)(uintptr_t)callee,
					      (taddr_t)(uintptr_t)function, &moved, &err),
			 0);
	memcpy(function, moved.copy, moved.copy_len);
	build(&area, place, &stub, 1, &(struct wanted){STUB_BOTH, function, moved.copy_len});
	memcpy(function + stub.stays, stub.patch, arch_x86_64.trap->patch_len);
	check_call(STUB_BOTH, function);
	munmap(place, 4096);
}

/* The thread's mask comes back as it was, whatever it was, and blocked signals stay pending. */
static void test_mask(void **state)
{
	uint8_t *place = code_near(callee);
	const struct wanted wanted = {STUB_BOTH, callee, (size_t)(callee_end - callee)};
	struct stub_area area;
	struct stub stub;

	(void)state;
	build(&area, place, &stub, 1, &wanted);
	for (int blocked = 0; blocked < 4; blocked++) {
		sigset_t set, old, now, pending;

		sigemptyset(&set);
		if (blocked & 1)
			sigaddset(&set, SIGURG);
		if (blocked & 2)
			sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_SETMASK, &set, &old);
		if (blocked & 2)
			raise(SIGUSR1);
		check_call(STUB_BOTH, (const void *)(uintptr_t)stub.entry);
		sigprocmask(SIG_SETMASK, NULL, &now);
		sigpending(&pending);
		if (blocked & 2) {
			int signo;

			assert_int_equal(sigismember(&pending, SIGUSR1), 1);
			sigemptyset(&pending);
			sigaddset(&pending, SIGUSR1);
			sigwait(&pending, &signo);
		}
		sigprocmask(SIG_SETMASK, &old, NULL);
		for (int signo = 1; signo < 65; signo++)
			assert_int_equal(sigismember(&now, signo), sigismember(&set, signo));
	}
	munmap(place, 4096);
}

/* A function of libc (not a sanitizer's), and its size up to the alignment behind it. */
static struct wanted libc_function(enum stub_kind kind, const char *name)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	const ElfW(Sym) *symbol = NULL;
	struct wanted wanted = {.kind = kind};
	Dl_info info;

	assert_non_null(libc);
	wanted.function = dlsym(libc, name);
	assert_non_null(wanted.function);
	assert_true(dladdr1(wanted.function, &info, (void **)&symbol, RTLD_DL_SYMENT) &&
		    symbol);
	wanted.len = (symbol->st_size + 15) & ~(size_t)15;
	dlclose(libc);
	return wanted;
}

/* Where to call a function whose stub is at place: if its first instruction stays, and lowers
 * sp, that comes first. */
static void *way_in(uint8_t *place, const struct stub *stub, unsigned index)
{
	uint8_t *way = place + 3072 + 32 * index;
	int32_t distance = (int32_t)(stub->entry - (taddr_t)(uintptr_t)(way + stub->stays + 5));

	if (!stub->lowered)
		return (void *)(uintptr_t)stub->entry;
	memcpy(way, (void *)(uintptr_t)stub->function, stub->stays);
	way[stub->stays] = 0xe9; /* jmp rel32 */
	memcpy(way + stub->stays + 1, &distance, sizeof(distance));
	return way;
}

static void test_libc(void **state)
{
	const struct wanted wanted[] = {
		libc_function(STUB_RETURN, "malloc"),
		libc_function(STUB_RETURN, "calloc"),
		libc_function(STUB_BOTH, "realloc"),
		libc_function(STUB_ENTRY, "free"),
		libc_function(STUB_RETURN, "posix_memalign"),
		libc_function(STUB_RETURN, "aligned_alloc"),
		libc_function(STUB_BOTH, "reallocarray"),
		libc_function(STUB_RETURN, "memalign"),
		libc_function(STUB_RETURN, "valloc"),
		libc_function(STUB_RETURN, "pvalloc"),
	};
	uint8_t *place = code_near(wanted[0].function);
	struct stub stubs[ARRAY_SIZE(wanted)];
	struct stub_area area;

	(void)state;
	build(&area, place, stubs, ARRAY_SIZE(wanted), wanted);

	void *(*malloc_)(size_t) = way_in(place, &stubs[0], 0);
	void *(*calloc_)(size_t, size_t) = way_in(place, &stubs[1], 1);
	void *(*realloc_)(void *, size_t) = way_in(place, &stubs[2], 2);
	void (*free_)(void *) = way_in(place, &stubs[3], 3);
	int (*posix_memalign_)(void **, size_t, size_t) = way_in(place, &stubs[4], 4);
	void *(*aligned_alloc_)(size_t, size_t) = way_in(place, &stubs[5], 5);
	void *(*reallocarray_)(void *, size_t, size_t) = way_in(place, &stubs[6], 6);
	void *(*memalign_)(size_t, size_t) = way_in(place, &stubs[7], 7);
	void *(*valloc_)(size_t) = way_in(place, &stubs[8], 8);
	void *(*pvalloc_)(size_t) = way_in(place, &stubs[9], 9);

	for (size_t size = 1; size < 1000000; size = size * 3 + 1) {
		char *p = malloc_(size), *q = calloc_(size, 3);
		void *aligned[5] = {NULL, aligned_alloc_(64, 64), memalign_(256, size),
				    valloc_(size), pvalloc_(size)};

		memset(p, 'p', size);
		for (size_t i = 0; i < 3 * size; i++)
			assert_int_equal(q[i], 0);
		p = realloc_(p, 4 * size);
		/* reallocarray calls whoever is `realloc` here: with a sanitizer not libc's */
		free(reallocarray_(NULL, size, 5));
		assert_int_equal(posix_memalign_(&aligned[0], 4096, size), 0);
		assert_int_equal((uintptr_t)aligned[0] & 4095, 0);
		assert_int_equal((uintptr_t)aligned[2] & 255, 0);
		assert_true(p[0] == 'p' && p[size - 1] == 'p');
		for (int i = 0; i < 5; i++)
			free_(aligned[i]);
		free_(p);
		free_(q);
	}
	free_(NULL);
	assert_int_equal(posix_memalign_(&(void *){NULL}, 3, 1), EINVAL);
	assert_null(reallocarray_(NULL, SIZE_MAX, 16));
	munmap(place, 4096);
}

/* ---- traced ---------------------------------------------------------------- */

static void child_calls(const struct stub *stubs, size_t count, bool blocked)
{
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	sigemptyset(&set);
	if (blocked)
		sigaddset(&set, SIGURG);
	sigprocmask(SIG_SETMASK, &set, NULL);
	raise(SIGSTOP);
	for (size_t i = 0; i < count; i++) {
		struct probe p;
		sigset_t now;

		fill(&p);
		probe((void *)(uintptr_t)stubs[i].entry, &p);
		sigprocmask(SIG_SETMASK, NULL, &now);
		if (p.reg[RAX] != 1230 || memcmp(&now, &set, sizeof(long)))
			_exit(1);
	}
	_exit(0);
}

static pid_t start_child(const struct stub *stubs, size_t count, bool blocked)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		child_calls(stubs, count, blocked);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	return child;
}

static struct regs child_regs(pid_t child)
{
	struct regs regs;
	struct iovec io = {regs.bytes, sizeof(regs.bytes)};

	assert_int_equal(ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &io), 0);
	regs.len = (uint32_t)io.iov_len;
	return regs;
}

static uint64_t child_word(pid_t child, uint64_t address)
{
	errno = 0;
	uint64_t word = (uint64_t)ptrace(PTRACE_PEEKDATA, child, (void *)address, NULL);

	assert_int_equal(errno, 0);
	return word;
}

/* What arch.h says about a thread at trap.pc. */
static void check_stop(pid_t child, const struct stub_area *area, const struct stub *stub,
		       bool entry)
{
	const struct arch *arch = &arch_x86_64;
	struct regs regs = child_regs(child);
	uint64_t sp = regs_read(arch, &regs, arch->reg_sp);
	uint64_t args = sp + (uint64_t)(entry ? arch->trap->entry_args : arch->trap->args);
	uint64_t frame = sp + (uint64_t)(entry ? arch->trap->entry_frame : arch->trap->frame);

	assert_int_equal(regs_read(arch, &regs, arch->reg_pc), area->trap.pc);
	assert_true(regs_read(arch, &regs, arch->trap->mask_reg) ==
		    child_word(child, sp + (uint64_t)arch->trap->mask));
	assert_int_equal(regs_read(arch, &regs, arch->trap->site),
			 entry ? stub->payload_entry : stub->payload_return);
	if (entry)
		assert_int_equal(regs_read(arch, &regs, arch->trap->arg0), 1000);
	else
		assert_int_equal(child_word(child, sp + (uint64_t)arch->trap->result), 1230);
	assert_int_equal(child_word(child, args), 1000);
	assert_int_equal(child_word(child, args + 8), 200);
	assert_int_equal(child_word(child, args + 16), 30);
	assert_int_equal(child_word(child, frame), (uintptr_t)probe_return);
	for (int i = 0; i < 16; i++) {
		if (arch->callee_saved >> i & 1)
			assert_int_equal(regs_read(arch, &regs, i),
					 0xabcd000000000000 + (uint64_t)i * 0x111111111);
	}
}

/* Code, too. */
static bool write_other(pid_t pid, uint64_t at, const void *bytes, size_t len)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	n = pwrite(fd, bytes, len, (off_t)at);
	close(fd);
	return n == (ssize_t)len;
}

static int next_stop(pid_t child, int request)
{
	int status;

	assert_int_equal(ptrace(request, child, NULL, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void build_all_kinds(struct stub_area *area, uint8_t *place, struct stub *stubs)
{
	const size_t len = (size_t)(callee_end - callee);
	const struct wanted wanted[] = {{STUB_RETURN, callee, len},
					{STUB_ENTRY, callee, len},
					{STUB_BOTH, callee, len}};

	build(area, place, stubs, ARRAY_SIZE(wanted), wanted);
}

static void check_traced(void)
{
	uint8_t *place = code_near(callee);
	struct stub_area area;
	struct stub stubs[3];

	build_all_kinds(&area, place, stubs);
	for (int blocked = 0; blocked < 2; blocked++) {
		static const struct {
			int stub;
			bool entry;
		} want[] = {{0, false}, {1, true}, {2, true}, {2, false}};
		pid_t child = start_child(stubs, 3, blocked);
		int status;

		for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
			status = next_stop(child, PTRACE_CONT);
			assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGURG);
			check_stop(child, &area, &stubs[want[i].stub], want[i].entry);
		}
		status = next_stop(child, PTRACE_CONT);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	munmap(place, 4096);
}

static void test_traced(void **state)
{
	(void)state;
	check_traced();
	agent = unknown;
	check_traced();
	agent = NULL;
}

/* A trap of one process' stops its threads; who else comes, a child with the same code, is never
 * stopped, whoever traces it. */
static void test_of_one_process(void **state)
{
	for (int others = 0; others < 2; others++) {
		uint8_t *place = code_near(callee);
		struct stub_area area;
		struct stub stubs[3];
		pid_t child;
		int status;

		(void)state;
		build_all_kinds(&area, place, stubs);
		child = start_child(stubs, 3, others);
		area.process = (uint32_t)(others ? getpid() : child);
		arch_x86_64.trap->change_signal(&area, SIGURG);
		assert_true(write_other(child, area.base, area.bytes, area.len));
		status = next_stop(child, PTRACE_CONT);
		for (int i = 0; i < 4 && !others; i++) {
			assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGURG);
			status = next_stop(child, PTRACE_CONT);
		}
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		munmap(place, 4096);
	}
}

/* Whether a return address is one that code of ours at pc may have. */
static bool is_return_of(const struct stub *stub, const struct stub *all, uint64_t address)
{
	if (stub)
		return address == (uintptr_t)probe_return;
	for (int i = 0; i < 3; i++) {
		if (address &&
		    (address == all[i].payload_entry || address == all[i].payload_return))
			return true;
	}
	return false;
}

/* Every step through stubs, gate and trap: stub_frame() finds the return address. */
static void check_stub_frame(unsigned want_in_stub, unsigned want_in_trap)
{
	const struct arch *arch = &arch_x86_64;
	uint8_t *place = code_near(callee);
	struct stub_area area;
	struct stub stubs[3];
	unsigned in_stub = 0, in_trap = 0;
	pid_t child;
	int status;

	build_all_kinds(&area, place, stubs);
	child = start_child(stubs, 3, false);
	while (status = next_stop(child, PTRACE_SINGLESTEP), WIFSTOPPED(status)) {
		struct regs regs = child_regs(child);
		uint64_t pc = regs_read(arch, &regs, arch->reg_pc);
		const struct stub *stub = NULL;
		int offset;

		for (int i = 0; i < 3; i++) {
			if (stub_place(&stubs[i], pc) != STUB_OUTSIDE)
				stub = &stubs[i];
		}
		offset = arch->trap->stub_frame(&area, stub, pc, false);
		if (offset < 0)
			continue; /* not in our code, or in the copy */
		in_stub += stub != NULL;
		in_trap += stub == NULL;
		uint64_t sp = regs_read(arch, &regs, arch->reg_sp);
		if (!is_return_of(stub, stubs, child_word(child, sp + (uint64_t)offset)))
			fail_msg("at base + 0x%lx", (unsigned long)(pc - area.base));
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(in_stub, want_in_stub);
	assert_int_equal(in_trap, want_in_trap);
	munmap(place, 4096);
}

static void test_stub_frame(void **state)
{
	/* 6 + 4 + 10 instructions; 4 times the trap's 55, and the signal's stop at trap.pc */
	const unsigned stub = 6 + 4 + 10, trap = 4 * (55 + 1);

	(void)state;
	check_stub_frame(stub, trap);
	agent = unknown; /* 4 times the number, and the gate's 4 */
	check_stub_frame(stub + 4, trap + 4 * 4);
	agent = known;
	check_stub_frame(stub + 4, 4 * (3 + 2));
	agent = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers), cmocka_unit_test(test_patched),
		cmocka_unit_test(test_instead),
		cmocka_unit_test(test_mask),	  cmocka_unit_test(test_libc),
		cmocka_unit_test(test_of_one_process), cmocka_unit_test(test_traced),	  cmocka_unit_test(test_stub_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
