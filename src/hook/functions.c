/* The table of names; see functions.h.  Aliases at one address are one hook, under the first
 * of them. */
#include "hook/functions.h"

#include "base/types.h"

/*
 * operator new of an allocator of its own may throw, and the C++ unwinder must not
 * meet a frame of ours: the allocator's malloc, which is the same but for that, is run
 * instead, and operator new itself only when that failed.  An operator new in a module
 * without malloc (libstdc++) gets its memory from a malloc that is hooked: it needs
 * nothing.  size_t is `m` in mangled names of 64-bit systems, `j` on 32-bit ones.
 */
#define NEW(name, aligned)                                                                     \
	{                                                                                      \
		name, CALL_ALLOC, STUB_INSTEAD, 0, aligned ? "memalign" : "malloc", aligned,   \
			WHO_ALLOCATOR                                                          \
	}
#define DELETE(name)                                                                           \
	{                                                                                      \
		name, CALL_FREE, STUB_ENTRY, 0, NULL, false, WHO_ALLOCATOR                     \
	}

/* clang-format off */
static const struct function functions[] = {
	{"malloc",         CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_ANY},
	{"free",           CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"calloc",         CALL_CALLOC,       STUB_RETURN, 0, NULL, false, WHO_ANY},
	{"realloc",        CALL_REALLOC,      STUB_BOTH,   0, NULL, false, WHO_ANY},
	{"reallocarray",   CALL_REALLOCARRAY, STUB_BOTH,   0, NULL, false, WHO_OLD},
	{"posix_memalign", CALL_POSIX_ALIGN,  STUB_RETURN, 0, NULL, false, WHO_ALLOCATOR},
	{"aligned_alloc",  CALL_ALLOC,        STUB_RETURN, 1, NULL, false, WHO_ALLOCATOR},
	{"memalign",       CALL_ALLOC,        STUB_RETURN, 1, NULL, false, WHO_OLD},
	{"valloc",         CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_OLD},
	{"pvalloc",        CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_OLD},
	{"cfree",          CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_OLD},
	/* C23 7.24.3.4, 7.24.3.5 */
	{"free_sized",         CALL_FREE,     STUB_ENTRY,  0, NULL, false, WHO_OLD},
	{"free_aligned_sized", CALL_FREE,     STUB_ENTRY,  0, NULL, false, WHO_OLD},
	{"sigaction",      CALL_SIGACTION,    STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"prctl",          CALL_PRCTL,        STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"seccomp_load",   CALL_SECCOMP,      STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"ptrace",         CALL_PTRACE,       STUB_ENTRY,  0, NULL, false, WHO_ANY},
	/* gdb's manual, "JIT Compilation Interface" */
	{FUNCTIONS_JIT, CALL_JIT, STUB_ENTRY, 0, NULL, false, WHO_ANY},
	{"mmap",           CALL_MMAP,         STUB_RETURN, 0, NULL, false, WHO_LIBC},
	{"mmap64",         CALL_MMAP,         STUB_RETURN, 0, NULL, false, WHO_LIBC},
	{"munmap",         CALL_MUNMAP,       STUB_BOTH,   0, NULL, false, WHO_LIBC},
	{"mremap",         CALL_MREMAP,       STUB_BOTH,   0, NULL, false, WHO_LIBC},
	{"brk",            CALL_BRK,          STUB_RETURN, 0, NULL, false, WHO_LIBC},
	/* jemalloc(3), "Non-standard API" */
	{"mallocx",        CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_JEMALLOC},
	{"rallocx",        CALL_REALLOC,      STUB_BOTH,   0, NULL, false, WHO_JEMALLOC},
	{"dallocx",        CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_JEMALLOC},
	{"sdallocx",       CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_JEMALLOC},
	NEW("_Znwm", false), NEW("_Znam", false), NEW("_Znwj", false), NEW("_Znaj", false),
	NEW("_ZnwmRKSt9nothrow_t", false), NEW("_ZnamRKSt9nothrow_t", false),
	NEW("_ZnwjRKSt9nothrow_t", false), NEW("_ZnajRKSt9nothrow_t", false),
	NEW("_ZnwmSt11align_val_t", true), NEW("_ZnamSt11align_val_t", true),
	NEW("_ZnwjSt11align_val_t", true), NEW("_ZnajSt11align_val_t", true),
	NEW("_ZnwmSt11align_val_tRKSt9nothrow_t", true),
	NEW("_ZnamSt11align_val_tRKSt9nothrow_t", true),
	NEW("_ZnwjSt11align_val_tRKSt9nothrow_t", true),
	NEW("_ZnajSt11align_val_tRKSt9nothrow_t", true),
	DELETE("_ZdlPv"), DELETE("_ZdaPv"), DELETE("_ZdlPvm"), DELETE("_ZdaPvm"),
	DELETE("_ZdlPvj"), DELETE("_ZdaPvj"),
	DELETE("_ZdlPvRKSt9nothrow_t"), DELETE("_ZdaPvRKSt9nothrow_t"),
	DELETE("_ZdlPvSt11align_val_t"), DELETE("_ZdaPvSt11align_val_t"),
	DELETE("_ZdlPvmSt11align_val_t"), DELETE("_ZdaPvmSt11align_val_t"),
	DELETE("_ZdlPvjSt11align_val_t"), DELETE("_ZdaPvjSt11align_val_t"),
	DELETE("_ZdlPvSt11align_val_tRKSt9nothrow_t"),
	DELETE("_ZdaPvSt11align_val_tRKSt9nothrow_t"),
};
/* clang-format on */

static const struct function loader_function = {
	.name = "_dl_debug_state", .call = CALL_LOADER, .kind = STUB_ENTRY};

const struct function *functions_table(bool loader, size_t *count)
{
	*count = loader ? 1 : ARRAY_SIZE(functions);
	return loader ? &loader_function : functions;
}

const struct function *functions_loader_caller(void)
{
	static const struct function function = {
		.name = "the caller of _dl_debug_state", .call = CALL_LOADER, .kind = STUB_RETURN};

	return &function;
}
