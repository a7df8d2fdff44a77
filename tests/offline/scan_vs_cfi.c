/*
 * The prologue scan and the exception tables against .debug_frame, at every call of
 * every function of a library.
 *
 *     scan_vs_cfi [-v|-s] LIBRARY DEBUGFILE
 *     scan_vs_cfi [-x|-xv] LIBRARY
 *
 * Code and .ARM.exidx are the library's; functions, and what is right, the debug file's.
 * -x: there is no debug file; functions are those that the library exports, and what is
 * right says .ARM.exidx, at calls in functions that it describes.
 * A frame is compared by CFA and by the places of lr, r7 and r11, with sp, r7 and r11
 * as far from each other as a wrong base would show.  (Where the scan tells the CFA by
 * sp and CFI by a frame pointer, the scan must know the latter too; else the call is
 * "unproven".)  One line for the scan, one for the tables.  -v: every difference.
 * -s: the scan is not told where functions begin.
 */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vec.h"
#include "unwind/exidx.h"
#include "unwind/scan.h"
#include "unwind/scan_insn.h"

enum { FP7 = 7, FP = 11, SP = 13, LR = 14, PC = 15 };

/* Enough of an architecture for the evaluation of CFI. */
static const struct arch arm = {
	.name = "arm",
	.elf_machine = EM_ARM,
	.elf_class = ELFCLASS32,
	.word_size = 4,
	.code_mask = 0xfffffffe,
	.reg_count = 16,
	.reg_pc = PC,
	.reg_sp = SP,
	.reg_fp = FP,
	.reg_lr = LR,
	.callee_saved = 0x0ff0,
};

struct counts {
	unsigned calls, equal, different, silent, unproven;
};

struct mark { /* "$a", "$t", "$d": what begins here is code, or data */
	uint64_t vaddr;
	bool data;
};

struct check {
	VEC(struct mark) marks; /* ascending */
	struct image *code;
	struct cfi *cfi;
	struct exidx *exidx;
	struct counts scan, tables;
	bool verbose, around;
	bool by_tables; /* they are the measure, not .debug_frame */
};

static bool mark(void *arg, const struct image_symbol *symbol)
{
	struct check *c = arg;
	struct mark m = {symbol->value, symbol->name[1] == 'd'};

	if (symbol->name[0] == '$' && !vec_push(&c->marks, m))
		exit(2);
	return false;
}

static int by_vaddr(const void *a, const void *b)
{
	const struct mark *left = a, *right = b;

	return left->vaddr < right->vaddr ? -1 : left->vaddr > right->vaddr;
}

static bool is_data(const struct check *c, uint64_t vaddr)
{
	size_t low = 0, high = c->marks.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->marks.at[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && c->marks.at[low - 1].data;
}

/* A word of the stack says where it lies. */
static int echo(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	uint32_t value = (uint32_t)addr;

	(void)memory;
	if (len != 4)
		return -1;
	memcpy(buf, &value, 4);
	return 0;
}

static struct memory stack = {.read = echo};

static struct full_regs registers(uint64_t pc)
{
	struct full_regs regs = {.known = 0xaff0};

	for (unsigned i = 0; i < 16; i++)
		regs.value[i] = 0x10000000u * i;
	regs.value[PC] = pc;
	return regs;
}

static bool same(const struct full_regs *a, const struct full_regs *b)
{
	static const int compared[] = {4, 5, 6, FP7, 8, 9, 10, FP, SP, PC};

	for (size_t i = 0; i < ARRAY_SIZE(compared); i++) {
		if (a->value[compared[i]] != b->value[compared[i]])
			return false;
	}
	return true;
}

static void count(struct check *c, const char *what, struct counts *counts, int failed,
		  const struct full_regs *found, const struct full_regs *expected,
		  const char *name, uint64_t vaddr)
{
	counts->calls++;
	counts->equal += !failed && same(found, expected);
	counts->different += !failed && !same(found, expected);
	counts->silent += failed != 0;
	if (!c->verbose || (!failed && same(found, expected)))
		return;
	printf("%s %s at %" PRIx64 " in %s:", failed ? "silent" : "DIFFERENT", what, vaddr,
	       name);
	for (int i = 4; i < 16 && !failed; i++) {
		if (found->value[i] != expected->value[i])
			printf(" r%d %" PRIx64 " for %" PRIx64, i, found->value[i],
			       expected->value[i]);
	}
	printf("\n");
}

/* What is right; the same codes as cfi_step(). */
static int right_step(struct check *c, uint64_t vaddr, struct full_regs *regs)
{
	uint64_t cfa;
	uint8_t flags;

	return c->by_tables ? exidx_step(c->exidx, vaddr, &stack, regs, &cfa, &flags)
			    : cfi_step(c->cfi, vaddr, &stack, regs, &cfa, &flags);
}

/* Does the caller's sp hang on r7 or r11? */
static bool tables_by_frame_pointer(struct check *c, uint64_t vaddr)
{
	struct full_regs regs = registers(vaddr), moved = regs;

	moved.value[FP7] += 64;
	moved.value[FP] += 64;
	return !right_step(c, vaddr, &regs) && !right_step(c, vaddr, &moved) &&
	       regs.value[SP] != moved.value[SP];
}

static bool cfa_by_frame_pointer(struct check *c, uint64_t vaddr)
{
	struct row row;

	if (c->by_tables)
		return tables_by_frame_pointer(c, vaddr);
	return cfi_row(c->cfi, vaddr, &row) == 0 && row.cfa != ROW_CFA_SP;
}

/* Without symbols: what .ARM.exidx says of where functions begin. */
static int find_around(struct check *c, const struct scan_function *f, uint64_t vaddr,
		       struct scan_frame *ret)
{
	enum { BEFORE = 1 << 16, BEHIND = 4096 };
	struct scan_function around = {.thumb = f->thumb};
	static uint8_t code[BEFORE + BEHIND + 4];
	struct exidx_entry entry;

	around.begin = vaddr > BEFORE ? (vaddr - BEFORE) & ~3ull : 0;
	if (c->exidx && exidx_find(c->exidx, vaddr, &entry) && entry.begin > around.begin)
		around.begin = entry.begin;
	around.len = (size_t)(vaddr - around.begin) + BEHIND;
	around.code = code;
	if (image_read(c->code, around.begin, code, around.len))
		return -1;
	return scan_find_around(&around, vaddr, ret);
}

static void at_call(struct check *c, const struct scan_function *f, const char *name,
		    uint64_t vaddr)
{
	struct full_regs expected = registers(vaddr), found, start;
	struct scan_frame frame;
	uint64_t cfa;
	uint8_t flags;
	int failed;

	failed = c->around ? find_around(c, f, vaddr, &frame) : scan_find(f, vaddr, &frame);
	/* CFI may tell the CFA by the frame pointer where the scan does by sp. */
	if (!failed && frame.base == SP && frame.frame_pointer)
		expected.value[f->thumb ? FP7 : FP] = expected.value[SP] +
						      (uint64_t)frame.cfa_offset -
						      (uint64_t)frame.frame_pointer;
	else if (!failed && frame.base == SP && cfa_by_frame_pointer(c, vaddr)) {
		c->scan.calls++;
		c->scan.unproven++;
		return;
	}
	found = start = expected;
	if (right_step(c, vaddr, &expected))
		return;
	if (!failed)
		failed = scan_step(&frame, &stack, &found, &cfa, &flags);
	count(c, "scan", &c->scan, failed, &found, &expected, name, vaddr);
	found = start;
	if (!c->exidx || c->by_tables)
		return;
	failed = exidx_step(c->exidx, vaddr, &stack, &found, &cfa, &flags);
	count(c, "table", &c->tables, failed, &found, &expected, name, vaddr);
}

static bool function(void *arg, const struct image_symbol *symbol)
{
	struct check *c = arg;
	struct scan_function f = {
		.begin = symbol->value, .len = symbol->size, .thumb = symbol->thumb};
	uint8_t *code;
	struct scan_insn insn;

	if (symbol->type != STT_FUNC || !symbol->size || symbol->size > 1 << 17)
		return false;
	code = malloc(f.len);
	if (code && image_read(c->code, f.begin, code, f.len) == 0) {
		f.code = code;
		for (uint32_t at = 0; at < f.len; at += insn.len) {
			if (!(f.thumb ? scan_t32 : scan_a32)(code, f.len, at, &insn))
				break;
			if (insn.kind == SCAN_CALL && !is_data(c, f.begin + at))
				at_call(c, &f, symbol->name, f.begin + at);
		}
	}
	free(code);
	return false;
}

static struct image *open_image(struct memory_file *file, const char *path)
{
	struct image *image;
	struct err err;

	memory_file_init(file, open(path, O_RDONLY | O_CLOEXEC));
	if (file->fd < 0 || image_open(&file->memory, &image, &err)) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(2);
	}
	return image;
}

static void print(const char *what, const struct counts *counts)
{
	printf("%s: %u calls, %u equal, %u different, %u silent, %u unproven\n", what,
	       counts->calls, counts->equal, counts->different, counts->silent,
	       counts->unproven);
}

int main(int argc, char **argv)
{
	struct check c = {.verbose = argc == 4 && !strcmp(argv[1], "-v"),
			  .around = argc == 4 && (!strcmp(argv[1], "-s") || getenv("AROUND")),
			  .by_tables = argc == 3 && !strncmp(argv[1], "-x", 2)};
	struct memory_file files[2];
	struct image *debug;
	struct err err;

	if (argc != 3 && !c.verbose && !c.around)
		return 2;
	c.verbose = c.verbose || (c.by_tables && argv[1][2] == 'v');
	c.code = open_image(&files[0], argv[argc - (c.by_tables ? 1 : 2)]);
	debug = open_image(&files[1], argv[argc - 1]);
	if (exidx_open(c.code, &c.exidx, NULL))
		c.exidx = NULL;
	if (c.by_tables ? !c.exidx : cfi_open(debug, &arm, &c.cfi, &err)) {
		fprintf(stderr, "%s: no unwind data\n", argv[argc - 1]);
		return 2;
	}
	image_for_each_symbol(debug, mark, &c);
	qsort(c.marks.at, c.marks.len, sizeof(c.marks.at[0]), by_vaddr);
	image_for_each_symbol(debug, function, &c);
	vec_deinit(&c.marks);
	print("scan", &c.scan);
	print("tables", &c.tables);
	exidx_close(c.exidx);
	cfi_close(c.cfi);
	image_close(debug);
	image_close(c.code);
	return 0;
}
