/*
 * System calls that the headers of an older system do not know, whatever its kernel does.
 * From Linux 5.0 on a call has one number on every CPU (MIPS: behind its ABI's first).
 */
#ifndef MEMTRACE_SYSCALLS_H
#define MEMTRACE_SYSCALLS_H

#include <sys/syscall.h>

#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#else
#include <stdint.h>
struct open_how { /* openat2(2) */
	uint64_t flags, mode, resolve;
};
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_IN_ROOT	      0x10
#endif

#ifdef __NR_Linux
#define SYSCALL_NUMBER(number) (__NR_Linux + (number))
#else
#define SYSCALL_NUMBER(number) (number)
#endif

#ifndef SYS_close_range /* Linux 5.9 */
#define SYS_close_range SYSCALL_NUMBER(436)
#endif
#ifndef SYS_openat2 /* Linux 5.6 */
#define SYS_openat2 SYSCALL_NUMBER(437)
#endif
#ifndef SYS_epoll_pwait2 /* Linux 5.11 */
#define SYS_epoll_pwait2 SYSCALL_NUMBER(441)
#endif

#endif
