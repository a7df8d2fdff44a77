/*
 * The agent's way into the process; see inject.h.
 *
 *      what             by whom       what is there if we are killed behind it
 *    0 code             the process   pages of zeros, where the log says
 *      locked? full?    we look       (mlockall(MCL_FUTURE): all of the memory would be brought)
 *      bytes            we write      the agent, off
 *    1 WIPEONFORK       the process
 *    2 memory's file    the process   and a descriptor, known by the file's name
 *      its size         we set        (sealed: else the program could move its end, and who maps it dies)
 *    3 memory           the process   and the memory, to be read alone
 *    4 what it writes   the process
 *    5 DONTDUMP         the process
 *    6 descriptor       the process   as it is to be
 *
 * All of the calls must be let through by a thread's filters before the first is made.  Between
 * two steps threads may have run, and have closed the descriptor, and opened another by its
 * number: so it is compared with the file that we have open, each time.
 */
#include "tracer/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "elf/maps.h"
#include "tracer/inject_left.h"
#include "tracer/inject_memory.h"
#include "tracer/inject_parts.h"
#include "tracer/remote.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* before Linux 4.17 the address is a hint */
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

enum {
	PIECE = 1 << 12, /* of /proc/PID/status */
	MEMORY_FLAGS = 1 | 2, /* MFD_CLOEXEC, MFD_ALLOW_SEALING */
};

#define LOWEST	(1ull << 16)  /* more than vm.mmap_min_addr */
#define GAP	(64ull << 20) /* from what is mapped: that may grow */
#define RESERVE 4	      /* of an address space that has a limit we take 1/4 */

enum step { STEP_CODE, STEP_WIPE, STEP_FILE, STEP_MEMORY, STEP_WRITE, STEP_DUMP, STEP_CLOSE, STEPS };

/* ---- may there be one? --------------------------------------------------- */

static uint64_t number_in(const char *path, const char *name)
{
	char text[PIECE] = "";
	const char *at;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static uint64_t of_status(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return number_in(path, name);
}

/* Has the CPU what the entry needs beside the base instruction set?  lahf in 64-bit mode: all but the
 * first of them (CPUID 8000_0001h, ECX bit 0; Intel SDM volume 2, LAHF). */
static bool suits_cpu(void)
{
#ifdef __x86_64__
	unsigned eax, ebx, ecx = 0, edx;

	return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && ecx & 1;
#else
	return true;
#endif
}

int inject_doubt(pid_t pid, const struct arch *arch, uint64_t bytes, struct err *err)
{
	struct rlimit limit;

	if (!blob_len || !suits_cpu() || !arch->trap || !arch->trap->agent_calls[0] || !arch->trap->remote_build)
		return err_set(err, -ENOSYS, "there is none for this CPU");
	if (number_in("/proc/sys/vm/overcommit_memory", "") == 2)
		return err_set(err, -ENOTSUP,
			       "memory is not overcommitted here (vm.overcommit_memory)");
	if (prlimit(pid, RLIMIT_AS, NULL, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < of_status(pid, "VmSize:") * 1024 + RESERVE * bytes)
		return err_set(err, -ENOTSUP,
			       "the address space of the process has a limit (RLIMIT_AS)");
	return 0;
}

/* ---- where ---------------------------------------------------------------- */

/*
 * At the upper end of the largest hole: what is below may grow up (the heap), what is above down;
 * not below the stack.  The lower half of the address is a mark, by which a successor knows the
 * code before there is any.  0: there is no hole.
 */
static taddr_t hole_find(const struct maps *maps, uint64_t len)
{
	taddr_t best = 0, best_len = 0;

	for (size_t i = 0; i < maps->list.len; i++) {
		const struct mapping *above = &maps->list.at[i];
		taddr_t end = i ? above[-1].end : LOWEST;
		taddr_t hole = above->begin > end ? above->begin - end : 0;

		/* ([vectors], [vsyscall]: in front of them is the kernel) */
		if (hole <= best_len || hole < len + 2 * GAP + INJECT_MARK_EVERY ||
		    !strcmp(above->path, "[stack]") || !strcmp(above->path, "[vectors]") ||
		    above->begin > (taddr_t)INT64_MAX)
			continue;
		best_len = hole;
		best = above->begin - GAP - len;
	}
	return best ? ((best - INJECT_MARK) & ~(INJECT_MARK_EVERY - 1)) + INJECT_MARK : 0;
}

/* ---- the descriptor, there ------------------------------------------------ */

static void descriptor_path(const struct injection *in, char *ret, size_t len)
{
	snprintf(ret, len, "/proc/%d/fd/%d", tracee_alive(in->tracee), (int)in->descriptor);
}

static bool descriptor_is_ours(const struct injection *in)
{
	struct stat there, ours;
	char path[64];

	descriptor_path(in, path, sizeof(path));
	return inject_is_descriptor(tracee_alive(in->tracee), (int)in->descriptor) &&
	       stat(path, &there) == 0 && fstat(in->file, &ours) == 0 &&
	       there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

static int descriptor_take(struct injection *in, struct err *err)
{
	char path[64];

	if (!inject_is_descriptor(tracee_alive(in->tracee), (int)in->descriptor))
		return err_set(err, -EBADF, "its memory's descriptor is gone");
	descriptor_path(in, path, sizeof(path));
	in->file = open(path, O_RDWR | O_CLOEXEC);
	if (in->file < 0)
		return err_sys(err, -errno, "its memory can't be opened");
	return inject_seal(in->file, shared_bytes(in->pieces), err);
}

/* ---- the calls ------------------------------------------------------------ */

/* All of them, in the order of the steps; munmap() is last, of whoever takes it out. */
static void calls_make(const struct injection *in, struct remote_call *ret)
{
	const struct arch_trap *trap = in->tracee->arch->trap;
	const struct undo_agent *agent = &in->undo->agent;
	const uint64_t len = shared_bytes(in->pieces), anew = MAP_FIXED_NOREPLACE;
	const taddr_t name = agent->base + offsetof(struct blob_head, name);
	const struct remote_call calls[] = {
		{trap->page_calls[0],
		 {agent->base, INJECT_CODE_BYTES, PROT_READ | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS | anew, ~(uint64_t)0, 0}},
		{trap->agent_calls[0], {agent->control, BLOB_CONTROL, MADV_WIPEONFORK}},
		{trap->agent_calls[1], {name, MEMORY_FLAGS}},
		{trap->page_calls[0],
		 {agent->base + INJECT_CODE_BYTES, len, PROT_READ, MAP_SHARED | anew,
		  (uint64_t)in->descriptor, 0}},
		{trap->agent_calls[2],
		 {agent->base + INJECT_CODE_BYTES + SHARED_TOLD_BYTES, len - SHARED_TOLD_BYTES,
		  PROT_READ | PROT_WRITE}},
		{trap->agent_calls[0], {agent->base + INJECT_CODE_BYTES, len, MADV_DONTDUMP}},
		{trap->agent_calls[3], {(uint64_t)in->descriptor}},
		{trap->page_calls[1], {agent->base, INJECT_CODE_BYTES}},
	};

	_Static_assert(ARRAY_SIZE(calls) == STEPS + 1, "a call each, and munmap()");
	memcpy(ret, calls, sizeof(calls));
}

/* The step's call.  0: it was made, and *result is not negative. */
static int make_call(struct injection *in, enum step step, int64_t *result, struct err *err)
{
	struct remote_call calls[STEPS + 1];
	int rc;

	*result = -EAGAIN;
	calls_make(in, calls);
	rc = remote_call_from_any(in->tracee, in->undo, &in->places, calls, STEPS + 1, step,
				  result, err);
	if (rc == -EAGAIN && *result != -EAGAIN) /* made, and its thread runs on */
		rc = 0;
	if (rc == -ERANGE)
		rc = -EAGAIN; /* threads move */
	return rc ? rc : *result < 0 ? (int)*result : 0;
}

/* ---- the steps ------------------------------------------------------------ */

static int code_place(struct injection *in, struct err *err)
{
	const uint64_t len = INJECT_CODE_BYTES + shared_bytes(in->pieces);
	struct undo_agent agent = {.len = INJECT_CODE_BYTES, .places = in->places};
	struct maps maps = {.text = NULL};
	int rc = maps_read(tracee_alive(in->tracee), &maps, err);

	if (rc)
		return rc;
	agent.base = hole_find(&maps, len);
	agent.control = agent.base + BLOB_BYTES;
	memcpy(agent.head, blob_bytes, sizeof(agent.head));
	maps_deinit(&maps);
	if (!agent.base)
		return err_set(err, -ENOSPC, "no hole of %" PRIu64 " MB in its address space",
			       len >> 20);
	undo_agent(in->undo, &agent);
	return 0;
}

static int code_fill(const struct injection *in, struct err *err)
{
	const struct undo_agent *agent = &in->undo->agent;
	struct target *target = &in->tracee->target;
	struct blob_head head;
	int rc;

	if (of_status(tracee_alive(in->tracee), "VmLck:") > in->locked_kb)
		return err_set(err, -ENOTSUP,
			       "the process locks all that it maps in memory (mlockall)");
	memcpy(&head, blob_bytes, sizeof(head));
	head.shared = (struct shared){(uint8_t *)(uintptr_t)(agent->base + INJECT_CODE_BYTES),
				      in->pieces, in->shift};
	head.memory_bytes = shared_bytes(in->pieces);
	/* (what begins it is last) */
	rc = undo_agent_write(in->undo, target, BLOB_HEAD, blob_bytes + BLOB_HEAD,
			      blob_len - BLOB_HEAD);
	if (!rc)
		rc = undo_agent_write(in->undo, target, 0, &head, sizeof(head));
	return rc ? err_sys(err, rc, "its code can't be written") : 0;
}

static int map_code(struct injection *in, struct err *err)
{
	const struct undo_agent *agent = &in->undo->agent;
	int64_t result = 0;
	int rc = agent->len ? 0 : code_place(in, err);

	if (rc)
		return rc;
	in->locked_kb = of_status(tracee_alive(in->tracee), "VmLck:");
	rc = make_call(in, STEP_CODE, &result, err);
	if (rc)
		return rc;
	if ((taddr_t)result != agent->base) { /* before 4.17 */
		in->undo->agent.base = (taddr_t)result;
		return err_set(err, -EEXIST, "its place is not free any more");
	}
	return code_fill(in, err);
}

static int map_memory(struct injection *in, struct err *err)
{
	const taddr_t at = in->undo->agent.base + INJECT_CODE_BYTES;
	int64_t result = 0;
	int rc;

	if (!descriptor_is_ours(in))
		return err_set(err, -EBADF, "its memory's descriptor is gone");
	undo_agent_memory(in->undo, at, shared_bytes(in->pieces));
	rc = make_call(in, STEP_MEMORY, &result, err);
	if (!rc && (taddr_t)result != at) {
		undo_agent_memory(in->undo, (taddr_t)result, shared_bytes(in->pieces));
		rc = err_set(err, -EEXIST, "its place is not free any more");
	}
	return rc;
}

static int step_do(struct injection *in, struct err *err)
{
	int64_t result = 0;
	int rc;

	switch ((enum step)in->step) {
	case STEP_CODE:
		return map_code(in, err);
	case STEP_FILE:
		rc = make_call(in, STEP_FILE, &result, err);
		in->descriptor = result;
		return rc ? rc : descriptor_take(in, err);
	case STEP_MEMORY:
		return map_memory(in, err);
	case STEP_CLOSE:
		if (!descriptor_is_ours(in)) /* somebody has closed it */
			return 0;
		/* fall through */
	case STEP_WIPE:
	case STEP_WRITE:
	case STEP_DUMP:
	case STEPS:
		break;
	}
	return make_call(in, (enum step)in->step, &result, err);
}

/* Where no words were found yet. */
static int complain(enum step step, int rc, struct err *err)
{
	static const char *const what[STEPS] = {
		"the process can't map its code",
		"the kernel can't empty a page at fork (Linux 4.14)",
		"the process can't open its memory",
		"the process can't map its memory",
		"the process can't make its memory writable",
		"the kernel can't leave its memory out of core dumps",
		"the process can't close its memory's descriptor",
	};

	return err->code ? rc : err_sys(err, rc, "%s", what[step]);
}

static int take_memory(const struct injection *in, struct injected *ret, struct err *err)
{
	const uint64_t bytes = shared_bytes(in->pieces);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, in->file,
			0);
	const struct blob_head *head = (const struct blob_head *)blob_bytes;

	if (at == MAP_FAILED)
		return err_sys(err, -errno, "its memory can't be mapped");
	madvise(at, bytes, MADV_DONTDUMP);
	*ret = (struct injected){in->undo->agent.base + head->entry,
				 {at, in->pieces, in->shift},
				 bytes,
				 inject_open_to_ask(in->file)};
	return 0;
}

int inject_next(struct injection *in, struct injected *ret, struct err *err)
{
	if (!in->step)
		in->file = in->file > 0 ? in->file : -1;
	for (; in->step < STEPS; in->step++) {
		int rc;

		err->code = 0;
		rc = step_do(in, err);
		if (rc)
			return rc == -EAGAIN ? rc : complain((enum step)in->step, rc, err);
	}
	return take_memory(in, ret, err);
}

void inject_end(struct injection *in)
{
	if (in->step && in->file >= 0)
		close(in->file);
	in->file = -1;
}

int inject_switch(const struct undo *undo, struct target *target, bool on)
{
	const struct blob_control control = {.on = on};

	return undo_agent_write(undo, target, (uint32_t)(undo->agent.control - undo->agent.base),
				&control, sizeof(control));
}

uint64_t inject_taken(const struct injected *injected)
{
	struct stat stat;

	return injected->entry && injected->file >= 0 && !fstat(injected->file, &stat)
		       ? (uint64_t)stat.st_blocks * 512
		       : 0;
}

void inject_forget(struct injected *injected)
{
	if (injected->entry)
		madvise(injected->shared.base, injected->bytes, MADV_REMOVE);
	inject_let_be(injected);
}
