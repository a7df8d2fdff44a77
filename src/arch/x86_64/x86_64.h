/* What the files of this folder give to the table in arch.c; the contracts are in arch/arch.h.
 */
#ifndef MEMTRACE_X86_64_H
#define MEMTRACE_X86_64_H

#include "arch/arch.h"

enum { X86_64_PATCH_LEN = 5 }; /* jmp rel32 */

/* displace.c */
uint32_t x86_64_patch_offset(const uint8_t *code, size_t len);
int x86_64_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		    struct displaced *ret, struct err *err);

bool x86_64_calls(const uint8_t *code, size_t len, taddr_t from, taddr_t target);

/* stub.c: places from sp at trap_pc, see the picture there. */
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
void x86_64_trap_resign(struct stub_area *area, int signo);
uint32_t x86_64_trap_harden(const struct stub_area *area, uint8_t *ret);
taddr_t x86_64_patch_target(const uint8_t *code, taddr_t function);
int x86_64_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		      bool called);

#endif
