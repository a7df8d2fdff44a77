/* The order of trust: each source is asked where the one before has no answer. */
#include "unwind/unwinder.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "arch/native.h"
#include "unwind/exidx.h"
#include "unwind/mips_unwind.h"
#include "unwind/riscv64_frame.h"
#include "unwind/scanner.h"
#include "unwind/signal_a64.h"
#include "unwind/signal_arm.h"
#include "unwind/signal_riscv64.h"

struct unwinder {
	struct image *image;
	const struct arch *arch;
	struct cfi *cfi;	 /* NULL: not there */
	struct exidx *exidx;	 /* the same */
	struct scanner *scanner; /* of 32-bit ARM; NULL: not */
	struct mips_unwind *by_code;	 /* of MIPS; NULL: not */
};

static bool is_arm(const struct unwinder *u)
{
	return NATIVE_OR_ANY(NATIVE_ARM) && u->arch->elf_machine == EM_ARM;
}

static bool is_mips(const struct unwinder *u)
{
	return NATIVE_OR_ANY(NATIVE_MIPS) && u->arch->elf_machine == EM_MIPS;
}

static bool is_a64(const struct unwinder *u)
{
	return NATIVE_OR_ANY(NATIVE_AARCH64) && u->arch->elf_machine == EM_AARCH64;
}

static bool is_riscv64(const struct unwinder *u)
{
	return NATIVE_OR_ANY(NATIVE_RISCV64) && u->arch->elf_machine == EM_RISCV;
}

int unwinder_open(struct image *image, const struct arch *arch, struct unwinder **ret,
		  struct err *err)
{
	struct unwinder *unwinder;

	if (!cfi_is_for(image, arch))
		return err_set(err, -ENOTSUP, "the file is for another CPU than %s",
			       arch->name);
	unwinder = calloc(1, sizeof(*unwinder));
	if (!unwinder)
		return err_sys(err, -ENOMEM, "reading unwind data");
	unwinder->image = image;
	unwinder->arch = arch;
	if (cfi_open(image, arch, &unwinder->cfi, NULL))
		unwinder->cfi = NULL;
	if (is_arm(unwinder) && exidx_open(image, &unwinder->exidx, NULL))
		unwinder->exidx = NULL;
	if (is_arm(unwinder))
		unwinder->scanner = scanner_create(image, unwinder->exidx);
	if (is_mips(unwinder))
		unwinder->by_code = mips_create(image, arch);
	*ret = unwinder;
	return 0;
}

void unwinder_close(struct unwinder *unwinder)
{
	if (!unwinder)
		return;
	cfi_close(unwinder->cfi);
	if (is_arm(unwinder)) {
		scanner_destroy(unwinder->scanner);
		exidx_close(unwinder->exidx);
	}
	if (is_mips(unwinder))
		mips_destroy(unwinder->by_code);
	free(unwinder);
}

const char *unwinder_from(const struct unwinder *unwinder)
{
	if (unwinder->cfi)
		return image_eh_frame(unwinder->image)->bytes ? ".eh_frame" : ".debug_frame";
	return unwinder->exidx ? ".ARM.exidx" : "none";
}

/* What the system call that a return address leads to says of its frame. */
struct trampoline {
	bool is_exit;	  /* the outermost frame of a thread */
	uint32_t context; /* where struct sigcontext's r0 lies from sp; 0: none */
};

static struct trampoline trampoline_at(const struct unwinder *u,
				       const struct unwinder_place *place)
{
	uint8_t code[SIGNAL_ARM_CODE];

	if (!is_arm(u) || place->exact ||
	    image_read(u->image, place->vaddr, code, sizeof(code)))
		return (struct trampoline){0};
	return (struct trampoline){
		.is_exit = signal_arm_is_exit(code, sizeof(code), place->thumb),
		.context = signal_arm_context(code, sizeof(code), place->thumb),
	};
}

/* Does a handler of AArch64's, or RISC-V's, return here? */
static bool is_signal(const struct unwinder *u, const struct unwinder_place *place)
{
	uint8_t code[SIGNAL_A64_CODE];

	_Static_assert(sizeof(code) == SIGNAL_RISCV64_CODE, "two instructions of 4 bytes");
	if (is_mips(u))
		return mips_is_signal(u->by_code, place);
	if ((!is_a64(u) && !is_riscv64(u)) || place->exact ||
	    image_read(u->image, place->vaddr, code, sizeof(code)))
		return false;
	return is_a64(u) ? signal_a64_is(code) : signal_riscv64_is(code);
}

/* What only 32-bit ARM has: trampolines that no call frame information describes, .ARM.exidx, and
 * code that tells its frame. */
static void arm_row(struct unwinder *u, const struct unwinder_place *place, struct row *ret)
{
	struct trampoline trampoline = trampoline_at(u, place);
	const struct scan_frame *frame;

	if (trampoline.is_exit || trampoline.context) {
		ret->cfa = trampoline.is_exit ? ROW_CFA_ROOT : ROW_CFA_FULL;
		return;
	}
	if (u->exidx && exidx_row(u->exidx, unwinder_lookup(place), ret) != -ENOENT)
		return;
	frame = scanner_find(u->scanner, place);
	if (frame)
		scan_row(frame, place->exact, ret);
}

void unwinder_row(struct unwinder *u, const struct unwinder_place *place, struct row *ret)
{
	*ret = (struct row){.cfa = is_signal(u, place) ? ROW_CFA_FULL : ROW_CFA_NONE};
	if (ret->cfa == ROW_CFA_FULL)
		return;
	if (u->cfi && cfi_row(u->cfi, unwinder_lookup(place), ret) != -ENOENT)
		return;
	if (is_arm(u))
		arm_row(u, place, ret);
	if (is_mips(u))
		mips_place_row(u->by_code, place, ret);
	if (is_riscv64(u))
		riscv64_place_row(u->image, u->arch, place, ret);
}

static int arm_step(struct unwinder *u, const struct unwinder_place *place, struct memory *memory,
		    struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct trampoline trampoline = trampoline_at(u, place);
	const struct scan_frame *frame;
	int failed = -ENOENT;

	if (trampoline.is_exit)
		return -ENODATA;
	if (trampoline.context)
		return signal_arm_step(trampoline.context, memory, regs, cfa, flags);
	if (u->exidx)
		failed = exidx_step(u->exidx, unwinder_lookup(place), memory, regs, cfa, flags);
	if (failed != -ENOENT)
		return failed;
	frame = scanner_find(u->scanner, place);
	return frame ? scan_step(frame, memory, regs, cfa, flags) : -ENOENT;
}

int unwinder_step(struct unwinder *u, const struct unwinder_place *place, struct memory *memory,
		  struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	int failed = -ENOENT;

	if (is_mips(u) && mips_is_signal(u->by_code, place))
		return mips_signal_step(u->by_code, place, memory, regs, cfa, flags);
	if (is_signal(u, place))
		return is_a64(u) ? signal_a64_step(memory, regs, cfa, flags)
				 : signal_riscv64_step(memory, regs, cfa, flags);
	if (u->cfi)
		failed = cfi_step(u->cfi, unwinder_lookup(place), memory, regs, cfa, flags);
	if (failed == -ENOENT && is_mips(u))
		return mips_place_step(u->by_code, place, memory, regs, cfa, flags);
	if (failed == -ENOENT && is_riscv64(u))
		return riscv64_place_step(u->image, u->arch, place, memory, regs, cfa, flags);
	if (failed != -ENOENT || !is_arm(u))
		return failed;
	return arm_step(u, place, memory, regs, cfa, flags);
}
