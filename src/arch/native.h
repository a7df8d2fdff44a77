/* The one place that asks the compiler what it builds for. */
#ifndef MEMTRACE_NATIVE_H
#define MEMTRACE_NATIVE_H

enum native_cpu {
	NATIVE_IS_UNKNOWN,
	NATIVE_IS_X86_64,
	NATIVE_IS_AARCH64,
	NATIVE_IS_ARM,
	NATIVE_IS_MIPS,
	NATIVE_IS_RISCV64,
};

#if defined(__x86_64__) && defined(__LP64__)
#define NATIVE_CPU NATIVE_IS_X86_64
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#define NATIVE_CPU NATIVE_IS_AARCH64
#elif defined(__arm__)
#define NATIVE_CPU NATIVE_IS_ARM
/* (o32; release 6 has other instructions in the place of some that stubs are made of) */
#elif defined(__mips__) && defined(_ABIO32) && _MIPS_SIM == _ABIO32 && \
	!(defined(__mips_isa_rev) && __mips_isa_rev >= 6)
#define NATIVE_CPU NATIVE_IS_MIPS
#elif defined(__riscv) && defined(__LP64__)
#define NATIVE_CPU NATIVE_IS_RISCV64
#else
#define NATIVE_CPU NATIVE_IS_UNKNOWN
#endif

enum {
	NATIVE_X86_64 = NATIVE_CPU == NATIVE_IS_X86_64,
	NATIVE_AARCH64 = NATIVE_CPU == NATIVE_IS_AARCH64,
	NATIVE_ARM = NATIVE_CPU == NATIVE_IS_ARM,
	NATIVE_MIPS = NATIVE_CPU == NATIVE_IS_MIPS,
	NATIVE_RISCV64 = NATIVE_CPU == NATIVE_IS_RISCV64,
};

/* Is this for a CPU that we may trace on?  A memtrace for a device (STATIC=1) has the stubs and the
 * unwinding of its own alone, and knows of others by their registers and names. */
#ifdef MEMTRACE_ONE_CPU
#define NATIVE_OR_ANY(native) ((native) == 1)
#else
#define NATIVE_OR_ANY(native) true
#endif

#define NATIVE_TRAP(native, trap) (NATIVE_OR_ANY(native) ? (trap) : NULL)

#endif
