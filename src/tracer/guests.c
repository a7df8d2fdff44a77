/*
 * A guest is a process of its own that runs in the target's memory, and is traced because of
 * our patches there.  It may ask to be traced by its parent (PTRACE_TRACEME: a debugger's child,
 * a sandbox's), and who is traced already is refused.  So a new one is stopped where it enters a
 * system call, by whatever code it does, and where it is that one, it waits there until it is
 * let go: then the call succeeds.
 *
 * That takes two stops a call.  So it is not done for a child with a stack of its own, which
 * is posix_spawn()'s, with more than 64 calls, unless nothing else tells of its asking: while
 * no patches are there (tracee_watch_guests()).  And who asks does so early: behind GUEST_CALLS no
 * more is looked at, for those that close some ten thousand files one by one.
 */
#include "tracer/guests.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tracer/sharers.h"

enum {
	GUEST_CALLS = 128,
	GET_SYSCALL_INFO = 0x420e, /* PTRACE_GET_SYSCALL_INFO, Linux 5.3 */
	INFO_ENTRY = 1,
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
	struct regs *regs = tracee->watches_guests ? NULL : thread_regs(tracee, guest);

	if (tracee->watches_guests ||
	    (regs && regs_read(arch, regs, arch->reg_sp) == parent_sp))
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

bool guests_asks(struct thread *guest)
{
	struct call_info info = {.op = 0};
	long got = ptrace((int)GET_SYSCALL_INFO, guest->tid, sizeof(info), &info);

	if (guest->calls)
		guest->calls--;
	if (got < 0)
		guest->calls = 0; /* an older kernel */
	return got > 0 && info.op == INFO_ENTRY && info.arch == arch_native()->audit_arch &&
	       info.number == SYS_ptrace && info.argument[0] == PTRACE_TRACEME;
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
