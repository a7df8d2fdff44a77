/*
 * Exception tables of 32-bit ARM: the input is .ARM.exidx, .ARM.extab and code; around it
 * stands an ELF file in which nothing else is wrong.
 *
 *   input: length of the table u16, eight pcs u16; the table, the rest (also the stack)
 *
 * What is held: entries ascend, and a row leads to the same caller as a step does.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "row_and_step.h"
#include "unwind/exidx.h"

enum {
	CODE = 0x10000, /* vaddr = file offset + CODE */
	CODE_LEN = 0x10000,
	PCS = 8,
	FILE_MAX = 32768,
	HEADERS = sizeof(Elf32_Ehdr) + 2 * sizeof(Elf32_Phdr),
};

struct input {
	uint16_t pcs[PCS];
	const uint8_t *table, *rest;
	size_t table_len, rest_len;
};

static bool input_read(const uint8_t *data, size_t size, struct input *ret)
{
	struct cursor c = cursor_over(data, size);

	ret->table_len = cursor_u16(&c);
	for (size_t i = 0; i < PCS; i++)
		ret->pcs[i] = cursor_u16(&c);
	ret->table = cursor_bytes(&c, ret->table_len);
	ret->rest_len = cursor_left(&c);
	ret->rest = cursor_bytes(&c, ret->rest_len);
	return !c.bad && ret->table_len + ret->rest_len < FILE_MAX - HEADERS;
}

static size_t file_write(const struct input *in, uint8_t file[FILE_MAX])
{
	Elf32_Ehdr head = {.e_type = ET_DYN,
			   .e_machine = EM_ARM,
			   .e_version = EV_CURRENT,
			   .e_phoff = sizeof(head),
			   .e_ehsize = sizeof(head),
			   .e_phentsize = sizeof(Elf32_Phdr),
			   .e_phnum = 2};
	size_t len = HEADERS + in->table_len + in->rest_len;
	Elf32_Phdr segments[2] = {
		{PT_LOAD, 0, CODE, CODE, (uint32_t)len, CODE_LEN, PF_R | PF_X, 0x1000},
		{PT_ARM_EXIDX, HEADERS, CODE + HEADERS, CODE + HEADERS, (uint32_t)in->table_len,
		 (uint32_t)in->table_len, PF_R, 4},
	};

	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS32;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	head.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(file, &head, sizeof(head));
	memcpy(file + head.e_phoff, segments, sizeof(segments));
	memcpy(file + HEADERS, in->table, in->table_len);
	memcpy(file + HEADERS + in->table_len, in->rest, in->rest_len);
	return len;
}

static void ask(const struct exidx *exidx, uint64_t pc, struct memory *stack)
{
	const struct arch *arch = &arch_arm;
	struct row_and_step both;
	uint64_t cfa = 0;
	uint8_t flags = 0;
	struct row row;
	frame_t frame;
	int rc = exidx_row(exidx, pc, &row), stepped;

	assert(rc == 0 || ((rc == -ENOENT || rc == -EINVAL) && row.cfa == ROW_CFA_NONE));
	row_and_step_init(&both, arch, &row, stack, pc, true);
	stepped = exidx_step(exidx, pc, stack, &both.regs, &cfa, &flags);
	if (row.cfa == ROW_CFA_NONE || row.cfa == ROW_CFA_FULL) {
		assert(row.cfa == ROW_CFA_FULL || stepped);
		return;
	}
	if (stepped == -EFAULT) /* of a register that no row is about */
		return;
	if (walk_step(&both.ops, &both.state, &frame) != WALK_ENDS)
		return;
	assert(stepped == 0 && both.state.sp == cfa);
	assert(both.state.sp == both.regs.value[arch->reg_sp]);
	assert(both.state.pc == (both.regs.value[arch->reg_pc] & arch->code_mask));
	assert(!(both.regs.known >> arch->reg_fp & 1) ||
	       both.state.fp == both.regs.value[arch->reg_fp]);
}

static void check_entries(const struct exidx *exidx)
{
	struct exidx_entry entry;
	size_t count = exidx_count(exidx);

	for (size_t i = 0; i < count && i < 64; i++)
		if (exidx_entry(exidx, i, &entry))
			assert(entry.begin <= UINT32_MAX && entry.end <= UINT32_MAX);
	assert(!exidx_entry(exidx, count, &entry));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_MAX];
	struct memory_buffer memory, stack;
	struct image *image = NULL;
	struct exidx *exidx = NULL;
	struct err err = {0};
	struct input in;
	int rc;

	if (!input_read(data, size, &in))
		return 0;
	memory_buffer_init(&memory, 0, file, file_write(&in, file));
	memory_buffer_init(&stack, STACK, in.rest, in.rest_len);
	rc = image_open(&memory.memory, &image, &err);
	assert(rc == 0);
	if (exidx_open(image, &exidx, &err) == 0) {
		check_entries(exidx);
		for (size_t i = 0; i < PCS; i++)
			ask(exidx, CODE + in.pcs[i], &stack.memory);
		ask(exidx, 0, &stack.memory);
		ask(exidx, UINT32_MAX, &stack.memory);
	} else {
		assert(err.text[0]);
	}
	exidx_close(exidx);
	image_close(image);
	return 0;
}
