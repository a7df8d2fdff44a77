/*
 * The order of trust; see mips_unwind.h.  A signal's frame is, from the sp at which its handler was
 * called (arch/mips/kernel/signal.c):
 *
 *    struct rt_sigframe    +24 siginfo, +152 ucontext, of which +24 is sigcontext
 *    struct sigframe       +24 sigcontext (a handler without SA_SIGINFO)
 *    struct sigcontext     +8 pc, +16 registers, each of 8 bytes whatever the ABI
 *
 * and the handler returns to two instructions of the vdso that no call frame information covers:
 * li v0, NUMBER; syscall.
 */
#include "unwind/mips_unwind.h"

#include <elf.h>

#include <errno.h>
#include <stdlib.h>

#include "arch/cpu.h"
#include "base/types.h"
#include "unwind/mips_frame.h"
#include "unwind/mips_pdr.h"

enum {
	CALL = 8,      /* a call and its delay slot */
	SYSCALL = 0xc,
	LI_V0 = 0x2402,
	NR_EXIT = 4001,
	NR_SIGRETURN = 4119,
	NR_RT_SIGRETURN = 4193,
	PLAIN_CONTEXT = 24,
	RT_CONTEXT = 152 + 24,
	CONTEXT_PC = 8,
	CONTEXT_REGISTERS = 16,
};

struct mips_unwind {
	struct image *image;
	const struct arch *arch;
	struct code_place code;
	struct mips_pdr *pdr;
};

static const struct code_reader reader = {mips_scan, mips_scan_begin};

struct mips_unwind *mips_create(struct image *image, const struct arch *arch)
{
	struct mips_unwind *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->image = image;
	u->arch = arch;
	u->code = (struct code_place){image, arch, &reader};
	u->pdr = mips_pdr_open(image, arch);
	return u;
}

void mips_destroy(struct mips_unwind *u)
{
	if (u)
		mips_pdr_close(u->pdr);
	free(u);
}

/* ---- two instructions that tell ------------------------------------------ */

/* Of `li v0, NUMBER; syscall` at vaddr: the number; 0: something else stands there. */
static uint32_t call_number(struct mips_unwind *u, uint64_t vaddr)
{
	uint8_t code[2 * 8]; /* (the compiler sees a reader of 8 bytes at each word) */
	uint32_t first;

	if (image_read(u->image, vaddr, code, 8) ||
	    arch_word(u->arch, code + 4) != SYSCALL)
		return 0;
	first = (uint32_t)arch_word(u->arch, code);
	return first >> 16 == LI_V0 ? first & 0xffff : 0;
}

bool mips_is_signal(struct mips_unwind *u, const struct unwinder_place *place)
{
	uint32_t number =
		u && !place->exact && !place->thumb ? call_number(u, place->vaddr) : 0;

	return number == NR_SIGRETURN || number == NR_RT_SIGRETURN;
}

int mips_signal_step(struct mips_unwind *u, const struct unwinder_place *place,
		     struct memory *memory, struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	bool rt = call_number(u, place->vaddr) == NR_RT_SIGRETURN;
	uint64_t context = regs->value[MIPS_SP] + (rt ? RT_CONTEXT : PLAIN_CONTEXT);
	uint8_t bytes[CONTEXT_REGISTERS + 8 * CODE_FRAME_REGS];
	const uint8_t *low = bytes + (u->arch->big_endian ? 4 : 0);

	if (memory_read(memory, (uint32_t)context, bytes, sizeof(bytes)))
		return -EFAULT;
	for (unsigned reg = 0; reg < CODE_FRAME_REGS; reg++)
		regs->value[reg] = arch_word(u->arch, low + CONTEXT_REGISTERS + 8 * reg);
	regs->value[MIPS_PC] = arch_word(u->arch, low + CONTEXT_PC);
	regs->known = (1ull << (MIPS_PC + 1)) - 1;
	*cfa = regs->value[MIPS_SP];
	*flags = ROW_SIGNAL;
	return 0;
}

/* clone()'s child comes back from its function to `move a0, v0; li v0, exit; syscall`, and nobody
 * called it. */
static bool is_end_of_thread(struct mips_unwind *u, const struct unwinder_place *place)
{
	return !place->exact && (call_number(u, place->vaddr) == NR_EXIT ||
				 call_number(u, place->vaddr + 4) == NR_EXIT);
}

/* ---- frames ------------------------------------------------------------- */

static bool is_behind_call(struct mips_unwind *u, const struct unwinder_place *place)
{
	uint8_t code[CALL];

	return image_read(u->image, place->vaddr - CALL, code, sizeof(code)) == 0 &&
	       (place->thumb ? mips16_is_behind_call : mips_is_behind_call)(u->arch, code);
}

/* .. that a call in it has. */
static bool by_table(struct mips_unwind *u, const struct unwinder_place *place, uint64_t *begin,
		     struct code_frame *ret)
{
	return mips_pdr_find(u->pdr, unwinder_lookup(place) | place->thumb, begin, ret) &&
	       (*begin & 1) == place->thumb;
}

/* MIPS16: the table alone says it. */
static int frame_of_16(struct mips_unwind *u, const struct unwinder_place *place,
		       struct code_frame *ret)
{
	uint64_t begin;

	return !place->exact && is_behind_call(u, place) && by_table(u, place, &begin, ret) &&
			       ret->at[MIPS_RA]
		       ? 0
		       : -ENOENT;
}

static int frame_at(struct mips_unwind *u, const struct unwinder_place *place,
		    struct code_frame *ret)
{
	struct code_frame by_pdr;
	struct image_symbol symbol;
	uint64_t begin = 0;
	bool has_pdr, known;

	*ret = (struct code_frame){.root = true};
	if (!u)
		return -ENOENT;
	if (place->thumb)
		return frame_of_16(u, place, ret);
	if (is_end_of_thread(u, place))
		return 0;
	if (!place->exact && !is_behind_call(u, place))
		return -ENOENT;
	has_pdr = by_table(u, place, &begin, &by_pdr);
	known = code_function_begin(&u->code, unwinder_lookup(place), has_pdr, &begin, &symbol) &&
		!symbol.thumb;
	if (code_is_start(&u->code, unwinder_lookup(place), known, begin))
		return 0;
	if (!place->exact && has_pdr && by_pdr.at[MIPS_RA]) {
		*ret = by_pdr;
		return 0;
	}
	return code_scan(&u->code, place->vaddr, known, begin, ret);
}

void mips_place_row(struct mips_unwind *u, const struct unwinder_place *place, struct row *ret)
{
	struct code_frame frame;

	if (frame_at(u, place, &frame) == 0)
		code_frame_row(u->arch, &frame, place->exact, ret);
}

int mips_place_step(struct mips_unwind *u, const struct unwinder_place *place,
		    struct memory *memory, struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct code_frame frame;

	if (frame_at(u, place, &frame))
		return -ENOENT;
	return code_frame_step(u->arch, &frame, place->exact, memory, regs, cfa, flags);
}
