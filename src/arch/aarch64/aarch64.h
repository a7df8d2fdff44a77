/* What the files of this folder give to the table in arch.c; the contracts are in arch/trap.h.
 */
#ifndef MEMTRACE_AARCH64_H
#define MEMTRACE_AARCH64_H

#include "arch/trap.h"

enum { AARCH64_PATCH_LEN = 4 }; /* b */

/* displace.c */
uint32_t aarch64_patch_offset(const uint8_t *code, size_t len);
int aarch64_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		     struct displaced *ret, struct err *err);

/* stub.c: places from sp at trap.pc, see the picture there. */
enum {
	AARCH64_TRAP_ARGS_ENTRY = 16,
	AARCH64_TRAP_RESULT = 16,
	AARCH64_TRAP_ARGS_RETURN = 80,
	AARCH64_TRAP_FRAME_ENTRY = 88,
	AARCH64_TRAP_FRAME_RETURN = 104,
	AARCH64_TRAP_ARG3 = 40,
	AARCH64_MAGIC_LEN = 8,
};
extern const uint8_t aarch64_magic[AARCH64_MAGIC_LEN];
int aarch64_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
			const uint8_t *const *code, const size_t *code_len, size_t *failed,
			struct err *err);
uint32_t aarch64_trap_disarm(uint8_t *ret);
void aarch64_trap_change_signal(struct stub_area *area, int signo);
taddr_t aarch64_patch_target(const uint8_t *code, taddr_t function);
int aarch64_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		       bool called);

size_t aarch64_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		       size_t max);
size_t aarch64_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret,
		size_t max);

/* remote.c */
int aarch64_remote_build(taddr_t at, const struct remote_call *call,
			 const struct regs *regs, const int64_t *own, struct remote_code *ret);
int aarch64_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		       struct remote_code *ret);
enum remote_at aarch64_remote_at(const struct regs *regs, const uint8_t *code);

#endif
