/*
 * Feeding the frame walker: by rows (walker_rows.c) over a window on the stack, and, where a row
 * can't say it, once more with all registers.
 *
 * Frames within our own stubs are left out of the result: a function that was entered through a
 * stub has the stub's frame under it, which the program never had.
 */
#include <errno.h>
#include <string.h>

#include "capture/walker_parts.h"
#include "region/walk_body.h"
#include "unwind/full.h"

/* ---- memory ------------------------------------------------------------ */

int walker_read_stack(struct walker *walker, taddr_t sp)
{
	ssize_t n = target_read_some(&walker->tracee->target, sp, walker->window, 2048);

	walker->window_base = sp;
	walker->window_len = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : -EFAULT;
}

/* What is mapped and not there is a page server's to bring (target.h): its thread runs, if it is
 * not at a trap itself. */
static bool window_fetch(struct walker *walker, taddr_t addr)
{
	return walker->maps && maps_find(walker->maps, addr) &&
	       target_fetch(&walker->tracee->target, addr) == 0;
}

/* The window begins at addr from now on. */
static __attribute__((noinline)) const uint8_t *window_move(struct walker *walker, taddr_t addr,
							     size_t len)
{
	ssize_t n = target_read_some(&walker->tracee->target, addr, walker->window,
				     sizeof(walker->window));

	if (n == -EIO && window_fetch(walker, addr))
		n = target_read_some(&walker->tracee->target, addr, walker->window,
				     sizeof(walker->window));
	walker->window_base = addr;
	walker->window_len = n > 0 ? (size_t)n : 0;
	return walker->window_len < len ? NULL : walker->window;
}

/* The bytes at addr; what is not in the window moves it there.  NULL: not to be read. */
static inline const uint8_t *window_at(struct walker *walker, taddr_t addr, size_t len)
{
	taddr_t offset = addr - walker->window_base;

	if (offset < walker->window_len && walker->window_len - offset >= len)
		return walker->window + offset;
	return len > sizeof(walker->window) ? NULL : window_move(walker, addr, len);
}

static int read_window(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	const uint8_t *at = window_at((struct walker *)memory, addr, len);

	if (!at)
		return -EFAULT;
	memcpy(buf, at, len);
	return 0;
}

static inline int read_word(void *arg, uint64_t addr, uint64_t *ret)
{
	struct walker *walker = arg;
	const struct arch *arch = walker->tracee->arch;
	const uint8_t *at = window_at(walker, addr, arch->word_size);

	if (!at)
		return -EFAULT;
	*ret = arch_word(arch, at);
	return 0;
}

int walker_word(struct walker *walker, taddr_t addr, uint64_t *ret)
{
	return read_word(walker, addr, ret);
}

/* ---- walking ----------------------------------------------------------- */

/* What the code was guessed to do, held against the row that we were told.  Agreed, it is no
 * guess, and registers are known besides; else only the row is to be trusted: -ENOENT. */
static int check_guess(struct walker *walker, struct module *module, uint64_t vaddr,
		       const struct full_regs *before, struct full_regs *regs, uint64_t cfa,
		       uint8_t *flags)
{
	const struct row *row = externals_row(walker->externals, module, vaddr);
	const struct arch *arch = walker->tracee->arch;
	int base;

	if (!(*flags & ROW_GUESS) || !row || row->flags & ROW_GUESS ||
	    (row->cfa != ROW_CFA_SP && row->cfa != ROW_CFA_FP))
		return 0;
	base = row->cfa == ROW_CFA_SP ? arch->reg_sp : arch->reg_fp;
	if (!(before->known >> base & 1) ||
	    cfa != (uint32_t)(before->value[base] + (uint64_t)row->cfa_offset)) {
		*regs = *before;
		return -ENOENT;
	}
	*flags &= (uint8_t)~ROW_GUESS;
	return 0;
}

/* By what the file says and by what we were told: on 32-bit ARM the latter says more. */
static int step_all(struct walker *walker, struct module *module,
		    const struct unwinder_place *place, struct unwinder *unwinder,
		    struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	const struct arch *arch = walker->tracee->arch;
	struct memory *memory = &walker->memory;
	const struct full_regs before = *regs;
	uint64_t vaddr = place->vaddr - !place->exact;
	int failed = -ENOENT;

	for (int told = arch->external_rows_first, i = 0; i < 2 && failed == -ENOENT;
	     i++, told ^= 1)
		if (told)
			failed = externals_step(walker->externals, module, arch, vaddr, memory,
						regs, cfa, flags);
		else if (unwinder)
			failed = unwinder_step(unwinder, place, memory, regs, cfa, flags);
	return failed ? failed : check_guess(walker, module, vaddr, &before, regs, *cfa, flags);
}

static int full_step(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame,
		     struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct walker *walker = arg;
	const struct arch *arch = walker->tracee->arch;
	uint64_t state = pc & arch->state_mask;
	uint64_t original = walker_original_pc(walker, pc & ~state, pc == lookup_pc);
	struct module *module = modules_find(walker->modules, original);
	struct unwinder_place place;
	struct unwinder *unwinder;
	int failed;

	if (walker_row(walker, pc, lookup_pc, frame)->cfa == ROW_CFA_NO_CODE || !module ||
	    undo_covers(walker->undo, original))
		return -ENOENT;
	walker_place_find(walker, module, original, pc == lookup_pc, state != 0, &place, &unwinder);
	failed = step_all(walker, module, &place, unwinder, regs, cfa, flags);
	if (failed == -ENOENT) /* a row we were told does not say where the others are */
		regs->known &=
			1ull << arch->reg_pc | 1ull << arch->reg_sp | 1ull << arch->reg_fp;
	return failed;
}

static size_t walk_full(struct walker *walker, const struct walk_ops *rest,
			const struct regs *regs, uint64_t pc, uint64_t sp, frame_t *frames,
			size_t max, enum walk_end *end)
{
	const struct arch *arch = walker->tracee->arch;
	const int saved_reg = arch_saved_reg(arch);
	struct full_ops ops = {full_step, walker, rest};
	struct full_regs full = {0};

	for (int reg = 0; reg < arch->reg_count; reg++) {
		full.value[reg] = regs_read(arch, regs, reg);
		if (reg < 32 && (arch->callee_saved & (1u << reg)))
			full.known |= 1ull << reg;
	}
	if (saved_reg)
		full.known &= ~(1ull << saved_reg);
	/* The slot of the return address is a word below sp; the trap's stack ends there. */
	if (saved_reg &&
	    walker_word(walker,
			sp - arch->word_size - (taddr_t)arch->trap->frame +
				(taddr_t)arch->trap->saved,
			&full.value[saved_reg]) == 0)
		full.known |= 1ull << saved_reg;
	full.value[arch->reg_pc] = pc;
	full.value[arch->reg_sp] = sp;
	full.known |= 1ull << arch->reg_pc | 1ull << arch->reg_sp;
	return full_walk(&ops, arch, &full, false, frames, max, end);
}

/* Only a stub that sees its function return has a frame.  A handler that interrupts such a
 * function is the program's, and so is what it calls. */
static bool is_nested(const frame_t *frames, size_t count)
{
	for (size_t i = 0; i < count && !(frames[i] & FRAME_EXACT); i++)
		if (frame_instance(frames[i]) == WALKER_STUB)
			return true;
	return false;
}

/* The program never had the frames of our stubs. */
static size_t stubs_drop(frame_t *frames, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (frame_instance(frames[i]) != WALKER_STUB)
			frames[kept++] = frames[i];
	return kept;
}

static inline struct walk_ops ops_of(struct walker *walker)
{
	const struct arch *arch = walker->tracee->arch;

	return (struct walk_ops){walker_row,
				 read_word,
				 walker,
				 arch->word_size,
				 arch->code_mask | arch->state_mask,
				 .record_below = arch->chain == ARCH_CHAIN_BELOW,
				 .record_behind = arch->chain == ARCH_CHAIN_BEHIND,
				 .no_chain = arch->chain == ARCH_CHAIN_NONE,
				 .first_sp = walker->first_sp};
}

struct walk_ops walker_ops(struct walker *walker)
{
	return ops_of(walker);
}

/* Its ops never leave it: so the compiler knows what they are, and calls directly.  (A small build
 * has the walk once: 3 to 9 % more time, 1.4 KB less.) */
static size_t walk_rows(struct walker *walker, const struct walk_regs *start, frame_t *frames,
			size_t max, enum walk_end *end)
{
	const struct walk_ops ops = ops_of(walker);

#ifdef __OPTIMIZE_SIZE__
	return walk_stack(&ops, start, false, frames, max, end);
#else
	return walk_body_stack(&ops, walk_body_step, start, false, frames, max, end);
#endif
}

size_t walker_walk(struct walker *walker, const struct regs *regs, taddr_t ra_slot,
		   frame_t leaf, frame_t *frames, size_t max, enum walk_end *end)
{
	const struct arch *arch = walker->tracee->arch;
	struct walk_ops ops = walker_ops(walker);
	struct walk_regs start = {0};
	size_t count;

	if (walker->objects && walker->objects->shown.len && !walker->objects->told)
		walker_look_at_objects(walker);
	walker->nested = false;
	frames[0] = leaf;
	*end = max > 1 ? WALK_UNREADABLE : WALK_DEPTH;
	if (max < 2 || walker_word(walker, ra_slot, &start.pc))
		return 1;
	start.pc &= ops.code_mask;
	start.sp = ra_slot + arch->word_size;
	start.fp = regs_read(arch, regs, arch->reg_fp);
	count = walk_rows(walker, &start, frames + 1, max - 1, end);
	if (*end == WALK_FULL)
		count = walk_full(walker, &ops, regs, start.pc, start.sp, frames + 1, max - 1,
				  end);
	walker->nested = is_nested(frames + 1, count);
	return 1 + stubs_drop(frames + 1, count);
}

void walker_init(struct walker *walker, struct tracee *tracee, const struct modules *modules,
		 const struct hooks *hooks, const struct undo *undo)
{
	memset(walker, 0, offsetof(struct walker, window));
	walker->memory.read = read_window;
	walker->tracee = tracee;
	walker->modules = modules;
	walker->hooks = hooks;
	walker->undo = undo;
}

void walker_deinit(struct walker *walker)
{
	free(walker->cache);
	walker->cache = NULL;
	walker->cache_len = 0;
	agent_frames_deinit(&walker->agent);
}
