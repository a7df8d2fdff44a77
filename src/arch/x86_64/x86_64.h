/* What the files of this folder give to the table in arch.c; the contracts are in arch/trap.h.
 */
#ifndef MEMTRACE_X86_64_H
#define MEMTRACE_X86_64_H

#include "arch/trap.h"

struct insn;

enum { X86_64_PATCH_LEN = 5 }; /* jmp rel32 */

/* Byte offsets in user_regs_struct: 27 words. */
/* clang-format off */
enum {
	AT_R15 = 0, AT_R14 = 8, AT_R13 = 16, AT_R12 = 24, AT_RBP = 32, AT_RBX = 40, AT_R11 = 48,
	AT_R10 = 56, AT_R9 = 64, AT_R8 = 72, AT_RAX = 80, AT_RCX = 88, AT_RDX = 96, AT_RSI = 104,
	AT_RDI = 112, AT_ORIG_RAX = 120, AT_RIP = 128, AT_CS = 136, AT_EFLAGS = 144, AT_RSP = 152,
	AT_END = 216,
};
/* clang-format on */

/* displace.c */
uint32_t x86_64_patch_offset(const uint8_t *code, size_t len);
int x86_64_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		    struct displaced *ret, struct err *err);

/* The same until at least `least` bytes are covered. */
int x86_64_displace_more(const uint8_t *code, size_t len, taddr_t from, taddr_t to, uint32_t least,
			 struct displaced *ret, struct err *err);
/* A branch to a place that the instruction itself says: jmp, jcc, call, loop, xbegin. */
bool x86_64_is_direct_branch(const struct insn *insn);
size_t x86_64_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		      size_t max);
size_t x86_64_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret,
		size_t max);

/* ways.c */
size_t x86_64_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		      const struct covered *covered, size_t count, struct way *ret, size_t max);

/* stay.c: can the first instruction run, and run again?  *stays: its length, *lowered: by how
 * much it lowers sp. */
bool x86_64_can_stay(const uint8_t *code, size_t len, uint32_t *stays, uint32_t *lowered);
bool x86_64_is_breakpoint(const uint8_t *code);

/* stub.c: places from sp at trap.pc, see the picture there. */
enum {
	X86_64_TRAP_RESULT = 56,
	X86_64_TRAP_ARGS = 96,
	X86_64_TRAP_FRAME = 120,
	X86_64_TRAP_ARG3 = 64,
	X86_64_MAGIC_LEN = 8,
};
extern const uint8_t x86_64_magic[X86_64_MAGIC_LEN];
int x86_64_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		       const uint8_t *const *code, const size_t *code_len, size_t *failed,
		       struct err *err);
uint32_t x86_64_trap_disarm(uint8_t *ret);
void x86_64_trap_change_signal(struct stub_area *area, int signo);
uint32_t x86_64_trap_use_break(const struct stub_area *area, uint8_t *ret);
taddr_t x86_64_patch_target(const uint8_t *code, taddr_t function);
int x86_64_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		      bool called);

/* remote.c */
int x86_64_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
			const int64_t *own, struct remote_code *ret);
int x86_64_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		      struct remote_code *ret);

#endif
