/* A thread's own call, by which ours is made, or from which it can't be; see generic_calls.h. */
#include "arch/generic_calls.h"

/* They do not come back, not here, or twice. */
static const uint16_t leaving[] = {
	93,  /* exit */
	94,  /* exit_group */
	139, /* rt_sigreturn */
	220, /* clone */
	221, /* execve */
	281, /* execveat */
	435, /* clone3 */
};

enum remote_at generic_calls_at(const struct generic_calls *calls, const struct regs *regs)
{
	uint64_t number = regs_u64(regs, calls->number);

	for (size_t i = 0; i < ARRAY_SIZE(leaving); i++)
		if (number == leaving[i])
			return REMOTE_AT_LEAVING;
	return REMOTE_AT_CALL;
}

void generic_calls_home(const struct generic_calls *calls, struct remote_code *code, int64_t own)
{
	code->enters = remote_is_restart(own);
	if (own == -ERESTART_RESTARTBLOCK)
		regs_put_u64(&code->home, calls->number, NR_RESTART_SYSCALL);
	if (!code->enters) {
		regs_put_u64(&code->home, calls->result, (uint64_t)own);
		regs_put_u64(&code->home, calls->pc, regs_u64(&code->home, calls->pc) + calls->insn_len);
	}
}
