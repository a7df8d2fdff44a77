/* What stub.c, which writes the code of traps and stubs, and stub_frame.c, which finds its way in
 * it, both know. */
#ifndef MEMTRACE_X86_64_STUB_PARTS_H
#define MEMTRACE_X86_64_STUB_PARTS_H

enum {
	STUB_GATE_AGENT_AT = 8, /* in the code in front of the trap: the agent's address ... */
	STUB_GATE_AT = 16,	/* ... and where stubs come in */
	STUB_HARD_LEN = 6,	/* of the hard trap's code */
	STUB_HARD_PUSHED = 72,	/* by the trap before it */
	STUB_FRAME_LEN = 24,	/* that a stub has pushed where it calls the trap, which pops it */
	STUB_RET = 0xc3,
};

#endif
