/*
 * Nobody may enter bytes that a patch covers but by the first of them.
 *
 * displace() has looked at the function itself.  Others lead there too, in code by hand or of
 * link-time optimisers: entries that jump into one another or fall through, an address in a
 * table.  Looked at are:
 *
 *    the module's symbols                  one within covered bytes is an entry
 *    its code                              branches, and addresses taken
 *    its data, as far as the file has it   an aligned word that is such an address (the
 *                                          loader has relocated it)
 *    the function's switch tables          distances from a table that it takes the address of
 *
 * Code is searched without knowing where its instructions begin, which is fast (2.3 ms for a
 * libc) and finds too much; what it found is decoded again from where an instruction is known to begin: the symbol
 * in front of it, or, in a stripped file, the unwind data.
 *    its unwind data                       a displaced call returns to the copy, of which the C++
 *                                          runtime knows nothing: what it throws would not find a
 *                                          handler of the function's
 *
 * Exceptions don't land there: a landing pad lies behind a call, and nothing behind one is
 * covered, nor behind a jump but padding (rows of unit/test_displace; on ARM no call is); and no
 * block falls through into one, as only the unwinder leads there.  (152 745 pads of 192 files of
 * Debian 12: none in what would be covered of their 51 292 exported functions that can be
 * displaced.)
 */
#include "hook/ways.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "unwind/cfi.h"

enum {
	MOST = 64,	   /* hooks of a module */
	WAYS = 32,	   /* in a piece: more are no accident */
	PIECE = 64 * 1024, /* of memory, looked at at once */
	OVERLAP = 16,	   /* an instruction may lie across */
	BACK = 64 * 1024,  /* how far in front decoding may begin */
	TABLE = 1024,	   /* entries of a switch */
};

struct ways {
	struct tracee *tracee;
	const struct module *module;
	const struct hook *hooks;
	struct covered covered[MOST];
	size_t hook_of[MOST]; /* index into hooks */
	size_t count;
	taddr_t low, high;
	uint8_t *piece;
	struct cfi *cfi; /* opened when it is needed; NULL: not there */
	bool asked;
	struct way found; /* .target 0: none yet */
	const char *what;
};

/* Bytes with one instruction in them have nothing in between. */
static void ranges_fill(struct ways *w, size_t count)
{
	w->low = UINT64_MAX;
	for (size_t i = 0; i < count && w->count < MOST; i++) {
		const struct stub *stub = &w->hooks[i].stub;
		const struct displaced *d = &stub->displaced;
		struct covered covered = {stub->function, stub->function + displaced_covered(d)};

		if (d->count < 2 || d->map[1].original >= displaced_covered(d))
			continue;
		w->low = covered.begin < w->low ? covered.begin : w->low;
		w->high = covered.end > w->high ? covered.end : w->high;
		w->hook_of[w->count] = i;
		w->covered[w->count++] = covered;
	}
}

/* The hook whose patch would cover target, not as its first byte; NULL: none. */
static const struct hook *covered_by(const struct ways *w, taddr_t target)
{
	for (size_t i = 0; target > w->low && target < w->high && i < w->count; i++)
		if (target > w->covered[i].begin && target < w->covered[i].end)
			return &w->hooks[w->hook_of[i]];
	return NULL;
}

static bool is_covered(const struct ways *w, taddr_t target)
{
	return covered_by(w, target) != NULL;
}

static bool found(struct ways *w, taddr_t at, taddr_t target, const char *what)
{
	w->found = (struct way){at, target};
	w->what = what;
	return true;
}

/* Reading all of what is not written to from memory would map it all, in the target. */
static bool piece_read(struct ways *w, bool written, taddr_t at, size_t len)
{
	return written ? !target_read(&w->tracee->target, at, w->piece, len)
		       : !image_read(w->module->image, at - w->module->bias, w->piece, len);
}

/* Calls visit for every piece of the segment, which overlap, until it returns true. */
static bool pieces_visit(struct ways *w, const struct image_segment *segment,
			 bool (*visit)(struct ways *w, taddr_t at, size_t len))
{
	taddr_t at = w->module->bias + segment->vaddr;
	uint64_t left = segment->file_size;

	while (left) {
		size_t len = left < PIECE ? (size_t)left : PIECE;
		size_t step = left <= PIECE ? len : PIECE - OVERLAP;

		/* what can't be read is not there */
		if (piece_read(w, segment->flags & PF_W, at, len) && visit(w, at, len))
			return true;
		at += step;
		left -= step;
	}
	return false;
}

/* ---- symbols ----------------------------------------------------------- */

static bool symbol_is_within(void *arg, const struct image_symbol *symbol)
{
	struct ways *w = arg;
	taddr_t at = w->module->bias + symbol->value;

	if ((symbol->type != STT_FUNC && symbol->type != STT_NOTYPE &&
	     symbol->type != STT_GNU_IFUNC) ||
	    symbol->name[0] == '$' || !is_covered(w, at)) /* ($t, $d: ELF for the Arm, 4.5.5) */
		return false;
	return found(w, at, at, "a symbol at");
}

struct start_search {
	uint64_t at, start;
	bool thumb;
	uint64_t mapping; /* of the nearest mapping symbol ($a, $t, $x, $d) */
	bool data;	  /* it says that data begin there: a literal pool */
};

static bool is_nearer(void *arg, const struct image_symbol *symbol)
{
	struct start_search *search = arg;

	if (symbol->name[0] == '$' && symbol->value <= search->at &&
	    symbol->value >= search->mapping) {
		search->mapping = symbol->value;
		search->data = symbol->name[1] == 'd';
	}
	if (symbol->type == STT_FUNC && symbol->value <= search->at &&
	    symbol->value >= search->start) {
		search->start = symbol->value;
		search->thumb = symbol->thumb;
	}
	return false;
}

/* ---- code -------------------------------------------------------------- */

static struct covered segment_of(const struct ways *w, uint64_t vaddr)
{
	size_t count = 0;
	const struct image_segment *s = image_segments(w->module->image, &count);

	for (size_t i = 0; i < count; i++)
		if (vaddr - s[i].vaddr < s[i].file_size)
			return (struct covered){s[i].vaddr, s[i].vaddr + s[i].file_size};
	return (struct covered){vaddr, vaddr};
}

/* (What unwind data says of ARM's code is not whether it is T32's.) */
static struct cfi *unwind_data(struct ways *w)
{
	const struct arch *arch = w->tracee->arch;

	if (!w->asked && !arch->state_mask && cfi_open(w->module->image, arch, &w->cfi, NULL))
		w->cfi = NULL;
	w->asked = true;
	return w->cfi;
}

static bool unwind_start(struct ways *w, uint64_t vaddr, uint64_t *ret)
{
	return unwind_data(w) && cfi_begin(w->cfi, vaddr, ret);
}

/* Is the way one of an instruction's, in the order in which they follow one that is known?
 * Where none is, decoding finds its feet within some instructions. */
static bool way_is_true(struct ways *w, const struct way *way)
{
	struct start_search search = {.at = way->at - w->module->bias};
	const struct covered segment = segment_of(w, search.at);
	const struct arch *arch = w->tracee->arch;
	struct way ways[WAYS];
	uint64_t unwind;
	taddr_t start;
	uint8_t *code;
	size_t len, n;
	bool same = false;

	search.start = search.at - segment.begin > BACK ? search.at - BACK : segment.begin;
	search.thumb = arch->state_mask != 0;
	image_for_each_symbol(w->module->image, is_nearer, &search);
	if (search.data)
		return false;
	if (unwind_start(w, search.at, &unwind) && unwind > search.start)
		search.start = unwind;
	start = w->module->bias + search.start;
	len = (size_t)(search.at - search.start);
	len += segment.end - search.at < OVERLAP ? (size_t)(segment.end - search.at) : OVERLAP;
	code = malloc(len);
	if (!code || image_read(w->module->image, search.start, code, len)) {
		free(code);
		return true;
	}
	n = arch->trap->ways_in(code, len, start | search.thumb, false, w->covered, w->count, ways,
			  WAYS);
	for (size_t i = 0; i < n && i < WAYS; i++)
		same |= ways[i].at == way->at;
	free(code);
	return same || n > WAYS;
}

static bool code_leads_in(struct ways *w, taddr_t at, size_t len)
{
	struct way ways[WAYS];
	size_t n = w->tracee->arch->trap->ways_in(w->piece, len, at, true, w->covered, w->count, ways,
					    WAYS);

	for (size_t i = 0; i < n && i < WAYS; i++)
		if (way_is_true(w, &ways[i]))
			return found(w, ways[i].at, ways[i].target, "the instruction at");
	return n > WAYS && found(w, at, ways[0].target, "many instructions behind");
}

/* ---- data -------------------------------------------------------------- */

/* An address of T32 code has bit 0 set, of A32 code not: else the branch would change the
 * state. (In literal pools there are distances, which are any number.) */
static bool is_address_in(const struct ways *w, uint64_t word)
{
	const uint64_t state = w->tracee->arch->state_mask;
	const struct hook *hook = covered_by(w, word & ~state);

	return hook && (word & state) == (hook->stub.thumb ? state : 0);
}

static bool data_leads_in(struct ways *w, taddr_t at, size_t len)
{
	const struct arch *arch = w->tracee->arch;
	const unsigned size = arch->word_size;

	for (size_t i = (size_t)(-at & (size - 1)); i + size <= len; i += size) {
		uint64_t word = arch_word(arch, w->piece + i);

		if (word > w->low && word < w->high && is_address_in(w, word))
			return found(w, at + i, word & ~arch->state_mask, "the address at");
	}
	return false;
}

static bool segments_lead_in(struct ways *w)
{
	size_t count = 0;
	const struct image_segment *segments = image_segments(w->module->image, &count);

	for (size_t i = 0; i < count; i++) {
		if ((segments[i].flags & PF_X) && pieces_visit(w, &segments[i], code_leads_in))
			return true;
		if (pieces_visit(w, &segments[i], data_leads_in))
			return true;
	}
	return false;
}

/* Does the table at `at` hold distances from itself to code of the function, one of which
 * leads into covered bytes?  It ends where one leads elsewhere. */
static bool table_leads_in(struct ways *w, const struct hook *hook, taddr_t at)
{
	int32_t entries[TABLE];
	ssize_t len = target_read_some(&w->tracee->target, at, entries, sizeof(entries));

	for (ssize_t i = 0; (i + 1) * (ssize_t)sizeof(entries[0]) <= len; i++) {
		taddr_t target = at + (taddr_t)(int64_t)entries[i];

		if (target - hook->address >= hook->code.len)
			return false;
		if (is_covered(w, target))
			return found(w, at, target, "the table at");
	}
	return false;
}

/* Its tables are where it takes addresses, in the module and behind or before the code. */
static bool tables_lead_in(struct ways *w)
{
	const struct arch *arch = w->tracee->arch;
	struct covered module = {w->module->begin, w->module->end};
	struct way ways[TABLE];

	for (size_t i = 0; i < w->count; i++) {
		const struct hook *hook = &w->hooks[w->hook_of[i]];
		size_t n = arch->trap->ways_in(hook->code.bytes, hook->code.len,
					 hook->address | hook->stub.thumb, false, &module, 1,
					 ways, TABLE);

		for (size_t k = 0; k < n && k < TABLE; k++)
			if (table_leads_in(w, hook, ways[k].target))
				return true;
	}
	return false;
}

/* ---- exceptions -------------------------------------------------------- */

static bool call_is_guarded(struct ways *w, const struct hook *hook)
{
	return hook->stub.displaced.calls && unwind_data(w) &&
	       cfi_has_handlers(w->cfi, hook->address - w->module->bias);
}

int ways_check(struct tracee *tracee, const struct module *module, const struct hook *hooks,
	       size_t count, size_t *failed, struct err *err)
{
	struct ways w = {.tracee = tracee, .module = module, .hooks = hooks};

	for (*failed = 0; *failed < count; ++*failed)
		if (call_is_guarded(&w, &hooks[*failed])) {
			cfi_close(w.cfi);
			return err_set(err, -ENOTSUP,
				       "it begins with a call, and catches what that throws");
		}
	ranges_fill(&w, count);
	if (!w.count || !tracee->arch->trap->ways_in) {
		cfi_close(w.cfi);
		return 0;
	}
	w.piece = malloc(PIECE + sizeof(uint64_t));
	if (!w.piece) {
		cfi_close(w.cfi);
		return err_set(err, -ENOMEM, "memory is short");
	}
	image_for_each_symbol(module->image, symbol_is_within, &w);
	if (!w.found.target && !segments_lead_in(&w))
		tables_lead_in(&w);
	free(w.piece);
	cfi_close(w.cfi);
	if (!w.found.target)
		return 0;
	for (size_t i = 0; i < w.count; i++)
		if (w.found.target > w.covered[i].begin && w.found.target < w.covered[i].end)
			*failed = w.hook_of[i];
	return err_set(err, -ENOTSUP,
		       "%s 0x%" PRIx64 " leads to byte %u of it, which a patch would cover",
		       w.what, w.found.at - module->bias,
		       (unsigned)(w.found.target - hooks[*failed].address));
}
