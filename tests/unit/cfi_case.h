/*
 * A one-segment ELF file in memory, with unwind data written byte by byte.
 *
 *   [ ELF header, program headers, section headers ][ hdr ][ frames ]
 *   at BASE, file offset 0                           0x400  0x600
 *
 * The code it speaks of begins at CODE (there are no bytes behind it: mem_size).
 */
#ifndef MEMTRACE_TEST_CFI_CASE_H
#define MEMTRACE_TEST_CFI_CASE_H

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/cfi.h"

#define BASE	   0x10000ull
#define CODE	   (BASE + 0x2000)
#define HDR_AT	   0x400
#define FRAMES_AT  0x600
#define CASE_BYTES 0x1000

struct cfi_case {
	uint8_t bytes[CASE_BYTES];
	size_t at; /* where put_*() writes */
	struct memory_buffer memory;
	struct image *image;
	struct cfi *cfi;
};

static inline void put(struct cfi_case *k, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		k->bytes[k->at++] = (uint8_t)(value >> (8 * i));
}

static inline void put_bytes(struct cfi_case *k, const void *bytes, size_t len)
{
	memcpy(k->bytes + k->at, bytes, len);
	k->at += len;
}

static inline void put_uleb(struct cfi_case *k, uint64_t value)
{
	do {
		put(k, (value & 0x7f) | (value > 0x7f ? 0x80 : 0), 1);
		value >>= 7;
	} while (value);
}

static inline uint64_t here(const struct cfi_case *k) /* the vaddr of the next byte */
{
	return BASE + k->at;
}

/* Begins an entry of the 32-bit form; entry_end() fills in its length. */
static inline size_t entry_begin(struct cfi_case *k)
{
	put(k, 0, 4);
	return k->at;
}

static inline void entry_end(struct cfi_case *k, size_t begin)
{
	size_t end = k->at;

	k->at = begin - 4;
	put(k, end - begin, 4);
	k->at = end;
}

/* A CIE as gcc writes it for .eh_frame: CFA = rsp + 8, ra at CFA - 8.  Returns where
 * it begins. */
static inline size_t put_cie(struct cfi_case *k, const char *augmentation, uint8_t encoding)
{
	static const uint8_t initial[] = {0x0c, 7, 8, 0x90, 1};
	size_t start = k->at, body = entry_begin(k);

	put(k, 0, 4);
	put(k, 1, 1);
	put_bytes(k, augmentation, strlen(augmentation) + 1);
	put_uleb(k, 1);
	put(k, 0x78, 1); /* data alignment -8 */
	put(k, 16, 1);
	if (augmentation[0] == 'z') {
		put_uleb(k, 1);
		put(k, encoding, 1);
	}
	put_bytes(k, initial, sizeof(initial));
	entry_end(k, body);
	return start;
}

/* An FDE with 4-byte pc-relative addresses (encoding 0x1b). */
static inline size_t put_fde(struct cfi_case *k, size_t cie, uint64_t begin, uint64_t len,
			     const void *program, size_t program_len)
{
	size_t start = k->at, body = entry_begin(k);

	put(k, k->at - cie, 4);
	put(k, begin - here(k), 4);
	put(k, len, 4);
	put_uleb(k, 0);
	put_bytes(k, program, program_len);
	entry_end(k, body);
	return start;
}

static inline void case_begin(struct cfi_case *k)
{
	memset(k, 0, sizeof(*k));
	k->at = FRAMES_AT;
}

/* Writes the headers; `section`: ".eh_frame", ".debug_frame", or NULL for none;
 * hdr_len: of the .eh_frame_hdr at HDR_AT, 0 for none.  Opens image and unwind data. */
static inline int case_open(struct cfi_case *k, const char *section, size_t hdr_len)
{
	static const char names[] = "\0.eh_frame\0.debug_frame";
	Elf64_Ehdr *elf = (Elf64_Ehdr *)k->bytes;
	Elf64_Phdr *headers = (Elf64_Phdr *)(k->bytes + sizeof(*elf));
	Elf64_Shdr *sections = (Elf64_Shdr *)(k->bytes + 0x200);
	size_t end = k->at;

	memcpy(elf->e_ident, ELFMAG "\2\1\1", 7);
	elf->e_type = ET_DYN;
	elf->e_machine = EM_X86_64;
	elf->e_phoff = sizeof(*elf);
	elf->e_phentsize = sizeof(*headers);
	elf->e_phnum = hdr_len ? 2 : 1;
	headers[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				  .p_flags = PF_R | PF_X,
				  .p_vaddr = BASE,
				  .p_filesz = CASE_BYTES,
				  .p_memsz = 0x100000};
	headers[1] = (Elf64_Phdr){
		.p_type = PT_GNU_EH_FRAME, .p_vaddr = BASE + HDR_AT, .p_filesz = hdr_len};
	if (section) {
		elf->e_shoff = 0x200;
		elf->e_shentsize = sizeof(*sections);
		elf->e_shnum = 3;
		elf->e_shstrndx = 2;
		sections[1] = (Elf64_Shdr){.sh_name = section[1] == 'e' ? 1 : 11,
					   .sh_type = SHT_PROGBITS,
					   .sh_addr = BASE + FRAMES_AT,
					   .sh_offset = FRAMES_AT,
					   .sh_size = end - FRAMES_AT};
		sections[2] = (Elf64_Shdr){
			.sh_type = SHT_STRTAB, .sh_offset = 0x380, .sh_size = sizeof(names)};
		memcpy(k->bytes + 0x380, names, sizeof(names));
	}
	memory_buffer_init(&k->memory, 0, k->bytes, sizeof(k->bytes));
	k->cfi = NULL;
	if (image_open(&k->memory.memory, &k->image, NULL))
		return -1;
	return cfi_open(k->image, &arch_x86_64, &k->cfi, NULL);
}

static inline void case_close(struct cfi_case *k)
{
	cfi_close(k->cfi);
	image_close(k->image);
}

#endif
