/* The trap as the payload of stubs, soft or hard; see traps.h. */
#include "capture/traps.h"

#include <errno.h>
#include <signal.h>

/* ---- the payload ------------------------------------------------------- */

static int build(void *arg, struct stub_area *area, struct stub *stubs, size_t count,
		 const uint8_t *const code[], const size_t code_len[], size_t *failed,
		 struct err *err)
{
	const struct traps *traps = arg;

	area->agent = traps->agent;
	area->process = (uint32_t)tracee_process(traps->hooks->process.tracee);
	return traps->hooks->process.tracee->arch->trap->stubs_build(area, traps->signo, stubs, count,
							       code, code_len, failed, err);
}

/* The trap returns at once. */
static uint32_t disarm(void *arg, const struct stub_area *area, taddr_t *at, uint8_t *ret)
{
	const struct traps *traps = arg;

	*at = area->trap.begin;
	return traps->hooks->process.tracee->arch->trap->disarm(ret);
}

static int ready(void *arg, struct err *err)
{
	struct traps *traps = arg;

	return traps->hard ? traps_use_break(traps, err) : 0;
}

struct hook_payload traps_payload(struct traps *traps)
{
	return (struct hook_payload){build, disarm, ready, traps};
}

/* ---- where a thread is ------------------------------------------------- */

int traps_signal_at(const struct traps *traps, taddr_t pc)
{
	const struct hooks *hooks = traps->hooks;

	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct hook_area *area = &hooks->areas.at[i];

		if (area->applied && area->area.trap.pc == pc)
			return traps->signo;
		if (area->applied && area->area.trap.hard_pc == pc && pc)
			return SIGTRAP;
	}
	return 0;
}

taddr_t traps_open_at(const struct traps *traps, taddr_t pc)
{
	const struct hooks *hooks = traps->hooks;

	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct hook_area *area = &hooks->areas.at[i];

		if (area->applied && pc >= area->area.trap.open && pc < area->area.trap.pc)
			return area->area.trap.pc;
	}
	return 0;
}

const struct hook *traps_hook_at(const struct traps *traps, taddr_t site, bool *entry)
{
	const struct hooks *hooks = traps->hooks;

	for (size_t i = 0; i < hooks->list.len; i++) {
		const struct stub *stub = &hooks->list.at[i].stub;

		if (site != stub->payload_entry && site != stub->payload_return)
			continue;
		*entry = site == stub->payload_entry;
		return &hooks->list.at[i];
	}
	return NULL;
}

/* ---- changing them ------------------------------------------------------ */

int traps_use_break(struct traps *traps, struct err *err)
{
	struct hooks *hooks = traps->hooks;
	struct tracee *tracee = hooks->process.tracee;

	traps->hard = tracee->own_breaks = true;
	if (!tracee->arch->trap->use_break)
		return err_set(err, -ENOTSUP,
			       "pid %d can't make the system calls that memtrace needs",
			       tracee->pid);
	for (size_t i = 0; i < hooks->areas.len; i++) {
		struct hook_area *area = &hooks->areas.at[i];
		uint8_t bytes[8];
		uint32_t len;
		int rc;

		if (!area->applied || area->changed)
			continue;
		len = tracee->arch->trap->use_break(&area->area, bytes);
		rc = undo_patch(hooks->process.undo, &tracee->target, area->area.trap.to_break,
				area->area.bytes + (area->area.trap.to_break - area->area.base),
				bytes, len);
		if (rc)
			return err_sys(err, rc, "cannot write to pid %d", tracee->pid);
		area->changed = true;
	}
	return 0;
}

struct sending {
	struct hooks *hooks;
	struct tracee *tracee;
	bool found;
};

static void thread_is_sending(void *arg, struct thread *thread)
{
	struct sending *sending = arg;
	const struct arch *arch = sending->tracee->arch;
	struct regs *regs =
		thread->state == THREAD_STOPPED ? thread_regs(sending->tracee, thread) : NULL;
	taddr_t pc = regs ? regs_read(arch, regs, arch->reg_pc) : 0;

	for (size_t i = 0; regs && i < sending->hooks->areas.len; i++) {
		const struct stub_area *area = &sending->hooks->areas.at[i].area;

		sending->found |= pc > area->trap.begin && pc < area->trap.pc;
	}
}

int traps_change_signal(struct traps *traps, int signo, struct err *err)
{
	struct hooks *hooks = traps->hooks;
	struct tracee *tracee = hooks->process.tracee;
	struct sending sending = {hooks, tracee, false};

	tracee_for_each(tracee, thread_is_sending, &sending);
	if (sending.found)
		return -EAGAIN;
	for (size_t i = 0; i < hooks->areas.len; i++) {
		struct hook_area *area = &hooks->areas.at[i];
		int rc = 0;

		tracee->arch->trap->change_signal(&area->area, signo);
		if (area->applied)
			rc = undo_area_change(hooks->process.undo, &tracee->target,
					      area->area.base, area->area.bytes,
					      area->area.len);
		if (rc)
			return err_sys(err, rc, "cannot write to pid %d", tracee->pid);
	}
	traps->signo = tracee->own_signal = signo;
	return 0;
}
