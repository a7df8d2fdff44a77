/* Documentation/admin-guide/syscall-user-dispatch.rst; kernel/entry/syscall_user_dispatch.c */
#include "tracer/dispatch.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "tracer/status.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

enum { GET_CONFIG = 0x4211 }; /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG */
enum { OFF, EXCLUSIVE_ON, INCLUSIVE_ON /* Linux 6.16 */ };

struct config { /* struct ptrace_sud_config of <linux/ptrace.h> */
	uint64_t mode, selector, offset, len;
};

bool dispatch_is_known(void)
{
	return prctl(PR_SET_SYSCALL_USER_DISPATCH, OFF, 0, 0, 0) == 0;
}

/* The range may go on at 0 behind the highest address, as the kernel's comparison does; an
 * inclusive one is turned around, also in what it tells. */
bool dispatch_spares(uint64_t mode, uint64_t offset, uint64_t len, taddr_t begin, taddr_t end)
{
	if (mode == OFF)
		return true;
	if (mode == INCLUSIVE_ON) {
		offset += len;
		len = -len;
	} else if (mode != EXCLUSIVE_ON) {
		return false;
	}
	return begin - offset < len && end - begin <= len - (begin - offset);
}

int dispatch_allows(pid_t tid, taddr_t begin, taddr_t end)
{
	struct config config = {0};
	struct status status;

	if (ptrace((int)GET_CONFIG, tid, sizeof(config), &config) == 0)
		return dispatch_spares(config.mode, config.offset, config.len, begin, end);
	if (!dispatch_is_known() || status_read(tid, 0, &status) || status.seccomp ||
	    !(status.caught & signal_bit(SIGSYS)))
		return 1;
	return -ENOSYS;
}
