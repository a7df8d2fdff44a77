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

/* Is this for a CPU that we may trace on?  A memtrace for a device (STATIC=1) has the stubs and the
 * unwinding of its own alone, and knows of others by their registers and names. */
#ifdef MEMTRACE_ONE_CPU
#define NATIVE_OR_ANY(native) ((native) == 1)
#else
#define NATIVE_OR_ANY(native) true
#endif

#define NATIVE_TRAP(native, trap) (NATIVE_OR_ANY(native) ? (trap) : NULL)

#endif
