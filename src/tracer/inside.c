/*
 * Who could return where: before code is wiped or covered, every pc and every word of every
 * stack is looked at.
 *
 * Nearly all stacks end within STACK_USUAL.  A longer one ends at the thread pointer, where
 * that is above it in the same mapping, or else with the mapping.  Where mappings have grown
 * together that may be more than a stack, so SEARCH_LIMIT bounds what is read of all.
 *
 * A word may be a stale one that nobody will return by.  Where unwind data says what frames the
 * stack has, a word in one of them counts only if it is that frame's return address.  But
 * not in a frame of FRAME_DECIDED bytes or more: it may hold a whole stack, or a context, of
 * a thread that the program switches to by itself.
 *
 * The agent calls nobody: who is not in it, but was, and comes back, was interrupted there by a signal, whose frame
 * has the pc.  So of words that lead there only that one counts: those by which it returns within itself
 * lie about on every stack, also in larger frames, where they would keep it for as long as a thread sleeps.
 * But for functions of the kernel's (32-bit ARM): who is in those may be there for the agent.
 *
 * What is swapped out, or a page server's to bring, is not read: the one who brings it may be
 * stopped himself.  Such a stack counts as one that somebody could return from.
 */
#include "tracer/inside.h"

#include <elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "elf/maps.h"
#include "tracer/status.h"

enum {
	STACK_WINDOW = 16 * 1024,
	STACK_USUAL = 2 * STACK_WINDOW,
	SEARCH_LIMIT = 64 * 1024 * 1024,
	UCONTEXT_HEAD = 5 * 8, /* as far as uc_stack */
	FLAGS_LIMIT = 256, /* those of uc_flags */
	ALTSTACK_LIMIT = 1 << 30,
	FRAME_LIMIT = 4096, /* more than a signal frame takes */
	FRAME_DECIDED = 512, /* less than a ucontext_t or a signal frame has, on every CPU */
	FRAMES_MOST = 64,
	PLAIN_REGISTERS = 33, /* of plain_left(): pc, r0 to r31 */
};

struct search {
	struct tracee *tracee;
	const struct undo *undo; /* or NULL: the ranges below */
	const struct inside_range *ranges;
	size_t count;
	struct inside_range agent;
	taddr_t lowest, highest; /* of all ranges: most words are outside at one look */
	struct maps maps;	 /* read when they are needed */
	size_t left;		 /* bytes that may still be read */
	taddr_t first_sp;	 /* of the process; read when it is needed */
	bool unsure;		 /* the answer where a stack was not read to its end */
	bool found;
	struct stack_frame frames[FRAMES_MOST]; /* of that thread; read when they are needed */
	size_t frame_count;
	pid_t frames_of;
};

static bool is_in(const struct inside_range *range, taddr_t addr)
{
	return addr > range->begin && addr < range->end;
}

static bool is_helper(const struct arch *arch, taddr_t addr)
{
	return addr >= arch->helpers[0] && addr < arch->helpers[1];
}

static bool search_hits(const struct search *search, taddr_t addr)
{
	if (addr < search->lowest || addr >= search->highest)
		return false;
	if (search->agent.end && is_helper(search->tracee->arch, addr))
		return true;
	if (search->undo)
		return undo_covers(search->undo, addr);
	for (size_t i = 0; i < search->count; i++)
		if (is_in(&search->ranges[i], addr))
			return true;
	return false;
}

/*
 * A handler that runs on a stack of its own (sigaltstack(2)) returns to another stack.  The
 * kernel's frame for it is known by its ucontext (uapi/asm/ucontext.h), which says where
 * the alternate stack is:
 *
 *    uc_flags | uc_link = 0 | ss_sp, ss_flags, ss_size | ... the registers
 *                              (MIPS: ss_sp, ss_size, ss_flags)
 *
 * The ucontext lies within that stack, and the saved sp does not.  (A handler of 32-bit ARM
 * without SA_SIGINFO has a frame with the registers alone, known by its uc_flags: there the
 * saved sp is not right behind the frame.  That of MIPS is known by the registers: plain_left().)
 */
static bool is_altstack(const struct search *search, const uint8_t *at, taddr_t uc,
			struct inside_range *ret)
{
	const struct arch *arch = search->tracee->arch;
	unsigned size = arch->word_size;
	uint64_t base = arch_word(arch, at + 2 * size), len;

	if (arch->plain_uc_flags && arch_word(arch, at) == arch->plain_uc_flags) {
		*ret = (struct inside_range){uc, uc + FRAME_LIMIT};
		return true;
	}
	if (uc - base >= ALTSTACK_LIMIT)
		return false;
	len = arch_word(arch, at + (arch->stack_size_first ? 3 : 4) * size);
	*ret = (struct inside_range){base, base + len};
	return !arch_word(arch, at + size) && uc - base < len && len < ALTSTACK_LIMIT;
}

/*
 * struct sigcontext of MIPS (uapi/asm/sigcontext.h), whose words have 8 bytes, and the registers
 * only the lower 4 of them:
 *
 *    pc | r0 = 0 | r1 ... r31
 *
 * The sp that it saved, if it is on another stack; 0.  (So it is in a ucontext, too.)
 */
static taddr_t plain_left(const struct search *search, const uint8_t *at, taddr_t context)
{
	const struct arch *arch = search->tracee->arch;
	unsigned size = arch->word_size, low = arch->big_endian ? size : 0, high = size - low;
	uint8_t bytes[PLAIN_REGISTERS * 8];
	taddr_t sp;

	if (!arch->plain_sp || !arch_word(arch, at + low) || arch_word(arch, at + high) ||
	    arch_word(arch, at + 2 * size) || arch_word(arch, at + 3 * size) ||
	    target_read_stopped(&search->tracee->target, context, bytes, sizeof(bytes)) !=
		    (ssize_t)sizeof(bytes))
		return 0;
	for (unsigned i = 0; i < PLAIN_REGISTERS; i++) {
		uint64_t upper = arch_word(arch, bytes + 8 * i + high);
		bool negative = arch_word(arch, bytes + 8 * i + low) >> 31;

		if (upper && (!negative || upper != UINT32_MAX)) /* (of a kernel of 64 bits) */
			return 0;
	}
	sp = arch_word(arch, bytes + 8 * arch->plain_sp + low);
	return sp % 8 || (sp >= context && sp - context <= FRAME_LIMIT) ? 0 : sp;
}

/* The sp that the frame at uc saved, if it is on another stack; 0. */
static taddr_t stack_left(const struct search *search, taddr_t uc,
			  const struct inside_range *altstack)
{
	const struct arch *arch = search->tracee->arch;
	uint8_t bytes[8];
	taddr_t sp;

	if (target_read_stopped(&search->tracee->target,
				uc + arch->ucontext_sp * arch->word_size, bytes,
				arch->word_size) != (ssize_t)arch->word_size)
		return 0;
	sp = arch_word(arch, bytes);
	return sp >= altstack->begin && sp <= altstack->end ? 0 : sp;
}

/* How long the thread's stack is from sp on; at: an address in it.  0: not to be known. */
static size_t stack_len(struct search *search, struct thread *thread, taddr_t sp, taddr_t at)
{
	taddr_t top = thread_pointer(search->tracee, thread);
	const struct mapping *mapping;

	if (!search->maps.text && maps_read(tracee_alive(search->tracee), &search->maps, NULL))
		return 0;
	mapping = maps_find(&search->maps, at);
	if (!mapping)
		return 0;
	return (size_t)((top > sp && top < mapping->end ? top : mapping->end) - sp);
}

/* Is nothing of the thread's stack at `at`, which can't be read? */
static bool is_behind_stack(struct search *search, struct thread *thread, taddr_t sp, taddr_t at)
{
	taddr_t top = thread_pointer(search->tracee, thread);

	if (sp < top) /* its own variables are the uppermost */
		return at >= top || !stack_len(search, thread, sp, at);
	if (!search->first_sp)
		search->first_sp = status_first_sp(search->tracee->pid);
	if (!search->first_sp) /* of a first thread that has ended */
		search->first_sp = status_first_sp(tracee_alive(search->tracee));
	if (sp <= search->first_sp && at > search->first_sp)
		return true;
	return !stack_len(search, thread, sp, at);
}

/* Is what is at `at` the pc that a signal frame saved?  (Its link is 0 always, and few flags are known.) */
static bool is_saved_pc(struct search *search, taddr_t at)
{
	const struct arch *arch = search->tracee->arch;
	const unsigned size = arch->word_size;
	uint8_t head[2 * 8];
	uint64_t flags;

	if (!arch->ucontext_pc ||
	    target_read_stopped(&search->tracee->target, at - arch->ucontext_pc * size, head, 2 * size) !=
		    (ssize_t)(2 * size))
		return true;
	flags = arch_word(arch, head);
	return (arch->plain_uc_flags && flags == arch->plain_uc_flags) ||
	       (flags < FLAGS_LIMIT && !arch_word(arch, head + size));
}

/* Is the word at `at`, which leads to what is searched for, one that the thread returns by? */
static bool is_return_address(struct search *search, struct thread *thread, taddr_t at,
			      taddr_t word)
{
	struct tracee *tracee = search->tracee;
	const struct stack_frame *frame = search->frames;

	if (is_in(&search->agent, word) || is_helper(tracee->arch, word))
		return is_saved_pc(search, at);
	if (search->frames_of != thread->tid) {
		search->frames_of = thread->tid;
		search->frame_count = 0;
		if (tracee->frames && thread->state == THREAD_STOPPED)
			search->frame_count = tracee->frames(tracee->frames_arg, thread,
							     search->frames, FRAMES_MOST);
	}
	for (size_t i = 0; i + 1 < search->frame_count; i++, frame++)
		if (at >= frame->sp && at < frame->end)
			return frame->end - frame->sp >= FRAME_DECIDED || frame[1].pc == word;
	return true;
}

/* The words of one window; *other: as stack_hits(). */
static bool window_hits(struct search *search, struct thread *thread, const uint8_t *window,
			size_t len, taddr_t at, taddr_t *other)
{
	const struct arch *arch = search->tracee->arch;
	unsigned size = arch->word_size;
	struct inside_range altstack;

	for (size_t i = 0; i + size <= len; i += size) {
		uint64_t word = arch_word(arch, window + i) &
				(arch->code_mask | arch->state_mask);

		if (search_hits(search, word) &&
		    is_return_address(search, thread, at + i, word))
			return true;
		if (i + 5 * size > len || *other)
			continue;
		if (is_altstack(search, window + i, at + i, &altstack))
			*other = stack_left(search, at + i, &altstack);
		else
			*other = plain_left(search, window + i, at + i);
	}
	return false;
}

/* *other: the stack from which a signal led to this one; 0. */
static bool stack_hits(struct search *search, struct thread *thread, taddr_t sp, taddr_t *other)
{
	uint8_t window[STACK_WINDOW + UCONTEXT_HEAD];
	size_t len = SIZE_MAX;

	*other = 0;
	for (size_t done = 0; done < len; done += STACK_WINDOW) {
		ssize_t n;

		if (done == STACK_USUAL) {
			len = stack_len(search, thread, sp, sp + done);
			if (len && len <= done)
				return false;
		}
		if (!len || search->left < STACK_WINDOW)
			return search->unsure;
		search->left -= STACK_WINDOW;
		n = target_read_stopped(&search->tracee->target, sp + done, window,
					len - done < sizeof(window) ? len - done
								    : sizeof(window));
		n = n < 0 ? 0 : n;
		if (window_hits(search, thread, window, (size_t)n, sp + done, other))
			return true;
		if (n == (ssize_t)sizeof(window))
			continue;
		if (len - done <= (size_t)n ||
		    is_behind_stack(search, thread, sp, sp + done + (size_t)n))
			return false;
		search->tracee->unread = sp + done + (size_t)n;
		return true;
	}
	return false;
}

/* Where a thread is: by its registers, or, where it sleeps in the kernel and can't
 * be stopped, by what /proc says. */
static bool thread_place(const struct search *search, struct thread *thread, taddr_t *sp,
			 taddr_t *pc)
{
	const struct arch *arch = search->tracee->arch;
	struct regs *regs;

	if (thread->state != THREAD_STOPPED)
		return status_syscall(thread->tid, thread->tid, sp, pc) == 0;
	regs = thread_regs(search->tracee, thread);
	if (!regs)
		return false;
	*sp = regs_read(arch, regs, arch->reg_sp);
	*pc = regs_read(arch, regs, arch->reg_pc);
	return true;
}

/*
 * A function that calls none has its return address there alone, and so has one that has given
 * its frame up and goes on in another (free() in munmap()).  The register of a thread that
 * waits for its vfork child was seen when it told of that child, and is the same; of another
 * one that can't be stopped nobody knows it.
 */
static bool link_register_hits(const struct search *search, struct thread *thread)
{
	const struct arch *arch = search->tracee->arch;
	struct regs *regs = &thread->regs;

	if (arch->reg_lr == ARCH_NO_REG)
		return false;
	if (thread->state == THREAD_STOPPED)
		regs = thread_regs(search->tracee, thread);
	else if (!thread->in_vfork || !regs->len)
		return search->unsure;
	return !regs || search_hits(search, regs_read(arch, regs, arch->reg_lr) &
						    (arch->code_mask | arch->state_mask));
}

static void thread_search(void *arg, struct thread *thread)
{
	struct search *search = arg;
	taddr_t sp, pc, other = 0;

	if (search->found || thread->state == THREAD_GONE)
		return;
	search->found = !thread_place(search, thread, &sp, &pc) || search_hits(search, pc) ||
			link_register_hits(search, thread) ||
			stack_hits(search, thread, sp, &other) ||
			(other && stack_hits(search, thread, other, &other));
}

static void search_widen(struct search *search, taddr_t begin, taddr_t end)
{
	search->lowest = begin < search->lowest ? begin : search->lowest;
	search->highest = end > search->highest ? end : search->highest;
}

static void search_agent(struct search *search, const struct inside_range *agent)
{
	const struct arch *arch = search->tracee->arch;

	search->agent = *agent;
	search_widen(search, agent->begin + 1, agent->end);
	if (arch->helpers[1])
		search_widen(search, arch->helpers[0], arch->helpers[1]);
}

static struct search search_areas(struct tracee *tracee, const struct undo *undo)
{
	struct search search = {.tracee = tracee,
				.undo = undo,
				.lowest = ~(taddr_t)0,
				.left = SEARCH_LIMIT,
				.unsure = true};

	for (uint32_t i = 0; i < undo->area_count; i++)
		search_widen(&search, undo->area[i].base,
			     undo->area[i].base + undo->area[i].len);
	if (undo->agent.len)
		search_agent(&search, &(struct inside_range){undo->agent.base - 1,
							     undo->agent.base + undo->agent.len});
	return search;
}

int inside_fetch(struct tracee *tracee)
{
	return tracee->unread ? target_fetch(&tracee->target, tracee->unread) : 0;
}

bool inside_any(struct tracee *tracee, const struct undo *undo)
{
	struct search search = search_areas(tracee, undo);

	tracee->unread = 0;
	tracee_for_each(tracee, thread_search, &search);
	maps_deinit(&search.maps);
	return search.found;
}

bool inside_thread(struct tracee *tracee, struct thread *thread, const struct undo *undo)
{
	struct search search = search_areas(tracee, undo);

	thread_search(&search, thread);
	maps_deinit(&search.maps);
	return search.found;
}

static bool in_ranges(struct search *search)
{
	search->left = SEARCH_LIMIT;
	for (size_t i = 0; i < search->count; i++)
		search_widen(search, search->ranges[i].begin, search->ranges[i].end);
	search->tracee->unread = 0;
	tracee_for_each(search->tracee, thread_search, search);
	maps_deinit(&search->maps);
	return search->found;
}

bool inside_ranges(struct tracee *tracee, const struct inside_range *ranges, size_t count,
		   bool unsure)
{
	struct search search = {.tracee = tracee,
				.ranges = ranges,
				.count = count,
				.lowest = ~(taddr_t)0,
				.unsure = unsure};

	return in_ranges(&search);
}

bool inside_agent(struct tracee *tracee, const struct inside_range *agent, bool unsure)
{
	struct search search = {.tracee = tracee,
				.ranges = agent,
				.count = 1,
				.lowest = ~(taddr_t)0,
				.unsure = unsure};

	search_agent(&search, agent);
	return in_ranges(&search);
}

bool inside_agent_is(const struct arch *arch, const struct inside_range *agent, taddr_t pc)
{
	return is_in(agent, pc) || is_helper(arch, pc);
}
