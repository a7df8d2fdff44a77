/*
 * ELF images: the input is a whole file; it is opened as a file and as what a process
 * has mapped, and asked everything that an image can be asked, its unwind data of any
 * CPU included.
 */
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "fuzz.h"
#include "unwind/unwinder.h"

enum { LOADED_AT = 0x400000, SYMBOLS_ASKED = 64 };

struct asking {
	struct image *image;
	size_t seen;
};

static bool on_symbol(void *arg, const struct image_symbol *symbol)
{
	struct asking *asking = arg;
	struct image_symbol found;

	fuzz_touch(symbol->name, strlen(symbol->name) + 1);
	if (++asking->seen > SYMBOLS_ASKED)
		return false;
	if (image_symbol_find(asking->image, symbol->name, &found))
		assert(!strcmp(found.name, symbol->name));
	if (image_symbol_at(asking->image, symbol->value, &found)) {
		fuzz_touch(found.name, strlen(found.name) + 1);
		assert(found.value <= symbol->value);
		assert(!found.size || symbol->value - found.value < found.size);
	}
	return false;
}

static void ask_segments(struct image *image)
{
	size_t count = 0;
	const struct image_segment *s = image_segments(image, &count);
	struct image_symbol found;
	uint8_t bytes[16];

	for (size_t i = 0; i < count; i++) {
		assert(i == 0 || s[i - 1].vaddr <= s[i].vaddr);
		image_read(image, s[i].vaddr, bytes, sizeof(bytes));
		image_read(image, s[i].vaddr + s[i].file_size - 1, bytes, 1);
		assert(image_read(image, s[i].vaddr + s[i].file_size - 1, bytes, 2) ||
		       count > 1);
		image_symbol_at(image, s[i].vaddr, &found);
		image_symbol_at(image, s[i].vaddr + s[i].mem_size - 1, &found);
	}
	image_read(image, 0, bytes, sizeof(bytes));
	image_read(image, ~0ull, bytes, sizeof(bytes));
	image_read(image, ~0ull - 8, bytes, sizeof(bytes));
}

static void ask_text(const char *text)
{
	if (text)
		fuzz_touch(text, strlen(text) + 1);
}

static void ask(struct image *image)
{
	const struct image_bytes *pieces[] = {image_eh_frame_hdr(image), image_eh_frame(image),
					      image_debug_frame(image), image_exidx(image)};
	struct asking asking = {.image = image};
	struct image_symbol found;
	const uint8_t *id;
	uint32_t crc;
	size_t len;

	image_machine(image);
	image_type(image);
	assert(image_class(image) == 1 || image_class(image) == 2);
	ask_text(image_interpreter(image));
	ask_text(image_soname(image));
	ask_text(image_debuglink(image, &crc));
	id = image_build_id(image, &len);
	assert(!id == !len && len <= 64);
	fuzz_touch(id, len);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
		if (pieces[i]->bytes)
			fuzz_touch(pieces[i]->bytes, pieces[i]->len);
	ask_segments(image);
	image_for_each_symbol(image, on_symbol, &asking);
	image_symbol_find(image, "malloc", &found);
	image_symbol_find(image, "", &found);
	image_symbol_at(image, image_entry(image), &found);
}

static void unwind(struct unwinder *unwinder, const struct arch *arch, uint64_t vaddr,
		   struct memory *memory)
{
	struct unwinder_place place = {vaddr, vaddr & 4, vaddr & 1};
	struct full_regs regs = {.known = (1ull << ARCH_MAX_REGS) - 1};
	struct row row;
	uint64_t cfa;
	uint8_t flags;

	for (int i = 0; i < ARCH_MAX_REGS; i++)
		regs.value[i] = LOADED_AT + 16 * (uint64_t)i;
	regs.value[arch->reg_pc] = vaddr;
	place.vaddr &= ~arch->state_mask;
	unwinder_row(unwinder, &place, &row);
	assert(row.cfa <= ROW_CFA_ROOT && row.ra <= ROW_UNDEFINED && row.fp <= ROW_UNDEFINED);
	unwinder_step(unwinder, &place, memory, &regs, &cfa, &flags);
}

/* At the beginning, in the middle, and at the end of each segment. */
static void ask_unwinder(struct image *image, struct memory *memory)
{
	const struct arch *arch = arch_find(image_machine(image), image_class(image), image_is_big_endian(image));
	struct unwinder *unwinder;
	size_t count = 0;
	const struct image_segment *s = image_segments(image, &count);

	if (!arch || unwinder_open(image, arch, &unwinder, NULL))
		return;
	fuzz_touch(unwinder_from(unwinder), strlen(unwinder_from(unwinder)) + 1);
	for (size_t i = 0; i < count && i < 8; i++) {
		unwind(unwinder, arch, s[i].vaddr, memory);
		for (uint64_t at = 1; at < s[i].mem_size && at < 4096; at += at / 4 + 9)
			unwind(unwinder, arch, s[i].vaddr + at, memory);
		unwind(unwinder, arch, s[i].vaddr + s[i].mem_size - 1, memory);
	}
	unwind(unwinder, arch, image_entry(image), memory);
	unwind(unwinder, arch, 0, memory);
	unwind(unwinder, arch, ~0ull, memory);
	unwinder_close(unwinder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_buffer memory;
	struct image *image;
	struct err err = {0};

	memory_buffer_init(&memory, 0, data, size);
	if (image_open(&memory.memory, &image, &err))
		assert(err.code < 0 && err.text[0]);
	else {
		ask(image);
		ask_unwinder(image, &memory.memory);
		image_close(image);
	}
	memory_buffer_init(&memory, LOADED_AT, data, size);
	if (image_open_loaded(&memory.memory, LOADED_AT, &image, &err) == 0) {
		ask(image);
		ask_unwinder(image, &memory.memory);
		image_close(image);
	}
	return 0;
}
