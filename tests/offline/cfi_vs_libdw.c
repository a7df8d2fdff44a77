/*
 * Our reading of unwind data against libdw's, over every row of ELF files.
 *
 *     cfi_vs_libdw [-b] [-d] FILE...
 *
 * Every executable segment is walked from its first to its last byte.  Where libdw
 * has a frame, it also says over which addresses its rules hold; at the first, the
 * second and the last of these (-b: at every byte, asking libdw anew each time) the
 * same random registers and memory are unwound three times:
 *
 *     by libdw's rules (dwarf_cfi_addrframe), evaluated here    -> CFA, ra, registers
 *     by our row (cfi_row)                                      -> CFA, ra, fp
 *     by our step over all registers (cfi_step)                 -> CFA, ra, registers
 *
 * and must agree.  Memory is a hash of the address, so that a wrong offset can't go
 * unnoticed.  Where libdw has no frame, we must have none.  A row may say "all
 * registers are needed" only where libdw's rules are none of the simple forms; these
 * are counted by cause.  -d: .debug_frame instead of .eh_frame.
 *
 * One line of counts per file; differences on stderr; exit status 1 if there are any.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unwind/cfi.h"

enum { RBX = 3, R9 = 9 };
enum { SHOWN_DIFFERENCES = 20 };

enum cause {
	CAUSE_CFA_REGISTER,
	CAUSE_CFA_EXPRESSION,
	CAUSE_RA,
	CAUSE_FP,
	CAUSE_SP,
	CAUSE_RANGE,
	CAUSES
};
static const char *const cause_names[CAUSES] = {"cfa-in-register", "cfa-by-expression",
						"ra-elsewhere",	   "fp-elsewhere",
						"sp-elsewhere",	   "offset-too-large"};

struct counts {
	uint64_t rows, addresses, equal, root, none, different, without_cfa, full[CAUSES];
	uint64_t arm_signal;
	uint64_t shapes[ROW_CFA_ROOT + 1];
};

struct check {
	const char *name;
	struct cfi *ours;
	Dwarf_CFI *theirs;
	bool every_byte;
	struct counts counts;
};

/* The file's CPU; DWARF's column of the return address, which is no register of it or lr. */
static const struct arch *arch;
static int ra_column;
static uint64_t word_mask;

/* What a call preserves, and what it returns by. */
static uint64_t compared_registers(void)
{
	return arch->callee_saved | 1ull << arch->reg_fp | 1ull << arch->reg_sp |
	       1ull << arch->reg_pc;
}

/* ---- a world to unwind in -------------------------------------------------------- */

static uint64_t hash(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static int hashed_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	(void)memory;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)hash((addr & word_mask) + i);
	return 0;
}

static struct memory hashed = {.read = hashed_read};

static uint64_t word_at(uint64_t addr)
{
	uint64_t value = 0;

	memory_read(&hashed, addr, &value, arch->word_size);
	return value;
}

static struct full_regs random_regs(uint64_t pc)
{
	struct full_regs regs = {.known = (1ull << arch->reg_count) - 1};

	for (int i = 0; i < arch->reg_count; i++)
		regs.value[i] = hash(pc * 31 + (uint64_t)i) & ~7ull & word_mask;
	regs.value[arch->reg_pc] = pc;
	return regs;
}

/* What an unwind gives. */
struct outcome {
	bool root;
	bool signal;
	uint64_t cfa;
	uint64_t reg[ARCH_MAX_REGS];
	uint64_t known;
};

/* ---- libdw's rules ----------------------------------------------------------------- */

static bool evaluate(const Dwarf_Op *ops, size_t count, const struct full_regs *regs,
		     uint64_t cfa, uint64_t *ret, bool *is_value)
{
	uint64_t stack[32], a;
	size_t depth = 0;

	*is_value = false;
	for (size_t i = 0; i < count; i++) {
		uint64_t n = ops[i].number;
		unsigned atom = ops[i].atom;

		if (depth >= 30)
			return false;
		if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) {
			stack[depth++] = regs->value[atom - DW_OP_breg0] + n;
			continue;
		}
		if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
			stack[depth++] = atom - DW_OP_lit0;
			continue;
		}
		if (atom >= DW_OP_reg0 && atom <= DW_OP_reg31) {
			stack[depth++] = regs->value[atom - DW_OP_reg0];
			*is_value = true;
			continue;
		}
		switch (atom) {
		case DW_OP_call_frame_cfa:
			stack[depth++] = cfa;
			continue;
		case DW_OP_bregx:
			stack[depth++] = regs->value[n] + ops[i].number2;
			continue;
		case DW_OP_regx:
			stack[depth++] = regs->value[n];
			*is_value = true;
			continue;
		case DW_OP_const1u:
		case DW_OP_const2u:
		case DW_OP_const4u:
		case DW_OP_const8u:
		case DW_OP_const1s:
		case DW_OP_const2s:
		case DW_OP_const4s:
		case DW_OP_const8s:
		case DW_OP_constu:
		case DW_OP_consts:
			stack[depth++] = n;
			continue;
		case DW_OP_stack_value:
			*is_value = true;
			continue;
		}
		if (depth == 0)
			return false;
		a = stack[--depth];
		switch (atom) {
		case DW_OP_deref:
			stack[depth++] = word_at(a);
			continue;
		case DW_OP_plus_uconst:
			stack[depth++] = a + n;
			continue;
		case DW_OP_drop:
			continue;
		}
		if (depth == 0)
			return false;
		switch (atom) {
		case DW_OP_and:
			stack[depth - 1] &= a;
			continue;
		case DW_OP_plus:
			stack[depth - 1] += a;
			continue;
		case DW_OP_minus:
			stack[depth - 1] -= a;
			continue;
		case DW_OP_mul:
			stack[depth - 1] *= a;
			continue;
		case DW_OP_shl:
			stack[depth - 1] <<= a;
			continue;
		case DW_OP_ge:
			stack[depth - 1] = (int64_t)stack[depth - 1] >= (int64_t)a;
			continue;
		}
		return false; /* add it here when a file has it */
	}
	if (depth == 0)
		return false;
	*ret = stack[depth - 1];
	return true;
}

/* A register of the caller by libdw; false: no answer of this test. */
static bool their_register(Dwarf_Frame *frame, int reg, const struct full_regs *regs,
			   struct outcome *ret)
{
	int column = reg == arch->reg_pc ? ra_column : reg;
	Dwarf_Op *ops, memory[3];
	bool is_value = false;
	uint64_t value;
	size_t count;

	if (dwarf_frame_register(frame, column, memory, &ops, &count))
		return false;
	if (count == 0 && ops) /* undefined */
		return true;
	if (count == 0)
		value = regs->value[column];
	else if (!evaluate(ops, count, regs, ret->cfa, &value, &is_value))
		return false;
	else if (!is_value)
		value = word_at(value);
	ret->reg[reg] = value & word_mask;
	ret->known |= 1ull << reg;
	return true;
}

static bool their_outcome(Dwarf_Frame *frame, const struct full_regs *regs, struct outcome *ret)
{
	Dwarf_Op *ops, memory[3];
	size_t count;
	bool is_value;

	memset(ret, 0, sizeof(*ret));
	if (dwarf_frame_info(frame, NULL, NULL, &ret->signal) != ra_column)
		return false;
	if (dwarf_frame_register(frame, ra_column, memory, &ops, &count))
		return false;
	if (count == 0 && (ops || arch->reg_lr == ARCH_NO_REG)) {
		ret->root = true;
		return true;
	}
	if (dwarf_frame_cfa(frame, &ops, &count) ||
	    !evaluate(ops, count, regs, 0, &ret->cfa, &is_value))
		return false;
	ret->cfa &= word_mask;
	for (int reg = 0; reg < arch->reg_count; reg++)
		if (!their_register(frame, reg, regs, ret))
			return false;
	return true;
}

static bool is_base(const Dwarf_Op *op)
{
	uint64_t reg = op->atom == DW_OP_bregx ? op->number : (uint64_t)op->atom - DW_OP_breg0;

	return reg == (uint64_t)arch->reg_sp || reg == (uint64_t)arch->reg_fp;
}

/* The caller's sp is the CFA: by value, or read from where the CFA is read from. */
static bool sp_is_cfa(const Dwarf_Op *ops, size_t count, const Dwarf_Op *cfa, size_t cfa_count)
{
	if (count == 0 || (count == 2 && ops[0].atom == DW_OP_call_frame_cfa &&
			   ops[1].atom == DW_OP_stack_value))
		return true;
	return cfa_count == 2 && is_base(&ops[count - 1]) &&
	       ops[count - 1].atom == cfa[0].atom && ops[count - 1].number == cfa[0].number;
}

/* Why libdw's rules don't fit into a row; CAUSES: they do. */
static enum cause cause_of(Dwarf_Frame *frame)
{
	Dwarf_Op *ops, *cfa, memory[3];
	size_t count, cfa_count;

	dwarf_frame_cfa(frame, &cfa, &cfa_count);
	if (cfa_count > 1 && !(cfa_count == 2 && cfa[1].atom == DW_OP_deref))
		return CAUSE_CFA_EXPRESSION;
	if (!is_base(&cfa[0]))
		return CAUSE_CFA_REGISTER;
	for (int i = 0; i < 2; i++) {
		dwarf_frame_register(frame, i ? arch->reg_fp : ra_column, memory, &ops, &count);
		if (count == 0 || (count == 1 && ops[0].atom == DW_OP_call_frame_cfa))
			continue;
		if (count == 2 && ops[0].atom == DW_OP_call_frame_cfa &&
		    ops[1].atom == DW_OP_plus_uconst) {
			if ((int64_t)ops[1].number != (int16_t)ops[1].number)
				return CAUSE_RANGE;
			continue;
		}
		if (is_base(&ops[count - 1])) {
			if ((int64_t)ops[count - 1].number != (int16_t)ops[count - 1].number)
				return CAUSE_RANGE;
			continue;
		}
		return i ? CAUSE_FP : CAUSE_RA;
	}
	dwarf_frame_register(frame, arch->reg_sp, memory, &ops, &count);
	return sp_is_cfa(ops, count, cfa, cfa_count) ? CAUSES : CAUSE_SP;
}

/* ---- ours -------------------------------------------------------------------------- */

static bool row_value(uint8_t where, int64_t offset, const struct full_regs *regs, uint64_t cfa,
		      int own, struct outcome *ret)
{
	uint64_t base;

	switch (where) {
	case ROW_SAME:
		ret->reg[own] = regs->value[own == arch->reg_pc ? ra_column : own];
		ret->known |= 1ull << own;
		return own != arch->reg_pc || arch->reg_lr != ARCH_NO_REG;
	case ROW_UNDEFINED:
		return own != arch->reg_pc;
	case ROW_AT_CFA:
		base = cfa;
		break;
	case ROW_AT_SP:
		base = regs->value[arch->reg_sp];
		break;
	case ROW_AT_FP:
		base = regs->value[arch->reg_fp];
		break;
	default:
		return false;
	}
	ret->reg[own] = word_at(base + (uint64_t)offset);
	ret->known |= 1ull << own;
	return true;
}

static bool row_outcome(const struct row *row, const struct full_regs *regs,
			struct outcome *ret)
{
	uint64_t sp = regs->value[arch->reg_sp], fp = regs->value[arch->reg_fp],
		 offset = (uint64_t)(int64_t)row->cfa_offset;

	memset(ret, 0, sizeof(*ret));
	ret->signal = row->flags & ROW_SIGNAL;
	switch (row->cfa) {
	case ROW_CFA_ROOT:
		ret->root = true;
		return true;
	case ROW_CFA_SP:
		ret->cfa = sp + offset;
		break;
	case ROW_CFA_FP:
		ret->cfa = fp + offset;
		break;
	case ROW_CFA_SP_DEREF:
		ret->cfa = word_at(sp + offset);
		break;
	case ROW_CFA_FP_DEREF:
		ret->cfa = word_at(fp + offset);
		break;
	case ROW_CFA_PLT:
		ret->cfa = sp + offset + ((regs->value[arch->reg_pc] & 15) >= 11 ? 8 : 0);
		break;
	case ROW_CFA_PLT9:
		ret->cfa = sp + offset + ((regs->value[arch->reg_pc] & 15) >= 9 ? 8 : 0);
		break;
	default:
		return false;
	}
	ret->cfa &= word_mask;
	return row_value(row->ra, row->ra_offset, regs, ret->cfa, arch->reg_pc, ret) &&
	       row_value(row->fp, row->fp_offset, regs, ret->cfa, arch->reg_fp, ret);
}

static bool step_outcome(struct cfi *cfi, uint64_t pc, const struct full_regs *regs,
			 struct outcome *ret)
{
	struct full_regs stepped = *regs;
	uint8_t flags;
	int failed = cfi_step(cfi, pc, &hashed, &stepped, &ret->cfa, &flags);

	memset(ret->reg, 0, sizeof(ret->reg));
	ret->root = failed == -ENODATA;
	if (failed)
		return ret->root;
	ret->known = stepped.known;
	ret->signal = flags & ROW_SIGNAL;
	memcpy(ret->reg, stepped.value, sizeof(ret->reg));
	return true;
}

/* The same, as far as both know: rows speak of ra and fp alone. */
static bool same(const struct outcome *theirs, const struct outcome *ours, uint64_t registers)
{
	if (theirs->root || ours->root)
		return theirs->root == ours->root;
	if (theirs->cfa != ours->cfa || theirs->signal != ours->signal ||
	    (theirs->known & registers) != (ours->known & registers))
		return false;
	for (int i = 0; i < arch->reg_count; i++) {
		if ((theirs->known & registers) >> i & 1 && theirs->reg[i] != ours->reg[i])
			return false;
	}
	return true;
}

/* ---- comparing --------------------------------------------------------------------- */

static void differs(struct check *k, uint64_t pc, const char *what, const struct row *row)
{
	if (++k->counts.different <= SHOWN_DIFFERENCES)
		fprintf(stderr,
			"%s:0x%" PRIx64
			": %s (our row: cfa %u %+d, ra %u %+d, fp %u %+d, flags %u)\n",
			k->name, pc, what, row->cfa, row->cfa_offset, row->ra, row->ra_offset,
			row->fp, row->fp_offset, row->flags);
}

static bool is_signal_of_arm(Dwarf_Frame *frame)
{
	bool signal = false;

	dwarf_frame_info(frame, NULL, NULL, &signal);
	return signal && arch == &arch_arm;
}

static void compare(struct check *k, uint64_t pc, Dwarf_Frame *frame)
{
	struct full_regs regs = random_regs(pc);
	struct outcome theirs, ours;
	uint64_t registers = compared_registers(), left_out;
	struct row row;
	enum cause cause;
	Dwarf_Op *ops;
	size_t count;

	k->counts.addresses++;
	/* __default_sa_restorer: augmentation S without z, and a return address column that
	 * holds the interrupted lr.  We refuse it; unwinder.c knows such frames by their code.
	 */
	if (cfi_row(k->ours, pc, &row) && is_signal_of_arm(frame)) {
		k->counts.arm_signal++;
		return;
	}
	if (row.cfa == ROW_CFA_NONE)
		return differs(k, pc, "no row where libdw has one", &row);
	k->counts.shapes[row.cfa]++;
	/* libdw has no CFA once def_cfa_register follows an expression; libgcc, gdb and
	 * readelf go on with the offset from before it, and so do we. */
	if (dwarf_frame_cfa(frame, &ops, &count)) {
		k->counts.without_cfa++;
		return;
	}
	if (!their_outcome(frame, &regs, &theirs))
		return differs(k, pc, "libdw's rules can't be evaluated by this test", &row);
	/* Of the registers that the ABI preserves libdw leaves out rbx (its table has 0,
	 * rax, instead of 3) and r9 of ARM (platforms may use it otherwise), so it doesn't
	 * know them where no rule speaks of them. */
	left_out = arch == &arch_x86_64 ? 1ull << RBX : arch == &arch_arm ? 1ull << R9 : 0;
	registers &= ~(left_out & ~theirs.known);
	if (!step_outcome(k->ours, pc, &regs, &ours) || !same(&theirs, &ours, registers))
		return differs(k, pc, "the step over all registers", &row);
	if (row.cfa == ROW_CFA_FULL) {
		cause = cause_of(frame);
		if (cause == CAUSES)
			return differs(k, pc, "a row would have done", &row);
		k->counts.full[cause]++;
		return;
	}
	if (!row_outcome(&row, &regs, &ours) ||
	    !same(&theirs, &ours, 1ull << arch->reg_fp | 1ull << arch->reg_pc))
		return differs(k, pc, "the row", &row);
	if (ours.root)
		k->counts.root++;
	k->counts.equal++;
}

/* Compares at pc and what else lies in the same row; returns where to go on. */
static uint64_t compare_row(struct check *k, uint64_t pc, uint64_t limit)
{
	Dwarf_Frame *frame;
	Dwarf_Addr begin, end;
	struct row row;

	if (dwarf_cfi_addrframe(k->theirs, pc, &frame)) {
		if (cfi_row(k->ours, pc, &row) != -ENOENT)
			differs(k, pc, "a row where libdw has none", &row);
		k->counts.none++;
		return pc + 1;
	}
	if (dwarf_frame_info(frame, &begin, &end, NULL) < 0 || begin > pc || end <= pc)
		begin = pc, end = pc + 1;
	end = end < limit ? end : limit;
	k->counts.rows += begin == pc;
	compare(k, pc, frame);
	if (k->every_byte) {
		end = pc + 1;
	} else {
		if (pc + 1 < end)
			compare(k, pc + 1, frame);
		if (pc + 2 < end)
			compare(k, end - 1, frame);
	}
	free(frame);
	return end;
}

static void print_counts(const struct check *k)
{
	const struct counts *c = &k->counts;

	printf("%s: rows %" PRIu64 " addresses %" PRIu64 " equal %" PRIu64 " root %" PRIu64
	       " none %" PRIu64 " different %" PRIu64,
	       k->name, c->rows, c->addresses, c->equal, c->root, c->none, c->different);
	for (int i = 0; i < CAUSES; i++) {
		if (c->full[i])
			printf(" %s %" PRIu64, cause_names[i], c->full[i]);
	}
	if (c->arm_signal)
		printf(" arm-signal %" PRIu64, c->arm_signal);
	if (c->without_cfa)
		printf(" libdw-without-cfa %" PRIu64, c->without_cfa);
	printf(" sp-deref %" PRIu64 " fp-deref %" PRIu64 " plt %" PRIu64 "\n",
	       c->shapes[ROW_CFA_SP_DEREF], c->shapes[ROW_CFA_FP_DEREF],
	       c->shapes[ROW_CFA_PLT] + c->shapes[ROW_CFA_PLT9]);
}

static bool choose_arch(const struct image *image)
{
	arch = arch_find(image_machine(image), image_class(image), image_is_big_endian(image));
	if (!arch)
		return false;
	ra_column = arch->reg_lr == ARCH_NO_REG ? arch->reg_pc : arch->reg_lr;
	word_mask = arch->word_size == 4 ? UINT32_MAX : UINT64_MAX;
	return true;
}

static int check_file(const char *path, bool every_byte, bool debug_frame)
{
	struct check k = {.name = path, .every_byte = every_byte};
	int fd = open(path, O_RDONLY);
	struct memory_file file;
	struct image *image = NULL;
	struct err err = {0};
	const struct image_segment *segments;
	size_t count;
	Dwarf *dwarf = NULL;
	Elf *elf;

	memory_file_init(&file, fd);
	if (fd < 0 || image_open(&file.memory, &image, &err) || !choose_arch(image) ||
	    cfi_open(image, arch, &k.ours, &err)) {
		printf("%s: skipped: %s\n", path, fd < 0 ? strerror(errno) : err.text);
		image_close(image);
		return 0;
	}
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (debug_frame) {
		dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
		k.theirs = dwarf ? dwarf_getcfi(dwarf) : NULL;
	} else {
		k.theirs = dwarf_getcfi_elf(elf);
	}
	segments = image_segments(image, &count);
	for (size_t i = 0; k.theirs && i < count; i++) {
		uint64_t limit = segments[i].vaddr + segments[i].mem_size;

		if (!(segments[i].flags & PF_X))
			continue;
		for (uint64_t pc = segments[i].vaddr; pc < limit;)
			pc = compare_row(&k, pc, limit);
	}
	print_counts(&k);
	if (dwarf)
		dwarf_end(dwarf);
	else if (k.theirs)
		dwarf_cfi_end(k.theirs);
	elf_end(elf);
	cfi_close(k.ours);
	image_close(image);
	close(fd);
	return k.counts.different != 0;
}

int main(int argc, char **argv)
{
	bool every_byte = false, debug_frame = false;
	int option, failed = 0;

	while ((option = getopt(argc, argv, "bd")) != -1) {
		every_byte |= option == 'b';
		debug_frame |= option == 'd';
	}
	elf_version(EV_CURRENT);
	for (int i = optind; i < argc; i++)
		failed |= check_file(argv[i], every_byte, debug_frame);
	return failed;
}
