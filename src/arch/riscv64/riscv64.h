/* What the files of this folder give to the table in arch.c; the contracts are in arch/trap.h.
 */
#ifndef MEMTRACE_RISCV64_H
#define MEMTRACE_RISCV64_H

#include "arch/trap.h"

enum { RISCV64_PATCH_LEN = 4, RISCV64_FAR_PATCH_LEN = 8 }; /* jal x0; auipc t1 and jalr x0 */

/* displace.c */
uint32_t riscv64_patch_offset(const uint8_t *code, size_t len);
int riscv64_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		     struct displaced *ret, struct err *err);
/* The same, until at least `covered` bytes are covered. */
int riscv64_displace_more(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
			  uint32_t covered, struct displaced *ret, struct err *err);

/* stay.c: can the first instruction run, and run again?  *stays: its length, *lowered: by how much
 * it lowers sp. */
bool riscv64_can_stay(const uint8_t *code, size_t len, bool nothing_for_0, uint32_t *stays,
		      uint32_t *lowered);
/* The register that the instruction writes to without reading it, of those that a call may change: so
 * it is free in front of it.  0: there is none such. */
unsigned riscv64_overwrites(const uint8_t *code, size_t len);

/* stub.c: places from sp at trap.pc, see the picture there. */
enum {
	RISCV64_TRAP_RESULT = 16,
	RISCV64_TRAP_ARG3 = 40,
	RISCV64_TRAP_ARGS = 80,
	RISCV64_TRAP_FRAME = 104,
	RISCV64_MAGIC_LEN = 8,
};
extern const uint8_t riscv64_magic[RISCV64_MAGIC_LEN];
int riscv64_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
			const uint8_t *const *code, const size_t *code_len, size_t *failed,
			struct err *err);
uint32_t riscv64_trap_disarm(uint8_t *ret);
void riscv64_trap_change_signal(struct stub_area *area, int signo);
bool riscv64_is_far_patch(const uint8_t *code);
taddr_t riscv64_patch_target(const uint8_t *code, taddr_t function);
int riscv64_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		       bool called);

/* spare.c: a register that nobody reads any more from code + at on; 0: none is known. */
unsigned riscv64_spare_register(const uint8_t *code, size_t len, size_t at);

/* remote.c */
int riscv64_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
			 const int64_t *own, struct remote_code *ret);
int riscv64_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		       struct remote_code *ret);
enum remote_at riscv64_remote_at(const struct regs *regs, const uint8_t *code);

/* callees.c, ways.c */
size_t riscv64_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		       size_t max);
size_t riscv64_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret, size_t max);
size_t riscv64_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		       const struct covered *covered, size_t count, struct way *ret, size_t max);

#endif
