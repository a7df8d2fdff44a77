/*
 * Which thread is to run code for us.  One that waits in a system call is best: of one in its
 * own code nobody can say that it is not in the midst of something which must not be cut in
 * two.  None that could not come home, or may not make all of the calls.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "elf/maps.h"
#include "tracer/dispatch.h"
#include "tracer/remote.h"
#include "tracer/remote_parts.h"
#include "tracer/seccomp.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

enum { GET_RSEQ = 0x420f }; /* PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13 */

struct candidates {
	struct tracee *tracee;
	const struct remote_program *program;
	taddr_t at;			/* of the code */
	struct thread *in_call, *other; /* those that may be used */
	uint32_t room;			/* there */
	bool refused;			/* by what checks its system calls */
	bool too_far;			/* from its way home, or its code is too long */
};

/* In a stop by whose end the kernel writes no register, but as in_exec_stop says.  (Where its call
 * begins it has not made it: ours would take the place of that, and -ENOSYS be what it gave.  So may
 * stand who was a sharer, tracee_succeed().) */
static bool is_at_rest(const struct thread *thread)
{
	if (thread->state != THREAD_STOPPED || thread->sharer || thread->unannounced ||
	    thread->in_vfork || thread->in_remote || thread->group_stop || thread->deliver ||
	    thread->at_call)
		return false;
	return thread->in_exec_stop || !thread->event || thread->event == PTRACE_EVENT_STOP;
}

enum remote_at remote_whereabouts(const struct tracee *tracee, const struct thread *thread,
				  const struct regs *regs)
{
	const struct arch *arch = tracee->arch;
	uint8_t code[4];

	if (thread->in_exec_stop)
		return REMOTE_AT_CALL;
	if (!arch->trap->remote_at)
		return regs_word(arch, regs, arch->syscall_number_offset) < 0 ? REMOTE_AT_CODE
									      : REMOTE_AT_CALL;
	if (target_read((struct target *)&tracee->target,
			regs_read(arch, regs, arch->reg_pc) + (taddr_t)(int64_t)arch->trap->call_at,
			code, sizeof(code)))
		return REMOTE_AT_LEAVING;
	return arch->trap->remote_at(regs, code);
}

/* A thread in user code may be in a restartable sequence (rseq(2)), which must not be left
 * and entered again unseen; where the kernel can't tell, it is taken to be. */
static bool may_be_in_sequence(const struct tracee *tracee, const struct thread *thread)
{
	struct {
		uint64_t at;
		uint32_t size, signature, flags, pad;
	} rseq;
	uint64_t section = 0;

	if (ptrace((int)GET_RSEQ, thread->tid, (long)sizeof(rseq), &rseq) < 0)
		return true;
	return rseq.at && (target_read((struct target *)&tracee->target, rseq.at + 8, &section,
				       sizeof(section)) ||
			   section);
}

/* A system call in user code would cut them off. */
static bool has_long_vectors(const struct tracee *tracee, const struct thread *thread)
{
	struct { /* struct user_sve_header of <asm/ptrace.h> */
		uint32_t size, max_size;
		uint16_t len, max_len, flags, pad;
	} head;

	for (size_t i = 0; i < ARRAY_SIZE(tracee->arch->trap->cut_sets); i++) {
		struct iovec iov = {&head, sizeof(head)};
		unsigned set = tracee->arch->trap->cut_sets[i];

		if (set && ptrace(PTRACE_GETREGSET, thread->tid, (long)set, &iov) == 0 &&
		    (tracee->arch->trap->cut_where_there || head.flags & 1)) /* SVE_PT_REGS_SVE */
			return true;
	}
	return false;
}

/* What spare_register() counts on is an agreement of compilers that make files: code that is made while the program runs
 * has its own (HotSpot's, on RISC-V, passes the method that it calls in t6). */
static bool is_of_file(struct tracee *tracee, taddr_t pc)
{
	struct maps maps = {.text = NULL};
	const struct mapping *mapping =
		maps_read(tracee_alive(tracee), &maps, NULL) ? NULL : maps_find(&maps, pc);
	bool is = mapping && (mapping->inode || !strcmp(mapping->path, "[vdso]"));

	maps_deinit(&maps);
	return is;
}

unsigned remote_spare(struct tracee *tracee, const struct regs *regs)
{
	enum { PAGE = 4096, PAGES = 3 }; /* its own, and what there is of those beside it */
	const struct arch *arch = tracee->arch;
	taddr_t pc = regs_read(arch, regs, arch->reg_pc), own = pc & ~(taddr_t)(PAGE - 1);
	taddr_t begin = own, end = own;
	uint8_t code[PAGES * PAGE];

	if (!arch->trap->spare_register || !is_of_file(tracee, pc))
		return 0;
	for (unsigned i = 0; i < PAGES; i++) {
		taddr_t page = own - PAGE + i * PAGE;

		if (!target_read(&tracee->target, page, code + i * PAGE, PAGE))
			begin = page < begin ? page : begin, end = page + PAGE;
		else if (page == own)
			return 0;
	}
	return arch->trap->spare_register(code + (begin - (own - PAGE)), (size_t)(end - begin),
					  (size_t)(pc - begin));
}

static bool is_let_through(const struct candidates *c, const struct thread *thread,
			   const struct remote_code *code)
{
	struct seccomp_data data[REMOTE_CALLS];
	struct status status;

	if (c->program->count > REMOTE_CALLS ||
	    dispatch_allows(thread->tid, code->at, code->at + code->len) != 1 ||
	    status_read(c->tracee->pid, thread->tid, &status))
		return false;
	for (size_t i = 0; i < c->program->count; i++) {
		const struct remote_call *call = &c->program->calls[i];

		data[i] = (struct seccomp_data){.nr = (int)call->number,
						.arch = c->tracee->arch->audit_arch,
						.instruction_pointer = code->behind};
		for (size_t j = 0; j < REMOTE_ARGUMENTS; j++)
			data[i].args[j] = c->tracee->arch->word_size == 4
						  ? (uint32_t)call->argument[j]
						  : call->argument[j];
	}
	return !status.seccomp || seccomp_allows(thread->tid, data, c->program->count) == 1;
}

/* A thread may have given up the table of descriptors that the others share (unshare(2), CLONE_FILES): a file that it
 * opens nobody finds, and what it closes is its own.  Where the kernel can't compare, /proc/PID's own thread makes
 * such calls. */
static bool has_descriptors(const struct candidates *c, const struct thread *thread)
{
	const int16_t *numbers = c->tracee->arch->trap->agent_calls; /* .. [1] opens one, [3] closes one */
	pid_t first = tracee_alive(c->tracee);
	bool uses = false;

	for (size_t i = 0; i < c->program->count; i++)
		uses = uses || c->program->calls[i].number == numbers[1] || c->program->calls[i].number == numbers[3];
	return !uses || thread->tid == first || syscall(SYS_kcmp, first, thread->tid, KCMP_FILES, 0, 0) == 0;
}

static void consider(void *arg, struct thread *thread)
{
	struct candidates *c = arg;
	struct remote_code code;
	struct regs *regs;
	enum remote_at at;
	int rc;

	if (c->in_call || !is_at_rest(thread))
		return;
	regs = thread_regs(c->tracee, thread);
	if (!regs || regs_are_kernels(c->tracee->arch, regs) || !has_descriptors(c, thread))
		return;
	at = remote_whereabouts(c->tracee, thread, regs);
	if (at == REMOTE_AT_LEAVING ||
	    (at == REMOTE_AT_CODE && (c->other || may_be_in_sequence(c->tracee, thread) ||
				      has_long_vectors(c->tracee, thread))))
		return;
	code.spare = remote_spare(c->tracee, regs);
	rc = c->program->build(c->tracee, thread, c->program->arg, c->at, regs, NULL, &code);
	if (rc == -ERANGE || (!rc && REMOTE_HEAD + code.len > c->room))
		c->too_far = true;
	else if (!rc && !is_let_through(c, thread, &code))
		c->refused = true;
	else if (!rc)
		*(at == REMOTE_AT_CALL ? &c->in_call : &c->other) = thread;
}

int remote_choose(struct tracee *tracee, const struct undo_place *place,
		  const struct remote_program *program, struct thread **ret, struct err *err)
{
	struct candidates c = {.tracee = tracee,
			       .program = program,
			       .at = place->base + REMOTE_HEAD,
			       .room = place->room};

	tracee_for_each(tracee, consider, &c);
	*ret = c.in_call ? c.in_call : c.other;
	if (*ret)
		return 0;
	if (c.refused)
		return err_set(
			err, -EPERM,
			"what stands in front of the process' system calls (a seccomp "
			"filter, a dispatcher) does not let it make one, or can't be read");
	if (c.too_far)
		return err_set(
			err, -ERANGE,
			"no thread is near enough to room for the code of a system call");
	return err_set(err, -EAGAIN, "no thread can make a system call just now");
}
