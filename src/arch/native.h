/* The one place that asks the compiler what it builds for. */
#ifndef MEMTRACE_NATIVE_H
#define MEMTRACE_NATIVE_H

#if defined(__x86_64__) && defined(__LP64__)
enum { NATIVE_X86_64 = 1, NATIVE_AARCH64 = 0, NATIVE_ARM = 0 };
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
enum { NATIVE_X86_64 = 0, NATIVE_AARCH64 = 1, NATIVE_ARM = 0 };
#elif defined(__arm__)
enum { NATIVE_X86_64 = 0, NATIVE_AARCH64 = 0, NATIVE_ARM = 1 };
#else
enum { NATIVE_X86_64 = 0, NATIVE_AARCH64 = 0, NATIVE_ARM = 0 };
#endif

/* The code of stubs for a CPU; a memtrace for a device (STATIC=1) has that of its own alone, and
 * knows of others by their registers and names. */
#ifdef MEMTRACE_ONE_CPU
#define NATIVE_TRAP(native, trap) ((native) ? (trap) : NULL)
#else
#define NATIVE_TRAP(native, trap) (trap)
#endif

#endif
