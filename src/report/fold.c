/*
 * Folding: allocator frames, and long names.
 *
 * The user's question is "which of my functions", so the frames between it and the
 * heap are not shown at first.  Only what is an allocator by its standard name is
 * folded: an xmalloc() is the user's own and stays.
 *
 * libc's functions have many names: malloc is __libc_malloc, __GI___libc_malloc and
 * (moved by the compiler) _int_malloc.part.0.  They are compared by their core: "__GI_"
 * and underscores cut in front, then the prefixes below; in the back all from the
 * first dot or @ on, and "_chk".
 */
#include "report/fold.h"

#include <stdlib.h>
#include <string.h>

#include "report/utf8.h"

/* Cores of C names, sorted. */
static const char *const cores[] = {
	"aligned_alloc",
	"asprintf",
	"calloc",
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
	"posix_memalign",
	"pvalloc",
	"realloc",
	"realloc_hook_ini",
	"reallocarray",
	"rust_alloc",
	"rust_alloc_zeroed",
	"rust_realloc",
	"strdup",
	"strndup",
	"tcache_init",
	"valloc",
	"vasprintf",
	"vasprintf_internal",
	"wcsdup",
};

/* What stands before a core: libc's own names, jemalloc, tcmalloc, mimalloc. */
static const char *const prefixes[] = {"libc_", "IO_", "je_", "tc_", "mi_"};

/* Beginnings of C++ and Rust names, mangled and not. */
static const char *const beginnings[] = {
	"operator new",
	"_Znw",
	"_Zna",
	"std::allocator<",
	"std::allocator_traits<",
	"std::__new_allocator<",
	"std::__1::allocator<",
	"std::__1::allocator_traits<",
	"std::__allocate_guarded<",
	"__gnu_cxx::new_allocator<",
	"__gnu_cxx::malloc_allocator<",
	"__gnu_cxx::__alloc_traits<",
	"__gnu_cxx::bitmap_allocator<",
	"__gnu_cxx::__pool_alloc<",
	"__gnu_cxx::__mt_alloc<",
	"alloc::alloc::",
	"<alloc::alloc::Global",
	"__rustc::__rust_",
	"__rdl_alloc",
	"__rdl_realloc",
	"__rg_alloc",
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

bool fold_is_allocator(const char *function)
{
	char core[32];

	if (!function)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		if (skip(function, beginnings[i]) != function)
			return true;
	return core_of(function, core, sizeof(core)) &&
	       bsearch(core, cores, ARRAY_SIZE(cores), sizeof(cores[0]), compare_core);
}

/* Whether the '<' at s[i] opens template arguments: behind a name or a "::", and not
 * as a part of operator<, <<, <=, <=>. */
static bool opens_arguments(const char *s, size_t i)
{
	char before = i ? s[i - 1] : ' ';

	if (i >= 8 && !strncmp(s + i - 8, "operator", 8))
		return false;
	return before == ':' || before == '_' || before == '$' || (uint8_t)before >= 0x80 ||
	       (before >= '0' && before <= '9') ||
	       ((before | 32) >= 'a' && (before | 32) <= 'z');
}

/* Behind the bracket that closes the one at s[i]; 0: it never does.  "->" closes
 * nothing. */
static size_t behind_closing(const char *s, size_t i, char open, char close)
{
	size_t depth = 0;

	for (; s[i]; i++) {
		if (s[i] == open)
			depth++;
		else if (s[i] == close && !(i && s[i - 1] == '-') && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* Copies name with every outermost template argument list as <...>.  A bracket that
 * never closes ends that, so that no name costs more than twice its length. */
static void elide_templates(const char *name, char *ret)
{
	bool closes = true;
	size_t i = 0;

	while (name[i]) {
		size_t behind = 0;

		if (closes && name[i] == '<' && opens_arguments(name, i)) {
			behind = behind_closing(name, i, '<', '>');
			closes = behind != 0;
		}
		if (behind > i + 5) {
			memcpy(ret, "<...>", 5);
			ret += 5;
			i = behind;
		} else {
			*ret++ = name[i++];
		}
	}
	*ret = 0;
}

/* The last argument list of name becomes (...), in place; "(anonymous namespace)::"
 * is none. */
static void elide_arguments(char *name)
{
	size_t open = 0, close = 0;

	for (size_t i = 0; name[i]; i++) {
		size_t behind;

		if (name[i] != '(')
			continue;
		behind = behind_closing(name, i, '(', ')');
		if (!behind)
			break;
		if (strncmp(name + behind, "::", 2)) {
			open = i;
			close = behind;
		}
		i = behind - 1;
	}
	if (close > open + 5) {
		memcpy(name + open, "(...)", 5);
		memmove(name + open + 5, name + close, strlen(name + close) + 1);
	}
}

char *fold_name(const char *function, size_t columns)
{
	char *name = strdup(function);

	if (!name || utf8_columns(name) <= columns)
		return name;
	elide_templates(function, name);
	if (utf8_columns(name) > columns)
		elide_arguments(name);
	return name;
}
