/*
 * A guest is a process of its own that runs in the target's memory, and is traced because of
 * our patches there.  It may ask to be traced by its parent (PTRACE_TRACEME: a debugger's child,
 * a sandbox's), and who is traced already is refused.  So a new one is stopped where it enters a
 * system call, by whatever code it does, and where it is that one, it waits there until it is
 * let go: then the call succeeds.
 *
 * If we are killed meanwhile the kernel lets it go on from there, and who is traced by a parent
 * that sleeps in vfork() stands for ever at its first trap that was not put back yet.  So while
 * it waits its call is taken away: what is left is the refusal (-EPERM), also where nobody lives
 * to give the call back.
 *
 * That takes two stops a call.  So who begins like posix_spawn()'s child, which has a stack of its
 * own and looks at the handlers of all 64 signals, is left alone from there, unless nothing else
 * tells of its asking: while no patches are there (tracee_watch_guests()).  And who asks does so
 * early: behind GUEST_CALLS no more is looked at, for those that close some ten thousand files
 * one by one.
 */
#include "tracer/guests.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tracer/sharers.h"

enum {
	GUEST_CALLS = 128,
	GET_SYSCALL_INFO = 0x420e, /* PTRACE_GET_SYSCALL_INFO, Linux 5.3 */
	SET_SYSCALL = 23,	   /* PTRACE_SET_SYSCALL, arch/arm/include/uapi/asm/ptrace.h */
	INFO_ENTRY = 1,
	NO_CALL = -1, /* makes the kernel skip it, on each CPU */
};

/* struct ptrace_syscall_info of <linux/ptrace.h>, of an entry */
struct call_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t pc, sp, number, argument[6];
};

static void watch(struct thread *guest)
{
	guest->calls = 2 * GUEST_CALLS;
}

void guests_begin(struct tracee *tracee, struct thread *guest, taddr_t parent_sp)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, guest);

	guest->own_stack = regs && regs_read(arch, regs, arch->reg_sp) != parent_sp;
	watch(guest);
}

static void watch_guest(void *arg, struct thread *thread)
{
	(void)arg;
	if (thread->guest)
		watch(thread);
}

void tracee_watch_guests(struct tracee *tracee, bool all)
{
	tracee->watches_guests = all;
	if (all)
		tracee_for_each(tracee, watch_guest, NULL);
}

int guests_request(const struct thread *thread)
{
	return thread->calls ? PTRACE_SYSCALL : PTRACE_CONT;
}

bool guests_is_call(int status)
{
	return WIFSTOPPED(status) && status >> 8 == (SIGTRAP | 0x80);
}

static void call_result(const struct tracee *tracee, struct thread *guest, int64_t result)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, guest);

	if (!regs)
		return;
	arch_put_word(arch, regs->bytes + arch->syscall_result_offset, (uint64_t)result);
	thread_regs_touch_first(guest,
				(uint32_t)arch->syscall_result_offset + arch->word_size);
	if (arch->syscall_number_offset < 0)
		thread_regs_commit(guest);
}

/* Where it has a place among the registers, both are written at once. */
static void call_number(const struct tracee *tracee, struct thread *guest, int number)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, guest);
	int at = arch->syscall_number_offset;

	if (regs && at >= 0) {
		arch_put_word(arch, regs->bytes + at, (uint64_t)number);
		thread_regs_touch_first(guest, (uint32_t)at + arch->word_size);
	} else if (arch->syscall_set) {
		struct iovec iov = {&number, sizeof(number)};

		ptrace(PTRACE_SETREGSET, guest->tid, (long)arch->syscall_set, &iov);
	} else if (at < 0) {
		ptrace((int)SET_SYSCALL, guest->tid, 0, (long)number);
	}
}

/* The order is that of a refusal, whenever we die: with the result there, no call that has it
 * for its first argument succeeds. */
static void take_call(const struct tracee *tracee, struct thread *guest)
{
	call_result(tracee, guest, -EPERM);
	call_number(tracee, guest, NO_CALL);
	thread_regs_commit(guest);
}

void guests_give_call(const struct tracee *tracee, struct thread *guest)
{
	/* (where its number has no place of its own the result's is the first argument's) */
	bool apart = tracee->arch->syscall_number_offset >= 0;

	call_number(tracee, guest, SYS_ptrace);
	call_result(tracee, guest, apart ? -ENOSYS : PTRACE_TRACEME);
}

static bool asks(const struct tracee *tracee, struct thread *guest)
{
	struct call_info info = {.op = 0};
	long got = ptrace((int)GET_SYSCALL_INFO, guest->tid, sizeof(info), &info);

	if (guest->calls)
		guest->calls--;
	if (got < 0)
		guest->calls = 0; /* an older kernel */
	if (got <= 0 || info.op != INFO_ENTRY || info.arch != arch_native()->audit_arch)
		return false;
	if (guest->own_stack && info.number == SYS_rt_sigaction && !tracee->watches_guests)
		guest->calls = 0; /* posix_spawn() */
	return info.number == SYS_ptrace && info.argument[0] == PTRACE_TRACEME;
}

bool guests_asks(struct tracee *tracee, struct thread *guest)
{
	bool does = asks(tracee, guest);

	if (does)
		take_call(tracee, guest);
	guest->call_taken = does;
	return does;
}

bool tracee_watch_guest(struct thread *guest)
{
	struct call_info info;

	if (ptrace((int)GET_SYSCALL_INFO, guest->tid, sizeof(info), &info) < 0)
		return false;
	watch(guest);
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

	if (thread->guest && thread != company->of && !company->found)
		company->found = sharers_share(company->of->tid, thread->tid);
}

bool tracee_has_company(struct tracee *tracee, const struct thread *thread)
{
	struct company company = {.of = thread};

	tracee_for_each(tracee, find_company, &company);
	return company.found;
}

/* ---- who outlives the process ------------------------------------------ */

static void find_guest(void *arg, struct thread *thread)
{
	struct thread **found = arg;

	if (thread->guest && !thread->held && thread->state != THREAD_GONE)
		*found = thread;
}

bool tracee_succeed(struct tracee *tracee)
{
	struct thread *guest = NULL;
	struct status status;

	if (tracee->exited)
		tracee_for_each(tracee, find_guest, &guest);
	if (!guest || status_read(guest->tid, 0, &status))
		return false;
	guest->guest = false;
	guest->calls = 0;
	tracee->pid = status.tgid;
	tracee->alive = 0;
	tracee->target.pid = guest->tid;
	tracee->exited = false;
	return true;
}
