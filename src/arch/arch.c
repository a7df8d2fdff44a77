/*
 * The architectures there are, and a thread's registers by DWARF number.
 *
 * A register is one word at a fixed place of the NT_PRSTATUS block; the table of
 * the architecture says where.  The block's bytes come from another process and
 * may be in another word size and byte order than ours (arch_word()), so they are
 * never cast to a struct of this machine.
 */
#include "arch/native.h"
#include "arch/trap.h"

#include <elf.h>

static const struct arch *const architectures[] = {
	&arch_x86_64,
	&arch_aarch64,
	&arch_arm,
	&arch_mipsel,
	&arch_mips,
	&arch_riscv64,
};

const struct arch *arch_find(uint16_t elf_machine, uint8_t elf_class, bool big_endian)
{
	for (size_t i = 0; i < ARRAY_SIZE(architectures); i++) {
		if (architectures[i]->elf_machine == elf_machine &&
		    architectures[i]->elf_class == elf_class &&
		    architectures[i]->big_endian == big_endian)
			return architectures[i];
	}
	return NULL;
}

const struct arch *arch_native(void)
{
	return NATIVE_X86_64    ? &arch_x86_64
	       : NATIVE_AARCH64 ? &arch_aarch64
	       : NATIVE_ARM	? &arch_arm
	       : NATIVE_MIPS	? (ARCH_HOST_BIG ? &arch_mips : &arch_mipsel)
	       : NATIVE_RISCV64 ? &arch_riscv64
				: NULL;
}

uint64_t arch_signal_set(const struct arch *arch, const void *bytes)
{
	const uint8_t *word = bytes;

	if (arch->word_size == 8)
		return arch_word(arch, word);
	return arch_word(arch, word) | arch_word(arch, word + 4) << 32;
}

void arch_put_signal_set(const struct arch *arch, void *bytes, uint64_t set)
{
	uint8_t *word = bytes;

	arch_put_word(arch, word, set);
	if (arch->word_size == 4)
		arch_put_word(arch, word + 4, set >> 32);
}

/* Where reg lies, or NULL: no such register, or the block at hand is too short. */
static const uint8_t *regs_place(const struct arch *arch, const struct regs *regs, int reg)
{
	int offset;

	if (reg < 0 || reg >= arch->reg_count)
		return NULL;
	offset = arch->reg_offset[reg];
	if (offset < 0 || (uint32_t)offset + arch->word_size > regs->len)
		return NULL;
	return regs->bytes + offset;
}

uint64_t regs_read(const struct arch *arch, const struct regs *regs, int reg)
{
	const uint8_t *at = regs_place(arch, regs, reg);

	return at ? arch_word(arch, at) : 0;
}

void regs_write(const struct arch *arch, struct regs *regs, int reg, uint64_t value)
{
	uint8_t *at = (uint8_t *)regs_place(arch, regs, reg);

	if (at)
		arch_put_word(arch, at, value);
}

int64_t regs_word(const struct arch *arch, const struct regs *regs, int offset)
{
	uint64_t value = arch_word(arch, regs->bytes + offset);

	return arch->word_size == 4 ? (int32_t)value : (int64_t)value;
}

int64_t regs_syscall_result(const struct arch *arch, const struct regs *regs)
{
	int64_t result = regs_word(arch, regs, arch->syscall_result_offset);
	uint64_t flag;

	if (!arch->syscall_error.mask)
		return result;
	flag = arch_word(arch, regs->bytes + arch->syscall_error.offset);
	return flag & arch->syscall_error.mask ? -result : result;
}

enum stub_place stub_place(const struct stub *stub, taddr_t pc)
{
	if (pc < stub->entry || pc >= stub->copy + stub->displaced.copy_len)
		return STUB_OUTSIDE;
	if (pc >= stub->copy)
		return STUB_COPY;
	return stub->copy_return && pc >= stub->copy_return ? STUB_BEHIND : STUB_BEFORE;
}
