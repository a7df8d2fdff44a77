/*
 * A sharer is a process of its own that runs in the target's memory, and is traced because of
 * our patches there.  It may ask to be traced by its parent (PTRACE_TRACEME: a debugger's
 * child, a sandbox's), and who is traced already is refused.  So a new one is stopped where it
 * enters a system call, by whatever code it does, and where it is that one, it waits there
 * until it is let go: then the call succeeds.
 *
 * If we are killed meanwhile the kernel lets it go on from there, and who is traced by a parent
 * that sleeps in vfork() stops for ever at its first trap that was not put back yet.  So while
 * it waits its call is taken away: what is left is the refusal (-EPERM), also where nobody
 * lives to give the call back.
 *
 * What it allocates stops it as any thread, by a signal that the trap sends, but to the process
 * alone (arch/trap.h): untraced by us, or traced by somebody else, it never stops.  So we lend it
 * its own number when it enters that call.
 *
 * One that was born before we came may ask in the moment in which it is seized, and be refused.  If
 * its first stop, which is asked for at once, is right behind that call, it makes it again.
 *
 * That takes two stops a call.  So who begins like posix_spawn()'s child, which has a stack of
 * its own, all signals blocked, and looks at the handlers of all 64, is left alone from there, unless
 * nothing else tells of its asking: while no patches are there (tracee_watch_sharers()).  And behind
 * SHARER_CALLS calls of close() in a row no more is looked at, for those that close some ten
 * thousand files one by one (where traps are for whoever comes: behind as many calls).
 */
#include "tracer/sharer_calls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/trap.h"
#include "tracer/sharers.h"

enum {
	SHARER_CALLS = 128,
	GET_SYSCALL_INFO = 0x420e, /* PTRACE_GET_SYSCALL_INFO, Linux 5.3 */
	GET_SIGNAL_MASK = 0x420a,  /* PTRACE_GETSIGMASK, Linux 3.11 */
	SET_SYSCALL = 23,	   /* PTRACE_SET_SYSCALL, arch/arm/include/uapi/asm/ptrace.h */
	INFO_ENTRY = 1,
	NO_CALL = -1, /* makes the kernel skip it, on each CPU */
	ERESTARTNOINTR = 513, /* include/linux/errno.h of the kernel */
};

/* struct ptrace_syscall_info of <linux/ptrace.h>, of an entry */
struct call_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t pc, sp, number, argument[6];
};

static void watch(struct thread *sharer)
{
	sharer->calls = 2 * SHARER_CALLS;
}

void sharer_calls_begin(struct tracee *tracee, struct thread *sharer, taddr_t parent_sp)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, sharer);

	sharer->own_stack = regs && regs_read(arch, regs, arch->reg_sp) != parent_sp;
	watch(sharer);
}

static void watch_sharer(void *arg, struct thread *thread)
{
	(void)arg;
	if (thread->sharer)
		watch(thread);
}

void tracee_watch_sharers(struct tracee *tracee, bool all)
{
	tracee->watches_sharers = all;
	if (all)
		tracee_for_each(tracee, watch_sharer, NULL);
}

int sharer_calls_request(const struct thread *thread)
{
	return thread->calls ? PTRACE_SYSCALL : PTRACE_CONT;
}

bool sharer_calls_is(int status)
{
	return WIFSTOPPED(status) && status >> 8 == (SIGTRAP | 0x80);
}

/* Is the call's number where its result will be, and nowhere else (MIPS)?  Then a call that is taken
 * away ends with ENOSYS, and there is no result to be written before it is made. */
static bool is_shared(const struct arch *arch)
{
	return arch->call_number_offset == arch->syscall_result_offset;
}

static void call_result(const struct tracee *tracee, struct thread *sharer, int64_t result)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, sharer);

	if (!regs || is_shared(arch))
		return;
	arch_put_word(arch, regs->bytes + arch->syscall_result_offset, (uint64_t)result);
	thread_regs_touch_first(sharer,
				(uint32_t)arch->syscall_result_offset + arch->word_size);
	if (arch->syscall_number_offset < 0 && !arch->call_number_counts)
		thread_regs_commit(sharer);
}

/* Where it has a place among the registers, both are written at once. */
static void call_number(const struct tracee *tracee, struct thread *sharer, int number)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, sharer);
	bool counts = is_shared(arch) || arch->call_number_counts;
	int at = counts ? arch->call_number_offset : arch->syscall_number_offset;

	if (regs && at >= 0) {
		arch_put_word(arch, regs->bytes + at, (uint64_t)number);
		thread_regs_touch_first(sharer, (uint32_t)at + arch->word_size);
	} else if (arch->syscall_set) {
		struct iovec iov = {&number, sizeof(number)};

		ptrace(PTRACE_SETREGSET, sharer->tid, (long)arch->syscall_set, &iov);
	} else if (at < 0) {
		ptrace((int)SET_SYSCALL, sharer->tid, 0, (long)number);
	}
}

/* The order is that of a refusal, whenever we die: with the result there, no call that has it
 * for its first argument succeeds. */
static void take_call(const struct tracee *tracee, struct thread *sharer)
{
	call_result(tracee, sharer, -EPERM);
	call_number(tracee, sharer, NO_CALL);
	thread_regs_commit(sharer);
}

void sharer_calls_give_call(const struct tracee *tracee, struct thread *sharer)
{
	/* (where its number has no place of its own the result's is the first argument's) */
	bool apart = tracee->arch->syscall_number_offset >= 0;

	call_number(tracee, sharer, SYS_ptrace);
	call_result(tracee, sharer, apart ? -ENOSYS : PTRACE_TRACEME);
	thread_regs_commit(sharer);
}

/* Its pc on the system call again.  (Where the call's number is among the registers the kernel
 * does it: see hide.c.)  False: it is not right behind one. */
static bool back_to_call(struct tracee *tracee, struct regs *regs)
{
	const struct arch *arch = tracee->arch;
	taddr_t pc = regs_read(arch, regs, arch->reg_pc);
	uint8_t bytes[sizeof(arch->syscall_insn[0].bytes)];

	for (size_t i = 0; i < ARRAY_SIZE(arch->syscall_insn); i++) {
		uint8_t len = arch->syscall_insn[i].len;

		if (len && !target_read(&tracee->target, pc - len, bytes, len) &&
		    !memcmp(bytes, arch->syscall_insn[i].bytes, len)) {
			regs_write(arch, regs, arch->reg_pc, pc - len);
			return true;
		}
	}
	return false;
}

void sharer_calls_ask_again(struct tracee *tracee, struct thread *sharer)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, sharer);
	const int *args = arch->trap->call_args;
	bool apart = arch->syscall_number_offset >= 0;

	if (!regs || regs_word(arch, regs, arch->call_number_offset) != SYS_ptrace ||
	    regs_syscall_result(arch, regs) != -EPERM)
		return;
	/* (the first argument may have the result's place; of all requests this one has no pid) */
	if (regs_read(arch, regs, args[apart ? 0 : 1]) != PTRACE_TRACEME ||
	    (!apart && !back_to_call(tracee, regs)))
		return;
	arch_put_word(arch, regs->bytes + arch->syscall_result_offset,
		      (uint64_t)(apart ? -ERESTARTNOINTR : PTRACE_TRACEME));
	thread_regs_touch(sharer); /* at once, so that we may be killed at any moment */
	thread_regs_commit(sharer);
}

/* In another pid namespace than ours? */
static bool is_apart(pid_t pid)
{
	char path[64], ours[64] = "", its[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return readlink("/proc/self/ns/pid", ours, sizeof(ours) - 1) > 0 &&
	       readlink(path, its, sizeof(its) - 1) > 0 && strcmp(ours, its) != 0;
}

/* (Before Linux 4.1 that of a process in another namespace is not to be told, and is not the one
 * that we know it by: a trap with that would send nothing, and count nothing.) */
pid_t tracee_process(struct tracee *tracee)
{
	struct status status;

	if (!tracee->process && tracee->arch->trap->tgkill &&
	    status_read(tracee->pid, 0, &status) == 0 &&
	    (status.own_tgid != status.tgid || !is_apart(tracee->pid)))
		tracee->process = status.own_tgid;
	return tracee->process;
}

/* At the entry, or the end, of the trap's call: the number is the one that it is to have. */
static void lend_number(const struct tracee *tracee, struct thread *sharer)
{
	const struct arch *arch = tracee->arch;
	const int *args = arch->trap->call_args;
	struct regs *regs = thread_regs(tracee, sharer);
	struct status status;

	if (regs_read(arch, regs, args[0]) != (taddr_t)tracee->process ||
	    status_read(sharer->tid, 0, &status) ||
	    regs_read(arch, regs, args[1]) != (taddr_t)status.own_pid)
		return;
	arch_put_word(arch, regs->bytes + arch->reg_offset[args[0]], (uint64_t)status.own_tgid);
	thread_regs_touch_first(sharer,
				(uint32_t)arch->reg_offset[args[0]] + arch->word_size);
	thread_regs_commit(sharer);
}

static bool blocks_all(const struct thread *sharer)
{
	const struct arch *arch = arch_native();
	_Alignas(8) uint8_t set[ARCH_SIGNAL_SET] = {0};
	uint64_t mask;

	if (ptrace((int)GET_SIGNAL_MASK, sharer->tid, (long)arch->signal_set_len, set))
		return false;
	mask = arch_signal_set(arch, set);
	return !~(mask | signal_bit(SIGKILL) | signal_bit(SIGSTOP));
}

/* (Before Linux 5.3 it is not to be told.) */
static bool is_entry(const struct thread *sharer, struct call_info *ret)
{
	ret->op = 0;
	return ptrace((int)GET_SYSCALL_INFO, sharer->tid, sizeof(*ret), ret) > 0 &&
	       ret->op == INFO_ENTRY;
}

static void limit_calls(struct tracee *tracee, struct thread *sharer, int64_t number)
{
	bool bound = tracee_process(tracee) != 0;
	struct call_info info;

	/* (at the end of a call its result is where its number was) */
	if (is_shared(tracee->arch) && !is_entry(sharer, &info))
		return;
	if (sharer->calls && (!bound || number == SYS_close))
		sharer->calls--;
	else if (sharer->calls)
		watch(sharer);
	if (sharer->own_stack && number == SYS_rt_sigaction && !tracee->watches_sharers &&
	    (!bound || blocks_all(sharer)))
		sharer->calls = 0; /* posix_spawn() */
}

static bool asks(const struct thread *sharer)
{
	struct call_info info;

	return is_entry(sharer, &info) && info.arch == arch_native()->audit_arch &&
	       info.number == SYS_ptrace && info.argument[0] == PTRACE_TRACEME;
}

bool sharer_calls_asks(struct tracee *tracee, struct thread *sharer)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, sharer);
	int64_t number = regs ? (int64_t)regs_word(arch, regs, arch->call_number_offset) : -1;
	bool does = number == SYS_ptrace && asks(sharer);

	limit_calls(tracee, sharer, number);
	if (tracee_process(tracee) && number == arch->trap->tgkill)
		lend_number(tracee, sharer);
	if (does)
		take_call(tracee, sharer);
	sharer->call_taken = does;
	return does;
}

bool tracee_watch_sharer(struct thread *sharer)
{
	struct call_info info;

	if (ptrace((int)GET_SYSCALL_INFO, sharer->tid, sizeof(info), &info) < 0)
		return false;
	watch(sharer);
	return true;
}

/* ---- company ----------------------------------------------------------- */

struct company {
	const struct thread *of;
	bool found;
};

static void find_company(void *arg, struct thread *thread)
{
	struct company *company = arg;

	if (thread->sharer && thread != company->of && !company->found)
		company->found = sharers_share(company->of->tid, thread->tid);
}

bool tracee_has_company(struct tracee *tracee, const struct thread *thread)
{
	struct company company = {.of = thread};

	tracee_for_each(tracee, find_company, &company);
	return company.found;
}

/* ---- who outlives the process ------------------------------------------ */

static void find_sharer(void *arg, struct thread *thread)
{
	struct thread **found = arg;

	if (thread->sharer && !thread->held && thread->state != THREAD_GONE)
		*found = thread;
}

bool tracee_succeed(struct tracee *tracee)
{
	struct thread *sharer = NULL;
	struct status status;

	if (tracee->exited)
		tracee_for_each(tracee, find_sharer, &sharer);
	if (!sharer || status_read(sharer->tid, 0, &status))
		return false;
	sharer->sharer = false;
	sharer->calls = 0;
	tracee->pid = status.tgid;
	tracee->alive = 0;
	tracee->target.pid = sharer->tid;
	tracee->exited = false;
	tracee->succeeded = true;
	return true;
}
