/*
 * Applying hooks: stubs into free space, or a page of our own, then five bytes per function.
 *
 * First comes a second look.  The plan was made while the process ran, and it may have
 * unmapped the module since, or mapped something else there: what the plan relied on (the
 * code that it displaces and has searched, the free space, and which file they are of) must be
 * as it was.
 *
 * The order makes every moment right, also one in which we are killed and every thread
 * runs on: stubs are complete before anything leads to them; a thread that is within
 * bytes that a patch will cover is then moved to the same instruction in the copy, at
 * once and for good; only then come the patches, each one write.  A stack that would
 * return into the middle of such bytes (an interrupted handler) makes us wait.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "hook/hooks.h"
#include "hook/page.h"
#include "tracer/inside.h"

static struct hook *unapplied_covering(struct hooks *hooks, taddr_t pc)
{
	for (size_t i = 0; i < hooks->list.len; i++) {
		struct hook *hook = &hooks->list.at[i];

		if (!hook->applied && pc > hook->stub.function &&
		    pc < hook->stub.function + hook->stub.displaced.original_len)
			return hook;
	}
	return NULL;
}

/* Between the two instructions of a predecessor's far patch (where it is not for long)? */
static bool is_between(const struct hook *hook, taddr_t pc)
{
	taddr_t at = hook->address + hook->code.patched;

	return pc > at && pc < at + hook->code.patched_len;
}

static void thread_move(void *arg, struct thread *thread)
{
	struct hooks *hooks = arg;
	struct tracee *tracee = hooks->process.tracee;
	const struct arch *arch = tracee->arch;
	struct regs *regs;
	struct hook *hook;
	taddr_t pc;

	regs = thread->state == THREAD_STOPPED ? thread_regs(tracee, thread) : NULL;
	if (!regs)
		return;
	pc = regs_read(arch, regs, arch->reg_pc);
	hook = unapplied_covering(hooks, pc);
	if (!hook || is_between(hook, pc))
		return;
	for (uint32_t i = 0; i < hook->stub.displaced.count; i++) {
		if (hook->stub.displaced.map[i].original != pc - hook->stub.function)
			continue;
		regs_write(arch, regs, arch->reg_pc,
			   hook->stub.copy + hook->stub.displaced.map[i].copy);
		thread_regs_touch(thread);
		thread_regs_commit(thread);
		return;
	}
}

/* Up to max of those that are about to be covered, from hook *i on. */
static size_t covered_ranges(const struct hooks *hooks, size_t *i, struct inside_range *ret,
			     size_t max)
{
	size_t count = 0;

	for (; *i < hooks->list.len && count < max; ++*i) {
		const struct stub *stub = &hooks->list.at[*i].stub;

		if (!hooks->list.at[*i].applied)
			ret[count++] = (struct inside_range){
				stub->function, stub->function + stub->displaced.original_len};
	}
	return count;
}

/*
 * Would a thread return into bytes that are about to be covered?  Only by what a signal's frame or
 * a context holds: no call is displaced but as the last instruction (displace.c), so none returns
 * in between, and a link register that can't be read (of a thread that does not stop) is of no
 * matter here.
 */
static bool somebody_returns(const struct hooks *hooks)
{
	struct inside_range ranges[256];
	size_t count, i = 0;

	while ((count = covered_ranges(hooks, &i, ranges, ARRAY_SIZE(ranges))))
		if (inside_ranges(hooks->process.tracee, ranges, count, false))
			return true;
	return false;
}

static int areas_write(struct hooks *hooks, struct err *err)
{
	const struct hook_payload *payload = &hooks->payload;

	for (size_t i = 0; i < hooks->areas.len; i++) {
		struct hook_area *area = &hooks->areas.at[i];
		uint8_t disarm[8];
		uint32_t len;
		taddr_t at;
		int rc;

		if (area->applied || !area->used)
			continue;
		len = payload->disarm(payload->arg, &area->area, &at, disarm);
		rc = undo_area(hooks->process.undo, &hooks->process.tracee->target,
			       area->area.base, area->old, area->area.bytes, area->area.len, at,
			       disarm, len);
		if (rc)
			return err_sys(err, rc, "cannot write stubs at 0x%" PRIx64,
				       area->area.base);
		area->applied = true;
	}
	return 0;
}

static int patch_write(const struct hooks *hooks, struct hook *hook, struct err *err)
{
	struct tracee *tracee = hooks->process.tracee;
	const struct module *module =
		modules_by_instance(hooks->process.modules, hook->instance);
	taddr_t at = stub_patch_at(&hook->stub);
	int rc = undo_patch(hooks->process.undo, &tracee->target, at,
			    hook->code.bytes + (at - hook->address), hook->stub.patch,
			    arch_patch_len(tracee->arch->trap, hook->stub.patch));

	if (rc)
		return err_sys(err, rc, "cannot set a breakpoint on %s in %s",
			       hook->function->name, module->id.path);
	code_deinit(&hook->code);
	hook->applied = true;
	hooks->notes.step(hooks->notes.arg,
			  "Set breakpoint on %s in %s:0x%" PRIx64 " (0x%" PRIx64 ")",
			  hook->function->name, module->id.path, hook->address - module->bias,
			  hook->address);
	return 0;
}

static bool is_there(struct tracee *tracee, taddr_t addr, const uint8_t *bytes, size_t len)
{
	uint8_t there[256];

	for (size_t n; len; addr += n, bytes += n, len -= n) {
		n = len < sizeof(there) ? len : sizeof(there);
		if (target_read(&tracee->target, addr, there, n) || memcmp(there, bytes, n))
			return false;
	}
	return true;
}

/* Since it was planned, the process has run: is everything as it was then? */
static bool plan_holds(const struct hooks *hooks)
{
	struct tracee *tracee = hooks->process.tracee;
	struct maps maps = {0};
	struct err err;
	bool holds = maps_read(tracee_alive(tracee), &maps, &err) == 0;

	for (size_t i = 0; holds && i < hooks->list.len; i++) {
		const struct hook *hook = &hooks->list.at[i];

		holds = hook->applied ||
			(place_is(&hook->place, &maps, hook->address) &&
			 is_there(tracee, hook->address, hook->code.there, hook->code.len));
	}
	for (size_t i = 0; holds && i < hooks->areas.len; i++) {
		const struct hook_area *area = &hooks->areas.at[i];

		holds = area->applied || !area->used || area->host == HOST_PAGE ||
			(place_is(&area->place, &maps, area->area.base) &&
			 is_there(tracee, area->area.base, area->old, area->area.len));
	}
	maps_deinit(&maps);
	return holds;
}

int hooks_apply(struct hooks *hooks, struct err *err)
{
	int rc;

	if (!plan_holds(hooks))
		return err_set(err, -ESTALE, "the code of pid %d changes all the time (libraries "
			       "that come and go?): try again later",
			       hooks->process.tracee->pid);
	rc = pages_make(hooks, err);
	if (!rc)
		rc = areas_write(hooks, err);
	if (rc)
		return rc;
	tracee_for_each(hooks->process.tracee, thread_move, hooks);
	if (somebody_returns(hooks))
		return err_set(err, -EAGAIN,
			       "a thread is interrupted within an allocation function's first "
			       "instructions");
	rc = hooks->payload.ready(hooks->payload.arg, err);
	for (size_t i = 0; i < hooks->list.len && !rc; i++)
		if (!hooks->list.at[i].applied)
			rc = patch_write(hooks, &hooks->list.at[i], err);
	return rc;
}
