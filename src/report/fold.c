/*
 * Folding: frames that are only the way into the allocator.
 *
 * The user's question is "which of my functions", so the frames between it and the
 * heap are not shown at first.  Only what is an allocator by its standard name is
 * folded, and the containers of the standard library of C++ (what is in std:: or
 * __gnu_cxx:: belongs to nobody else) and of Rust: an xmalloc() is the user's own and stays.
 *
 * libc's functions have many names: malloc is __libc_malloc, __GI___libc_malloc and
 * (moved by the compiler) _int_malloc.part.0.  They are compared by their core: "__GI_"
 * and underscores cut in front, then the prefixes below; in the back all from the
 * first dot or @ on, and "_chk".
 */
#include "report/fold.h"

#include <stdlib.h>
#include <string.h>

/* Cores of C names, sorted. */
static const char *const cores[] = {
	"aligned_alloc",
	"asprintf",
	"brk",
	"brk_call",
	"calloc",
	"cxa_allocate_exception",
	"getdelim",
	"getline",
	"int_calloc",
	"int_malloc",
	"int_memalign",
	"int_realloc",
	"malloc",
	"malloc_hook_ini",
	"memalign",
	"memalign_hook_ini",
	"mid_memalign",
	"mmap",
	"mmap64",
	"mremap",
	"posix_memalign",
	"pvalloc",
	"realloc",
	"realloc_hook_ini",
	"reallocarray",
	"rust_alloc",
	"rust_alloc_zeroed",
	"rust_realloc",
	"sbrk",
	"strdup",
	"strndup",
	"tcache_init",
	"valloc",
	"vasprintf",
	"vasprintf_internal",
	"wcsdup",
};

/* What comes before a core: libc's own names, jemalloc, tcmalloc, mimalloc. */
static const char *const prefixes[] = {"libc_", "IO_", "je_", "tc_", "mi_"};

/* Beginnings of C++ and Rust names, mangled and not. */
static const char *const beginnings[] = {
	"operator new",
	"_Znw",
	"_Zna",
	"alloc::alloc::",
	"alloc::raw_vec::",
	"<alloc::alloc::Global",
	"<alloc::raw_vec::",
	"__rustc::__rust_",
	"__rdl_alloc",
	"__rdl_realloc",
	"__rg_alloc",
};

/* Of what the standard library itself is, behind "void " and "int* ". */
static const char *const standard[] = {
	"std::", "__gnu_cxx::", "_ZNSt", "_ZNKSt",	  "_ZSt",
	"_ZNSs", "_ZNKSs",	"_ZNSa", "_ZN9__gnu_cxx", "_ZNK9__gnu_cxx",
};

static int compare_core(const void *core, const void *item)
{
	return strcmp(core, *(const char *const *)item);
}

static const char *skip(const char *name, const char *beginning)
{
	size_t len = strlen(beginning);

	return strncmp(name, beginning, len) ? name : name + len;
}

/* The core of a C name; false: longer than any we know. */
static bool core_of(const char *name, char *core, size_t size)
{
	size_t len;

	name = skip(name, "__GI_");
	name += strspn(name, "_");
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		name = skip(name, prefixes[i]);
	len = strcspn(name, ".@");
	if (len > 4 && !strncmp(name + len - 4, "_chk", 4))
		len -= 4;
	if (len >= size)
		return false;
	memcpy(core, name, len);
	core[len] = 0;
	return true;
}

/*
 * Where the name itself begins in "void std::f<int (*)(int)>(int)": behind the last blank that
 * no bracket holds, and before the arguments.
 */
static const char *behind_type(const char *function)
{
	const char *name = function;
	size_t depth = 0;

	for (const char *at = function; *at; at++) {
		if (*at == '(' && !depth && at > name && strncmp(at - 1, "e (", 3) &&
		    strncmp(at, "(anonymous", 10))
			break; /* its arguments; but for "decltype (x) f()" */
		if (strchr("<({[", *at))
			depth++;
		else if (strchr(">)}]", *at) && depth && !(at > function && at[-1] == '-'))
			depth--;
		else if (*at == ' ' && !depth)
			name = at + 1;
		if (!strncmp(at, "operator", 8))
			break; /* what follows may be anything: <, (), new, bool */
	}
	return name;
}

static bool is_standard(const char *function)
{
	const char *name = behind_type(function);

	for (size_t i = 0; i < ARRAY_SIZE(standard); i++)
		if (skip(name, standard[i]) != name)
			return true;
	return false;
}

bool fold_is_allocator(const char *function)
{
	char core[32];

	if (!function)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		if (skip(function, beginnings[i]) != function)
			return true;
	if (is_standard(function))
		return true;
	return core_of(function, core, sizeof(core)) &&
	       bsearch(core, cores, ARRAY_SIZE(cores), sizeof(cores[0]), compare_core);
}

bool fold_is_runtime(const char *function)
{
	static const char *const names[] = {"_start", "__libc_start", "start_thread", "__clone",
					    "clone3", "std::",	      "__gnu_cxx::"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(function, names[i], strlen(names[i])))
			return true;
	return fold_is_allocator(function);
}
