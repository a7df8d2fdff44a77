/*
 * Generated code without frame pointers that is shown to debuggers by gdb's JIT interface, as LLVM
 * ("object": relocatable, with its .eh_frame relocated elsewhere) or QEMU ("image") do.  Two calls
 * of take(), with nothing but unwind data to tell its frame: the frame pointer is 0 in it.
 *
 *     registered object|image    at each of two lines of the test: 10 calls of it, then DONE; before the
 *                                second one it is taken back, and one with a larger frame is in its place
 */
#include "target.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

enum { CALLS = 10, SIZE = 24, RBP = 6, RSP = 7, RA = 16 };

struct jit_code_entry {
	struct jit_code_entry *next, *prev;
	const char *symfile_addr;
	uint64_t symfile_size;
};

struct jit_descriptor {
	uint32_t version, action_flag;
	struct jit_code_entry *relevant_entry, *first_entry;
};

struct jit_descriptor __jit_debug_descriptor = {1, 0, NULL, NULL};

NOINLINE void __jit_debug_register_code(void);
void __jit_debug_register_code(void)
{
	__asm__ volatile("nop; nop; nop; nop; nop; nop; nop" ::: "memory"); /* (a patch needs its room) */
}

static NOINLINE void take(void)
{
	target_kept[0] = got(malloc(SIZE), SIZE);
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

#define PUT(at, ...) put(at, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* push %rbp; xor %ebp,%ebp; sub $room,%rsp; mov $take,%rax; call *%rax; the same again; add; pop; ret */
static size_t generate(uint8_t *to, uint8_t room)
{
	void (*function)(void) = take;
	uint8_t *at = PUT(to, 0x55, 0x31, 0xed, 0x48, 0x83, 0xec, room);

	for (int i = 0; i < 2; i++) {
		at = PUT(at, 0x48, 0xb8);
		at = put(at, &function, sizeof(function));
		at = PUT(at, 0xff, 0xd0);
	}
	return (size_t)(PUT(at, 0x48, 0x83, 0xc4, room, 0x5d, 0xc3) - to);
}

/* A CIE with absolute addresses, an FDE, an end. */
static size_t describe(uint8_t *to, uint64_t code, uint64_t len, uint8_t room)
{
	uint32_t back;
	uint8_t *at = PUT(to, 20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, RA, 1, 0, /* DW_EH_PE_absptr */
			  0x0c, RSP, 8, 0x80 | RA, 1, 0, 0);
	uint8_t *fde = at;

	at = PUT(at, 36, 0, 0, 0);
	back = (uint32_t)(at - to);
	at = put(at, &back, sizeof(back));
	at = put(at, &code, 8);
	at = put(at, &len, 8);
	/* behind the push, behind the sub */
	at = PUT(at, 0, 0x41, 0x0e, 16, 0x80 | RBP, 2, 0x40 | 6, 0x0e, (uint8_t)(16 + room));
	while (at - fde < 40)
		*at++ = 0;
	return (size_t)(PUT(at, 0, 0, 0, 0) - to);
}

static const char names[] = "\0.text\0.eh_frame\0.rela.eh_frame\0.symtab\0.strtab\0generated";

struct file {
	Elf64_Ehdr head;
	Elf64_Shdr sections[6];
	Elf64_Sym symbols[2];
	char names[sizeof(names)];
	uint8_t frames[128];
};

static uint32_t named(const char *name)
{
	for (uint32_t i = 0; i < sizeof(names); i++)
		if (!strcmp(names + i, name))
			return i;
	return 0;
}

static Elf64_Shdr section(const char *name, uint32_t type, uint64_t flags, uint64_t addr, size_t offset, size_t size)
{
	return (Elf64_Shdr){.sh_name = named(name), .sh_type = type, .sh_flags = flags, .sh_addr = addr,
			    .sh_offset = offset, .sh_size = size};
}

static void make_file(struct file *f, bool object, uint8_t *code, size_t len, uint8_t room, uint8_t *loaded)
{
	uint64_t at = (uintptr_t)code;
	size_t frames = describe(loaded, at, len, room);

	*f = (struct file){.head = {.e_type = object ? ET_REL : ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
				    .e_shoff = offsetof(struct file, sections), .e_ehsize = sizeof(f->head),
				    .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = object ? 6 : 5, .e_shstrndx = 4}};
	memcpy(f->head.e_ident, ELFMAG, SELFMAG);
	f->head.e_ident[EI_CLASS] = ELFCLASS64;
	f->head.e_ident[EI_DATA] = ELFDATA2LSB;
	f->head.e_ident[EI_VERSION] = 1;
	memcpy(f->names, names, sizeof(names));
	/* (an object's own is not relocated) */
	describe(f->frames, object ? 0 : at, len, room);
	f->sections[1] = section(".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, at, 0, len);
	f->sections[2] = section(".eh_frame", SHT_PROGBITS, SHF_ALLOC, (uintptr_t)loaded, offsetof(struct file, frames),
				 frames);
	f->sections[3] = section(".symtab", SHT_SYMTAB, 0, 0, offsetof(struct file, symbols), sizeof(f->symbols));
	f->sections[3].sh_link = 4;
	f->sections[3].sh_entsize = sizeof(Elf64_Sym);
	f->sections[4] = section(".strtab", SHT_STRTAB, 0, 0, offsetof(struct file, names), sizeof(names));
	f->sections[5] = section(".rela.eh_frame", SHT_RELA, 0, 0, 0, 0);
	f->symbols[1] = (Elf64_Sym){.st_name = named("generated"), .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				    .st_shndx = 1, .st_value = object ? 0 : at, .st_size = len};
}

static void tell(uint32_t action, struct jit_code_entry *entry, bool there)
{
	__jit_debug_descriptor.action_flag = action;
	__jit_debug_descriptor.relevant_entry = entry;
	__jit_debug_descriptor.first_entry = there ? entry : NULL;
	__jit_debug_register_code();
}

int main(int argc, char **argv)
{
	static uint8_t loaded[128];
	static struct file file;
	static struct jit_code_entry entry = {NULL, NULL, (const char *)&file, sizeof(file)};
	bool object = argc > 1 && !strcmp(argv[1], "object");
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*function)(void);

	if (code == MAP_FAILED)
		return 77;
	memcpy(&function, &code, sizeof(function));
	target_ready();
	for (uint8_t round = 0; round < 2; round++) {
		uint8_t room = (uint8_t)(16 + 48 * round);
		size_t len = generate(code, room);

		make_file(&file, object, code, len, room, loaded);
		tell(1, &entry, true);
		for (int i = 0; i < CALLS; i++)
			function();
		tell(2, &entry, false);
		target_done();
	}
	return target_result(NULL);
}
