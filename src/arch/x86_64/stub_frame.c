/* Where the return address of a stub's caller is, for a pc in our code: by what the instructions
 * from its beginning to the pc have pushed. */
#include <errno.h>

#include "arch/x86_64/insn.h"
#include "arch/x86_64/stub_parts.h"
#include "arch/x86_64/x86_64.h"

/* How far an instruction of ours moves sp down; calls come back. */
static int pushed_by(const uint8_t *code)
{
	uint8_t opcode = code[0] == 0x41 ? code[1] : code[0]; /* behind REX.B */

	if ((opcode & 0xf8) == 0x50 || opcode == 0x6a || opcode == 0x68)
		return 8;
	if ((opcode & 0xf8) == 0x58)
		return -8;
	return 0;
}

/* Has the trap come back, and taken the stub's frame along? */
static bool is_behind_trap(const struct stub_area *area, const struct stub *stub, size_t at)
{
	taddr_t pc = area->base + at;

	return stub && (pc == stub->payload_entry || pc == stub->payload_return);
}

/* Before and behind the agent rcx is on the stack, but for the return. */
static int gate_frame(const struct stub_area *area, taddr_t pc)
{
	const taddr_t known = area->gate - STUB_GATE_AT;

	if (pc >= known + STUB_GATE_AGENT_AT && pc < area->gate)
		return -ENOENT;
	return pc == area->gate || pc == known + 1 ? 0 : 8;
}

int x86_64_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		      bool called)
{
	bool hard = !stub && pc >= area->trap.hard;
	size_t at = (stub   ? stub->entry
		     : hard ? area->trap.hard
			    : area->trap.begin) -
		    area->base;
	size_t end = stub ? stub->copy - area->base
			  : at + (hard ? STUB_HARD_LEN : area->trap.hard - area->trap.begin);
	size_t until = pc - area->base;
	int pushed = hard ? STUB_HARD_PUSHED : stub ? (int)stub->lowered : 0;
	struct insn insn;

	if (!stub && area->agent && pc >= area->gate - STUB_GATE_AT && pc < area->trap.begin)
		return gate_frame(area, pc);
	if (until < at || (until >= end && !(called && is_behind_trap(area, stub, until))))
		return -ENOENT;
	while (at < until) {
		if (insn_decode(area->bytes + at, end - at, &insn))
			return -ENOENT;
		if (stub && area->base + at == stub->entry)
			pushed = 0;
		pushed += pushed_by(area->bytes + at);
		if (area->bytes[at] == STUB_RET) /* behind it: STUB_INSTEAD, the other way */
			pushed = STUB_FRAME_LEN;
		at += insn.len;
		if (is_behind_trap(area, stub, at) && !(called && at == until))
			pushed -= STUB_FRAME_LEN;
	}
	return at == until ? pushed : -ENOENT;
}
