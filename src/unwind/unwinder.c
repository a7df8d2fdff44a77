/* The order of trust: each source is asked where the one before has no answer. */
#include "unwind/unwinder.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "unwind/exidx.h"
#include "unwind/scan.h"
#include "unwind/signal_a64.h"

enum { TRAMPOLINE_LEN = 8, START_LEN = 64, FUNCTION_MAX = 1 << 16 };
enum { GAP_BEFORE = 16384, GAP_BEHIND = 4096 };

struct unwinder {
	struct image *image;
	const struct arch *arch;
	struct cfi *cfi;     /* NULL: not there */
	struct exidx *exidx; /* the same */
};

int unwinder_open(struct image *image, const struct arch *arch, struct unwinder **ret,
		  struct err *err)
{
	struct unwinder *unwinder = calloc(1, sizeof(*unwinder));

	if (!unwinder)
		return err_sys(err, -ENOMEM, "reading unwind data");
	unwinder->image = image;
	unwinder->arch = arch;
	if (cfi_open(image, arch, &unwinder->cfi, NULL))
		unwinder->cfi = NULL;
	if (arch->elf_machine == EM_ARM && exidx_open(image, &unwinder->exidx, NULL))
		unwinder->exidx = NULL;
	*ret = unwinder;
	return 0;
}

void unwinder_close(struct unwinder *unwinder)
{
	if (!unwinder)
		return;
	cfi_close(unwinder->cfi);
	exidx_close(unwinder->exidx);
	free(unwinder);
}

const char *unwinder_from(const struct unwinder *unwinder)
{
	if (unwinder->cfi)
		return image_eh_frame(unwinder->image)->bytes ? ".eh_frame" : ".debug_frame";
	return unwinder->exidx ? ".ARM.exidx" : "none";
}

/* Where to look things up: a call is the instruction before the return address. */
static uint64_t lookup_of(const struct unwinder_place *place)
{
	return place->exact ? place->vaddr : place->vaddr - 1;
}

/* What the system call that a return address leads to says of its frame. */
struct trampoline {
	bool is_exit;	  /* the outermost frame of a thread */
	uint32_t context; /* where struct sigcontext's r0 lies from sp; 0: none */
};

static struct trampoline trampoline_at(const struct unwinder *u,
				       const struct unwinder_place *place)
{
	uint8_t code[TRAMPOLINE_LEN];

	if (u->arch->elf_machine != EM_ARM || place->exact ||
	    image_read(u->image, place->vaddr, code, sizeof(code)))
		return (struct trampoline){0};
	return (struct trampoline){
		.is_exit = scan_is_exit(code, sizeof(code), place->thumb),
		.context = scan_sigreturn(code, sizeof(code), place->thumb),
	};
}

/* Does a handler of AArch64 return here? */
static bool is_signal_a64(const struct unwinder *u, const struct unwinder_place *place)
{
	uint8_t code[SIGNAL_A64_CODE];

	return u->arch->elf_machine == EM_AARCH64 && !place->exact &&
	       image_read(u->image, place->vaddr, code, sizeof(code)) == 0 &&
	       signal_a64_is(code);
}

/* The function around a place: its symbol, or that the program begins there. */
static bool function_at(const struct unwinder *u, uint64_t vaddr, struct image_symbol *ret)
{
	uint64_t entry = image_entry(u->image);

	if (image_symbol_at(u->image, vaddr, ret) && ret->type == STT_FUNC && ret->size)
		return ret->size <= FUNCTION_MAX;
	*ret = (struct image_symbol){
		.value = entry & ~1ull, .size = START_LEN, .thumb = entry & 1};
	return entry && vaddr >= ret->value && vaddr - ret->value < START_LEN;
}

/* Code between what is known: ends of functions before, begins of functions behind. */
struct gap {
	uint64_t vaddr;
	uint64_t begin, end;
};

static bool gap_narrow(void *arg, const struct image_symbol *symbol)
{
	struct gap *gap = arg;
	uint64_t end = symbol->value + symbol->size;

	if (symbol->type != STT_FUNC)
		return false;
	if (symbol->value > gap->vaddr && symbol->value < gap->end)
		gap->end = symbol->value;
	if (end <= gap->vaddr && end > gap->begin)
		gap->begin = end;
	return false;
}

static bool gap_around(const struct unwinder *u, uint64_t vaddr, struct gap *ret)
{
	struct gap gap = {.vaddr = vaddr};
	struct exidx_entry entry;
	size_t count;
	const struct image_segment *segments = image_segments(u->image, &count);

	for (size_t i = 0; i < count; i++) {
		if (!(segments[i].flags & PF_X) ||
		    vaddr - segments[i].vaddr >= segments[i].file_size)
			continue;
		gap.begin = segments[i].vaddr;
		gap.end = gap.begin + segments[i].file_size;
	}
	image_for_each_symbol(u->image, gap_narrow, &gap);
	if (u->exidx && exidx_find(u->exidx, vaddr, &entry)) {
		gap.begin = entry.begin > gap.begin ? entry.begin : gap.begin;
		gap.end = entry.end < gap.end ? entry.end : gap.end;
	}
	if (vaddr - gap.begin > GAP_BEFORE)
		gap.begin = (vaddr - GAP_BEFORE) & ~3ull;
	if (gap.end - vaddr > GAP_BEHIND)
		gap.end = vaddr + GAP_BEHIND;
	*ret = gap;
	return gap.begin <= vaddr && vaddr < gap.end;
}

/* By the code: from the function's begin, or from what looks like it. */
static int scan_code(const struct unwinder *u, uint64_t vaddr, struct scan_function *f,
		     bool around, struct scan_frame *ret)
{
	uint8_t *code = malloc(f->len);
	int failed;

	if (!code)
		return -ENOENT;
	f->code = code;
	failed = image_read(u->image, f->begin, code, f->len);
	if (!failed)
		failed = around ? scan_find_around(f, vaddr, ret) : scan_find(f, vaddr, ret);
	free(code);
	return failed ? -ENOENT : 0;
}

/* Stands a call before a return address?  What a wrong step finds seldom does. */
static bool is_behind_call(const struct unwinder *u, const struct unwinder_place *place)
{
	uint8_t code[4];

	return image_read(u->image, place->vaddr - sizeof(code), code, sizeof(code)) == 0 &&
	       scan_is_behind_call(code, place->thumb);
}

static int scan_at(const struct unwinder *u, const struct unwinder_place *place,
		   struct scan_frame *ret)
{
	struct scan_function function = {.thumb = place->thumb};
	uint64_t vaddr = lookup_of(place);
	struct image_symbol symbol;
	struct gap gap;

	if (u->arch->elf_machine != EM_ARM || (!place->exact && !is_behind_call(u, place)))
		return -ENOENT;
	if (function_at(u, vaddr, &symbol)) {
		if (!place->exact && place->thumb != symbol.thumb)
			return -ENOENT;
		function.begin = symbol.value;
		function.len = (size_t)symbol.size;
		function.thumb = symbol.thumb;
		return scan_code(u, vaddr, &function, false, ret);
	}
	if (!gap_around(u, vaddr, &gap))
		return -ENOENT;
	function.begin = gap.begin;
	function.len = (size_t)(gap.end - gap.begin);
	return scan_code(u, vaddr, &function, true, ret);
}

void unwinder_row(struct unwinder *u, const struct unwinder_place *place, struct row *ret)
{
	struct trampoline trampoline;
	struct scan_frame frame;

	*ret = (struct row){.cfa = is_signal_a64(u, place) ? ROW_CFA_FULL : ROW_CFA_NONE};
	if (ret->cfa == ROW_CFA_FULL)
		return;
	if (u->cfi && cfi_row(u->cfi, lookup_of(place), ret) != -ENOENT)
		return;
	trampoline = trampoline_at(u, place);
	if (trampoline.is_exit || trampoline.context) {
		ret->cfa = trampoline.is_exit ? ROW_CFA_ROOT : ROW_CFA_FULL;
		return;
	}
	if (u->exidx && exidx_row(u->exidx, lookup_of(place), ret) != -ENOENT)
		return;
	if (scan_at(u, place, &frame) == 0)
		scan_row(&frame, place->exact, ret);
}

int unwinder_step(struct unwinder *u, const struct unwinder_place *place, struct memory *memory,
		  struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct trampoline trampoline;
	struct scan_frame frame;
	int failed = -ENOENT;

	if (is_signal_a64(u, place))
		return signal_a64_step(memory, regs, cfa, flags);
	if (u->cfi)
		failed = cfi_step(u->cfi, lookup_of(place), memory, regs, cfa, flags);
	if (failed != -ENOENT)
		return failed;
	trampoline = trampoline_at(u, place);
	if (trampoline.is_exit)
		return -ENODATA;
	if (trampoline.context)
		return scan_sigreturn_step(trampoline.context, memory, regs, cfa, flags);
	if (u->exidx)
		failed = exidx_step(u->exidx, lookup_of(place), memory, regs, cfa, flags);
	if (failed != -ENOENT || scan_at(u, place, &frame))
		return failed;
	return scan_step(&frame, memory, regs, cfa, flags);
}
