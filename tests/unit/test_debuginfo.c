/* What memtrace-fs says of its own test program, whose functions and lines are known here;
 * and the demanglers. */
#include "serve/debuginfo.h"
#include "serve/dwp_index.h"

#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve/demangle.h"
#include "serve/functions.h"
#include "serve/module_cache.h"
#include "serve/units.h"

/* ---- demangling -----------------------------------------------------------------------------
 */

static void assert_demangled(const char *symbol, const char *expected)
{
	char *name = demangle(symbol);

	if (expected)
		assert_string_equal(name ? name : "NULL", expected);
	else
		assert_null(name);
	free(name);
}

static void test_demangle_cxx(void **state)
{
	(void)state;

	assert_demangled("main", NULL);
	assert_demangled("i", NULL); /* a type for the C++ demangler */
	assert_demangled("_Z", NULL);
	assert_demangled("_ZnotReallyMangled", NULL);
	assert_demangled("_Z3fooi", "foo(int)");
	assert_demangled("_Z3fooi.cold", "foo(int)");
	assert_demangled("_Z3fooi.constprop.0.isra.0", "foo(int)");
	assert_demangled("_ZNSt6vectorIiSaIiEE9push_backEOi",
			 "std::vector<int, std::allocator<int> >::push_back(int&&)");
	assert_demangled("_Znwm", "operator new(unsigned long)");
}

/* "p<int, int>", and "p<SUCH, SUCH>" of that again and again: as long as 2^levels. */
static const char *doubled(const char *before, unsigned levels)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static char text[1024];
	int len = snprintf(text, sizeof(text), "%s", before);

	for (unsigned i = 0; i <= levels; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "1pI");
	len += snprintf(text + len, sizeof(text) - (size_t)len, "iiE");
	/* Before them are the templates 1p, from S_; S0_ is number 1. */
	for (unsigned i = levels + 1; i < 2 * levels + 1; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "S%.*s%c_E", i > 36,
				i > 72 ? "2" : "1", digits[(i - 1) % 36]);
	return text;
}

/* Names that stand for longer ones are taken as far as that is reasonable, and cost little. */
static void test_demangle_growing(void **state)
{
	struct rusage before, after, child;
	char *name;
	(void)state;

	getrusage(RUSAGE_SELF, &before);
	name = demangle(doubled("_Z1f", 11));
	assert_non_null(name);
	assert_int_equal(strlen(name), 34813);
	free(name);
	for (unsigned levels = 24; levels <= 48; levels += 4) {
		assert_demangled(doubled("_Z1f", levels), NULL);
		assert_demangled(doubled("_Z1fDp", levels), NULL); /* time, before any text */
		assert_demangled("_Z3fooi", "foo(int)");
	}
	demangle_end();
	getrusage(RUSAGE_SELF, &after);
	getrusage(RUSAGE_CHILDREN, &child);
	assert_true(after.ru_utime.tv_sec - before.ru_utime.tv_sec < 2);
	assert_true(after.ru_maxrss - before.ru_maxrss < 32 << 10); /* KiB */
	assert_in_range(child.ru_utime.tv_sec + child.ru_stime.tv_sec, 0, 3);
}

static void test_demangle_rust_legacy(void **state)
{
	(void)state;

	assert_demangled("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write");
	assert_demangled("_ZN4core3fmt5write17h0123456789abcdefE.llvm.1234",
			 "core::fmt::write");
	assert_demangled("_ZN55_$LT$std..ffi..OsString$u20$as$u20$core..fmt..Debug$GT$3fmt17h"
			 "0123456789abcdefE",
			 "<std::ffi::OsString as core::fmt::Debug>::fmt");
	assert_demangled("_ZN4main4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
			 "main::main::{{closure}}");
	/* Not a hash: C++. */
	assert_demangled("_ZN4core5write17h0123456789ABCDEFE",
			 "core::write::h0123456789ABCDEF");
}

static void test_demangle_rust_v0(void **state)
{
	(void)state;

	assert_demangled("_RNvC6_123foo3bar", "123foo::bar");
	assert_demangled("_RNvCs1234_7mycrate4main", "mycrate::main");
	assert_demangled("_RNvMs_C7mycrateNtB4_3Foo3new", "<mycrate::Foo>::new");
	assert_demangled("_RNvXC7mycrateNtB2_3FooNtB2_5Trait2go",
			 "<mycrate::Foo as mycrate::Trait>::go");
	assert_demangled("_RNCNvC7mycrate4main0B3_", "mycrate::main::{closure#0}");
	assert_demangled("_RNCNvC7mycrate4mains_0B3_", "mycrate::main::{closure#1}");
	assert_demangled("_RINvC7mycrate3fooANtB2_3Barj7b_E",
			 "mycrate::foo::<[mycrate::Bar; 123]>");
	assert_demangled("_RINvC7mycrate3fooTlmERlQeE",
			 "mycrate::foo::<(i32, u32), &i32, &mut str>");
	assert_demangled("_RINvC7mycrate3fooFUKClEuE",
			 "mycrate::foo::<unsafe extern \"C\" fn(i32)>");
	assert_demangled("_RINvC7mycrate3fooDNtB2_5Traitp4ItemlEL_E",
			 "mycrate::foo::<dyn mycrate::Trait<Item = i32>>");
	assert_demangled("_RINvC7mycrate3fooKb1_Kc41_Kin5_E", "mycrate::foo::<true, 'A', -5>");
	assert_demangled("_RNvC7mycrate3foo.llvm.12", "mycrate::foo");
}

/* Rust names that are cut, loop, or nest without end: no name, at once. */
static void test_demangle_rust_broken(void **state)
{
	static const char whole[] = "_RINvC7mycrate3fooTlmEDNtB2_5Traitp4ItemlEL_E";
	char cut[sizeof(whole)], deep[5000];
	(void)state;

	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		memcpy(cut, whole, len);
		cut[len] = '\0';
		assert_demangled(cut, NULL);
	}
	assert_demangled("_RB_", NULL);
	assert_demangled("_RNvB_3foo", NULL);
	assert_demangled("_RC99999999999999999999a", NULL);
	assert_demangled("_RNvC1a1b_extra", NULL);
	memset(deep, 'R', sizeof(deep) - 1);
	deep[0] = '_';
	deep[sizeof(deep) - 1] = '\0';
	assert_demangled(deep, NULL);
	/* Back-references that double the output each time. */
	assert_demangled("_RINvC1a1bTTTTTTllEB6_EB5_EB4_EB3_EB2_EB1_EB0_EB_EE", NULL);
}

/* ---- this very program
 * ----------------------------------------------------------------------- */

#define HERE(line) (*(line) = __LINE__, address_here())

/* The address behind the call: the caller looks up the call itself, at - 1. */
__attribute__((noinline)) static uint64_t address_here(void)
{
	return (uint64_t)(uintptr_t)__builtin_return_address(0) - 1;
}

static inline __attribute__((always_inline)) uint64_t inner(unsigned *line)
{
	return HERE(line);
}

__attribute__((noinline)) static uint64_t outer(unsigned lines[2])
{
	uint64_t at;

	lines[1] = __LINE__ + 1;
	at = inner(&lines[0]);
	__asm__ volatile("" ::: "memory");
	return at;
}

static uint64_t bias;

static int find_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	bias = info->dlpi_addr;
	return 1; /* the first one is the program */
}

static const char *const no_dirs[] = {NULL};
static const struct files_where host = {FILES_HOST, 0};
static const struct debuginfo_options local = {.dirs = {.debug_dirs = no_dirs, .local = true}};

/* This program, as a target would introduce it. */
static void introduce(struct search_for *who)
{
	static char path[4096];
	struct elffile *file;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	assert_true(n > 0);
	path[n] = '\0';
	assert_int_equal(elffile_open(&local.dirs, host, path, NULL, &file, NULL), 0);
	*who = (struct search_for){.id.path = path, .pid = (uint32_t)getpid()};
	module_id_set_build_id(&who->id, file->build_id, file->build_id_len);
	elffile_close(file);
}

static void test_own_frames(void **state)
{
	struct wire_frame frames[8];
	struct debuginfo *info;
	struct search_for who;
	unsigned lines[2];
	uint64_t at = outer(lines);
	(void)state;

	dl_iterate_phdr(find_bias, NULL);
	introduce(&who);
	assert_int_equal(debuginfo_open(&who, &local, &info, NULL), 0);
	assert_int_equal(debuginfo_names(info), WIRE_NAMES_LINES);
	assert_string_equal(debuginfo_source(info), who.id.path);
	assert_null(debuginfo_remark(info));
	assert_int_equal(debuginfo_frames(info, at - bias, frames, 8), 2);
	assert_string_equal(frames[0].function, "inner");
	assert_int_equal(frames[0].line, lines[0]);
	assert_true(frames[0].inlined);
	assert_non_null(strstr(frames[0].file, "tests/unit/test_debuginfo.c"));
	assert_string_equal(frames[1].function, "outer");
	assert_int_equal(frames[1].line, lines[1]);
	assert_false(frames[1].inlined);
	/* Less room: the innermost ones. */
	assert_int_equal(debuginfo_frames(info, at - bias, frames, 1), 1);
	assert_string_equal(frames[0].function, "inner");
	/* No code there. */
	assert_int_equal(debuginfo_frames(info, 1, frames, 8), 0);
	assert_int_equal(debuginfo_frames(info, UINT64_MAX, frames, 8), 0);
	debuginfo_close(info);
}

static void test_own_symbols(void **state)
{
	struct debuginfo *info;
	struct search_for who;
	uint64_t value = 0, size = 0;
	(void)state;

	dl_iterate_phdr(find_bias, NULL);
	introduce(&who);
	assert_int_equal(debuginfo_open(&who, &local, &info, NULL), 0);
	assert_true(debuginfo_symbol(info, "address_here", &value, &size));
	assert_true(value == (uint64_t)(uintptr_t)address_here - bias);
	assert_true(size > 0);
	assert_false(debuginfo_symbol(info, "address_her", &value, &size));
	assert_false(debuginfo_symbol(info, "address_heree", &value, &size));
	assert_false(debuginfo_symbol(info, "", &value, &size));
	debuginfo_close(info);
}

/* Of a file's symbols, each that covers an address alone is found there by both ways. */
static void test_functions(void **state)
{
	struct functions *functions = functions_create();
	const struct function *function;
	struct elffile *file;
	(void)state;

	assert_int_equal(elffile_open(&local.dirs, host, "/proc/self/exe", NULL, &file, NULL),
			 0);
	assert_null(functions_at(functions, 0x1000));
	assert_null(functions_find(functions, "main"));
	assert_int_equal(functions_add(functions, file, NULL), 0);
	assert_true(functions_count(functions) > 50);
	function = functions_find(functions, "outer");
	assert_non_null(function);
	assert_string_equal(functions_name(functions, function), "outer");
	assert_ptr_equal(functions_at(functions, function->begin), function);
	assert_ptr_equal(functions_at(functions, function->begin + function->size - 1),
			 function);
	assert_ptr_not_equal(functions_at(functions, function->begin - 1), function);
	functions_destroy(functions);
	elffile_close(file);
}

/* A file of 32-bit ARM with two functions, of T32 and of A32 code. */
struct arm_file {
	Elf32_Ehdr head;
	Elf32_Phdr code;
	Elf32_Shdr sections[3];
	Elf32_Sym symbols[3];
	char names[12];
};

static void arm_file_write(int fd)
{
	const unsigned char function = ELF32_ST_INFO(STB_GLOBAL, STT_FUNC);
	const struct arm_file file = {
		.head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_ARM,
			 .e_version = EV_CURRENT,
			 .e_phoff = offsetof(struct arm_file, code),
			 .e_shoff = offsetof(struct arm_file, sections),
			 .e_ehsize = sizeof(Elf32_Ehdr),
			 .e_phentsize = sizeof(Elf32_Phdr),
			 .e_phnum = 1,
			 .e_shentsize = sizeof(Elf32_Shdr),
			 .e_shnum = 3},
		.code = {.p_type = PT_LOAD,
			 .p_vaddr = 0x10000,
			 .p_filesz = sizeof(file),
			 .p_memsz = sizeof(file),
			 .p_flags = PF_R | PF_X},
		.sections = {[1] = {.sh_type = SHT_SYMTAB,
				    .sh_offset = offsetof(struct arm_file, symbols),
				    .sh_size = sizeof(file.symbols),
				    .sh_link = 2,
				    .sh_entsize = sizeof(Elf32_Sym)},
			     [2] = {.sh_type = SHT_STRTAB,
				    .sh_offset = offsetof(struct arm_file, names),
				    .sh_size = sizeof(file.names)}},
		.symbols = {[1] = {1, 0x10011, 4, function, 0, 1},
			    [2] = {5, 0x10020, 4, function, 0, 1}},
		.names = "\0t32\0a32",
	};

	assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
}

/* Where a name's code begins says nothing of how it is to be read; bit 0 does. */
static void test_functions_of_arm(void **state)
{
	struct functions *functions = functions_create();
	FILE *temporary = tmpfile();
	const struct function *t32, *a32;
	struct elffile *file;
	(void)state;

	arm_file_write(fileno(temporary));
	assert_int_equal(
		elffile_open_fd(dup(fileno(temporary)), host, "", "made up", &file, NULL), 0);
	assert_int_equal(functions_add(functions, file, NULL), 0);
	t32 = functions_find(functions, "t32");
	a32 = functions_find(functions, "a32");
	assert_true(t32 && t32->begin == 0x10010 && t32->thumb);
	assert_true(a32 && a32->begin == 0x10020 && !a32->thumb);
	assert_ptr_equal(functions_at(functions, 0x10010), t32);
	functions_destroy(functions);
	elffile_close(file);
	fclose(temporary);
}

static void test_other_build_id(void **state)
{
	struct debuginfo *info;
	struct search_for who;
	(void)state;

	introduce(&who);
	who.id.build_id[0] ^= 1;
	assert_int_equal(debuginfo_open(&who, &local, &info, NULL), 0);
	assert_int_equal(debuginfo_names(info), WIRE_NAMES_NONE);
	assert_null(debuginfo_source(info));
	assert_non_null(strstr(debuginfo_remark(info), ": does not match: its build-id is "));
	debuginfo_close(info);
}

/* Files of this machine's own paths are for local clients only. */
static void test_not_local(void **state)
{
	struct debuginfo_options remote = {.dirs = {.debug_dirs = no_dirs}};
	struct debuginfo *info;
	struct search_for who;
	(void)state;

	introduce(&who);
	assert_int_equal(debuginfo_open(&who, &remote, &info, NULL), 0);
	assert_int_equal(debuginfo_names(info), WIRE_NAMES_NONE);
	debuginfo_close(info);
}

/* ---- the module cache
 * ------------------------------------------------------------------------------- */

static void test_module_cache(void **state)
{
	struct debuginfo *one, *two, *other;
	struct module_cache cache = {};
	struct search_for who;
	char path[32];
	(void)state;

	introduce(&who);
	assert_int_equal(module_cache_take(&cache, &who, &local, &one, NULL), 0);
	assert_int_equal(module_cache_take(&cache, &who, &local, &two, NULL), 0);
	assert_ptr_equal(one, two);
	assert_int_equal(cache.places.len, 1);
	/* By another path, where the same file is found in the end. */
	who.id.path = "/nonexistent";
	assert_int_equal(module_cache_take(&cache, &who, &local, &other, NULL), 0);
	assert_ptr_equal(one, other);
	module_cache_put(&cache, other);
	who.id.build_id[0] ^= 1;
	assert_int_equal(module_cache_take(&cache, &who, &local, &other, NULL), 0);
	assert_ptr_not_equal(one, other);
	module_cache_put(&cache, one);
	module_cache_put(&cache, other);
	/* Nobody uses these: they are closed when they become many; `two` never. */
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "/nonexistent/%d", i);
		who.id.path = path;
		assert_int_equal(module_cache_take(&cache, &who, &local, &other, NULL), 0);
		module_cache_put(&cache, other);
	}
	assert_int_equal(cache.places.len, 257);
	introduce(&who);
	assert_int_equal(module_cache_take(&cache, &who, &local, &one, NULL), 0);
	assert_ptr_equal(one, two);
	module_cache_deinit(&cache);
}

/* ---- DWARF that goes round ------------------------------------------------------------ */

enum { NESTED = 28, INFO_AT = 0x200, ABBREV_AT = 0x180 };

static size_t put_bytes(uint8_t *to, const void *bytes, size_t len)
{
	memcpy(to, bytes, len);
	return len;
}

/* A unit over [0x1000, 0x1100), and in it namespaces within each other, each of which says that
 * its first child comes next after it, too. */
static size_t write_unit(uint8_t *info)
{
	static const uint8_t unit[] = {4, 0, 0,	   0, 0, 0, 8,	     /* version 4 */
				       1, 0, 0x10, 0, 0, 0, 0, 0, 0, /* from */
				       0, 1, 0,	   0};		     /* length */
	size_t at = 4 + put_bytes(info + 4, unit, sizeof(unit));

	for (int i = 0; i < NESTED; i++) {
		uint32_t next = (uint32_t)at + 5;

		info[at] = 2;
		memcpy(info + at + 1, &next, sizeof(next));
		at = next;
	}
	at += NESTED + 1; /* the ends of all lists */
	memcpy(info, &(uint32_t){(uint32_t)at - 4}, 4);
	return at;
}

static size_t write_file(uint8_t *file)
{
	static const uint8_t abbrev[] = {1, 0x11, 1, 0x11, 0x01, 0x12, 0x06, 0, 0,
					 2, 0x39, 1, 0x01, 0x13, 0,    0,    0};
	static const char names[] = "\0.debug_info\0.debug_abbrev";
	Elf64_Ehdr *elf = (Elf64_Ehdr *)file;
	Elf64_Shdr *sections = (Elf64_Shdr *)(file + sizeof(*elf));
	size_t len = write_unit(file + INFO_AT), names_at = INFO_AT + len;

	memcpy(elf->e_ident, ELFMAG "\2\1\1", 7);
	elf->e_type = ET_DYN;
	elf->e_machine = EM_X86_64;
	elf->e_version = EV_CURRENT;
	elf->e_ehsize = sizeof(*elf);
	elf->e_shoff = sizeof(*elf);
	elf->e_shentsize = sizeof(*sections);
	elf->e_shnum = 4;
	elf->e_shstrndx = 3;
	sections[1] = (Elf64_Shdr){.sh_name = 1,
				   .sh_type = SHT_PROGBITS,
				   .sh_offset = INFO_AT,
				   .sh_size = len,
				   .sh_addralign = 1};
	sections[2] = (Elf64_Shdr){.sh_name = 13,
				   .sh_type = SHT_PROGBITS,
				   .sh_offset = ABBREV_AT,
				   .sh_size = sizeof(abbrev),
				   .sh_addralign = 1};
	sections[3] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
				   .sh_offset = names_at,
				   .sh_size = sizeof(names),
				   .sh_addralign = 1};
	put_bytes(file + ABBREV_AT, abbrev, sizeof(abbrev));
	return names_at + put_bytes(file + names_at, names, sizeof(names));
}

static void test_dies_that_go_round(void **state)
{
	static _Alignas(8) uint8_t file[2048];
	struct wire_frame frames[4];
	struct rusage before, after;
	struct units *units;
	struct err err, missing;
	Dwarf *dwarf;
	Elf *elf;
	(void)state;

	elf_version(EV_CURRENT);
	elf = elf_memory((char *)file, write_file(file));
	dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	assert_non_null(dwarf);
	assert_int_equal(units_create(dwarf, NULL, &units, &missing, &err), 0);
	getrusage(RUSAGE_SELF, &before);
	assert_int_equal(units_frames(units, 0x1010, frames, 4, NULL), 0);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_utime.tv_sec - before.ru_utime.tv_sec < 2);
	units_destroy(units);
	dwarf_end(dwarf);
	elf_end(elf);
}

/* A package's index (DWARF 5, 7.3.5.3), and each way in which it does not hold together. */
static void test_dwp_index(void **state)
{
	static const uint32_t good[] = {5,    3,    2,	  2,	/* columns, units, slots */
					0x11, 0xaa, 0x22, 0xbb, /* ids */
					2,    1,		/* their rows */
					1,    3,    8,		/* info, abbrev, rnglists */
					10,   20,   30,	  11,	21, 31, /* offsets */
					40,   50,   60,	  41,	51, 61};
	static const struct {
		size_t at;
		uint32_t value;
	} broken[] = {{0, 3},	{1, 17}, {1, 4}, {2, 3},  {2, 1}, {3, 3},
		      {3, ~0u}, {8, 0},	 {8, 3}, {22, 0}, {23, 0}};
	const uint64_t id = 0xaa00000011;
	uint32_t bytes[ARRAY_SIZE(good)];
	struct dwp_unit unit;
	(void)state;

	assert_true(dwp_index_find((const uint8_t *)good, sizeof(good), id, &unit));
	assert_int_equal(unit.parts[DWP_INFO].offset, 11);
	assert_int_equal(unit.parts[DWP_INFO].len, 41);
	assert_int_equal(unit.parts[DWP_RNGLISTS].offset, 31);
	assert_int_equal(unit.parts[DWP_RNGLISTS].len, 61);
	assert_int_equal(unit.parts[DWP_LINE].len, 0);
	assert_false(dwp_index_find((const uint8_t *)good, sizeof(good), id + 1, &unit));
	assert_false(dwp_index_find((const uint8_t *)good, sizeof(good), 0, &unit));
	for (size_t len = 0; len < sizeof(good); len++)
		assert_false(dwp_index_find((const uint8_t *)good, len, id, &unit));
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		memcpy(bytes, good, sizeof(good));
		bytes[broken[i].at] = broken[i].value;
		assert_false(dwp_index_find((const uint8_t *)bytes, sizeof(bytes), id, &unit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dwp_index),
		cmocka_unit_test(test_demangle_cxx),
		cmocka_unit_test(test_demangle_growing),
		cmocka_unit_test(test_demangle_rust_legacy),
		cmocka_unit_test(test_demangle_rust_v0),
		cmocka_unit_test(test_demangle_rust_broken),
		cmocka_unit_test(test_own_frames),
		cmocka_unit_test(test_own_symbols),
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_functions_of_arm),
		cmocka_unit_test(test_other_build_id),
		cmocka_unit_test(test_not_local),
		cmocka_unit_test(test_module_cache),
		cmocka_unit_test(test_dies_that_go_round),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
