/*
 * Unwind data: the input is what a file says in .eh_frame_hdr, .eh_frame and
 * .debug_frame; around it stands an ELF file in which nothing else is wrong.
 *
 *   input: mode u8, length of the header u8, of .debug_frame u16, eight pcs u16;
 *          .eh_frame_hdr, .debug_frame, .eh_frame (the rest; also read as the stack)
 *
 * What is held: every pc gets an answer, the same one when it is asked again, and a row
 * leads to the same caller as a step with all registers does.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "row_and_step.h"
#include "unwind/cfi.h"

enum {
	CODE = 0x10000, /* vaddr = file offset + CODE */
	CODE_LEN = 0x10000,
	PCS = 8,
	FILE_MAX = 32768,
	HEADERS = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + 4 * sizeof(Elf64_Shdr),
};
static const char names[] = "\0.eh_frame\0.debug_frame\0.shstrtab";
enum { NAME_EH = 1, NAME_DEBUG = 11, NAME_NAMES = 24 };

struct input {
	uint8_t mode;
	uint16_t pcs[PCS];
	const uint8_t *hdr, *debug, *eh;
	size_t hdr_len, debug_len, eh_len;
};

static bool input_read(const uint8_t *data, size_t size, struct input *ret)
{
	struct cursor c = cursor_over(data, size);

	ret->mode = cursor_u8(&c);
	ret->hdr_len = cursor_u8(&c);
	ret->debug_len = cursor_u16(&c);
	for (size_t i = 0; i < PCS; i++)
		ret->pcs[i] = cursor_u16(&c);
	ret->hdr = cursor_bytes(&c, ret->hdr_len);
	ret->debug = cursor_bytes(&c, ret->debug_len);
	ret->eh_len = cursor_left(&c);
	ret->eh = cursor_bytes(&c, ret->eh_len);
	return !c.bad &&
	       ret->hdr_len + ret->debug_len + ret->eh_len < FILE_MAX - HEADERS - sizeof(names);
}

static void section(Elf64_Shdr *s, uint32_t name, size_t at, size_t len, bool loaded)
{
	*s = (Elf64_Shdr){.sh_name = name,
			  .sh_type = SHT_PROGBITS,
			  .sh_flags = loaded ? SHF_ALLOC : 0,
			  .sh_addr = loaded ? CODE + at : 0,
			  .sh_offset = at,
			  .sh_size = len,
			  .sh_addralign = 1};
}

/* Returns the file's length.  mode bit 0: there is a .eh_frame_hdr; bit 1: .eh_frame is
 * a section; bit 2: so is .debug_frame. */
static size_t file_write(const struct input *in, uint8_t file[FILE_MAX])
{
	Elf64_Ehdr head = {.e_type = ET_DYN,
			   .e_machine = EM_X86_64,
			   .e_version = EV_CURRENT,
			   .e_phoff = sizeof(head),
			   .e_shoff = sizeof(head) + 2 * sizeof(Elf64_Phdr),
			   .e_ehsize = sizeof(head),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = in->mode & 1 ? 2 : 1,
			   .e_shentsize = sizeof(Elf64_Shdr),
			   .e_shnum = 4,
			   .e_shstrndx = 1};
	size_t hdr_at = HEADERS, names_at = hdr_at + in->hdr_len;
	size_t debug_at = names_at + sizeof(names), eh_at = debug_at + in->debug_len;
	size_t len = eh_at + in->eh_len;
	Elf64_Phdr segments[2] = {
		{PT_LOAD, PF_R | PF_X, 0, CODE, CODE, len, CODE_LEN, 0x1000},
		{PT_GNU_EH_FRAME, PF_R, hdr_at, CODE + hdr_at, CODE + hdr_at, in->hdr_len,
		 in->hdr_len, 4},
	};
	Elf64_Shdr sections[4] = {{0}};

	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	head.e_ident[EI_VERSION] = EV_CURRENT;
	section(&sections[1], NAME_NAMES, names_at, sizeof(names), false);
	sections[1].sh_type = SHT_STRTAB;
	if (in->mode & 2)
		section(&sections[2], NAME_EH, eh_at, in->eh_len, true);
	if (in->mode & 4)
		section(&sections[3], NAME_DEBUG, debug_at, in->debug_len, false);
	memcpy(file, &head, sizeof(head));
	memcpy(file + head.e_phoff, segments, sizeof(segments));
	memcpy(file + head.e_shoff, sections, sizeof(sections));
	memcpy(file + names_at, names, sizeof(names));
	memcpy(file + hdr_at, in->hdr, in->hdr_len);
	memcpy(file + debug_at, in->debug, in->debug_len);
	memcpy(file + eh_at, in->eh, in->eh_len);
	return len;
}

/* ---- a row against a step with all registers ------------------------------ */

static void compare(struct cfi *cfi, uint64_t pc, const struct row *row, struct memory *stack)
{
	const struct arch *arch = &arch_x86_64;
	struct row_and_step both;
	uint64_t cfa = 0, fp;
	enum walk_end end;
	uint8_t flags = 0;
	frame_t frame;
	int rc;

	row_and_step_init(&both, arch, row, stack, pc, true);
	rc = cfi_step(cfi, pc, stack, &both.regs, &cfa, &flags);
	if (row->cfa == ROW_CFA_NONE || row->cfa == ROW_CFA_FULL) {
		assert(row->cfa == ROW_CFA_FULL || rc);
		return;
	}
	assert((row->cfa == ROW_CFA_ROOT) == (rc == -ENODATA));
	end = walk_step(&both.ops, &both.state, &frame);
	if (end != WALK_ENDS)
		return;
	assert(rc == 0 && flags == row->flags && both.state.sp == cfa);
	assert(both.state.pc == both.regs.value[arch->reg_pc]);
	assert(both.state.exact == !!(flags & ROW_SIGNAL));
	assert(both.state.sp == both.regs.value[arch->reg_sp]);
	fp = both.regs.known >> arch->reg_fp & 1 ? both.regs.value[arch->reg_fp] : 0;
	assert(both.state.fp == fp);
}

static void ask(struct cfi *cfi, uint64_t pc, struct memory *stack)
{
	struct row row, again;
	int rc;

	memset(&row, 0xa5, sizeof(row));
	cfi_row(cfi, pc, &row); /* may catch the binary search table lying */
	rc = cfi_row(cfi, pc, &row);
	assert(rc == 0 || ((rc == -ENOENT || rc == -EINVAL) && row.cfa == ROW_CFA_NONE));
	compare(cfi, pc, &row, stack);
	assert(cfi_row(cfi, pc, &again) == rc && !memcmp(&row, &again, sizeof(row)));
}

/* What is sent to who has not the file: whole entries, however broken the file is. */
static void ask_copy(struct cfi *cfi, const struct input *in)
{
	struct cfi_bytes bytes = {};
	struct cfi *copy;
	struct row row;

	cfi_copy(cfi, 0, ~0ull, FILE_MAX, &bytes);
	assert(bytes.len <= FILE_MAX);
	assert(!cfi_open_copy(bytes.at, bytes.len, &arch_x86_64, &copy, NULL));
	for (size_t i = 0; i < PCS; i++)
		cfi_row(copy, CODE + in->pcs[i], &row);
	cfi_close(copy);
	vec_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_MAX];
	struct memory_buffer memory, stack;
	struct image *image = NULL;
	struct cfi *cfi = NULL;
	struct err err = {0};
	struct input in;
	int rc;

	if (!input_read(data, size, &in))
		return 0;
	memory_buffer_init(&memory, 0, file, file_write(&in, file));
	memory_buffer_init(&stack, STACK, in.eh, in.eh_len);
	rc = image_open(&memory.memory, &image, &err);
	assert(rc == 0);
	if (cfi_open(image, &arch_x86_64, &cfi, &err) == 0) {
		for (size_t i = 0; i < PCS; i++)
			ask(cfi, CODE + in.pcs[i], &stack.memory);
		for (uint64_t pc = 0; pc < CODE_LEN; pc += CODE_LEN / 8)
			ask(cfi, CODE + pc, &stack.memory);
		ask(cfi, ~0ull, &stack.memory);
		ask_copy(cfi, &in);
	} else {
		assert(err.text[0]);
	}
	cfi_close(cfi);
	image_close(image);
	return 0;
}
