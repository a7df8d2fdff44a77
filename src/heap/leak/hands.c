/*
 * What a call of the allocator has in its hands: a block that it has taken from its books, and to which
 * no pointer leads yet, or none any more.
 *
 *   glibc, old musl   pointer to the chunk, two words in front of the block
 *   musl              pointer to the meta of its group, and a slot's number
 *   jemalloc          pointer to the extent of a large block; the bin that is being filled, whose
 *                     stack has the blocks behind its end (jemalloc_cache.c)
 *
 * Such a word is in a register, or near the top of the thread's stack.  The blocks that it stands for
 * are lost only perhaps, if nothing leads to them: an old word that looks like it costs no more than
 * a second look.  Of a thread that waits in a system call which no allocator makes all are old.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "heap/leak/parts.h"

enum { STACK_BYTES = 2048 }; /* (jemalloc, growing by a slab, is some 1.5 KB deep) */

/* Where a thread's system call is to be seen. */
static const struct cpu {
	uint16_t machine;
	uint8_t pc, number; /* places in its registers */
	bool known;	    /* leak_thread.in_syscall is; else by the instruction */
	/* futex, mmap, munmap, mremap, brk, madvise, mprotect, sched_yield; and 32 bits' futex */
	uint16_t calls[9];
} cpus[] = {
	{EM_X86_64, 16, 15, true, {202, 9, 11, 25, 12, 28, 10, 24, 202}},
	{EM_AARCH64, 32, 8, false, {98, 222, 215, 216, 214, 233, 226, 124, 98}},
	{EM_ARM, 15, 7, false, {240, 192, 91, 163, 45, 220, 125, 158, 422}},
};

static const struct call_insn {
	uint16_t machine;
	uint8_t len;
	uint32_t code;
} call_insns[] = {
	{EM_AARCH64, 4, 0xd4000001},
	{EM_ARM, 4, 0xef000000},
	{EM_ARM, 2, 0xdf00},
};

/* It stands behind the instruction, or on it where the kernel makes the call again. */
static bool stands_on_call(struct leak *leak, uint16_t machine, taddr_t pc)
{
	for (size_t i = 0; i < ARRAY_SIZE(call_insns); i++) {
		const struct call_insn *insn = &call_insns[i];
		uint32_t here = 0, before = 0;

		if (insn->machine != machine)
			continue;
		reader_copy(&leak->jump, pc, &here, insn->len);
		reader_copy(&leak->jump, pc - insn->len, &before, insn->len);
		if (here == insn->code || before == insn->code)
			return true;
	}
	return false;
}

/* May it be in a call of an allocator? */
static bool may_allocate(struct leak *leak, const struct leak_thread *thread)
{
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		const struct cpu *cpu = &cpus[i];
		uint64_t number;

		if (cpu->machine != leak->in.cpu.machine || thread->reg_count <= cpu->pc)
			continue;
		if (cpu->known ? !thread->in_syscall
			       : !stands_on_call(leak, cpu->machine, thread->regs[cpu->pc] & ~1ull))
			return true;
		number = thread->regs[cpu->number];
		for (size_t k = 0; k < ARRAY_SIZE(cpu->calls); k++)
			if (number == cpu->calls[k])
				return true;
		return false;
	}
	return true;
}

static int by_value(const void *a, const void *b)
{
	const taddr_t *x = a, *y = b;

	return order_u64(*x, *y);
}

/* Not what can be no address. */
static bool take_word(struct leak *leak, taddr_t value)
{
	value &= leak->tag_mask;
	return value < 4096 || leak_push(leak, &leak->hand_words, value);
}

static bool take_stack(struct leak *leak, const struct leak_thread *thread)
{
	unsigned word = leak->in.cpu.word;
	taddr_t at = (thread->sp - leak->in.cpu.red_zone) & ~(taddr_t)(word - 1);
	taddr_t end = thread->sp + STACK_BYTES;

	for (; at < end; at += word) {
		taddr_t value;

		if (reader_word(&leak->jump, at, &value) && !take_word(leak, value))
			return false;
	}
	return true;
}

bool leak_take_hands(struct leak *leak)
{
	for (size_t i = 0; i < leak->in.thread_count; i++) {
		const struct leak_thread *thread = &leak->in.threads[i];

		if (!may_allocate(leak, thread))
			continue;
		for (size_t r = 0; r < thread->reg_count; r++)
			if (!take_word(leak, thread->regs[r]))
				return false;
		if (!take_stack(leak, thread))
			return false;
	}
	if (leak->hand_words.len)
		qsort(leak->hand_words.at, leak->hand_words.len, sizeof(*leak->hand_words.at),
		      by_value);
	return true;
}

bool leak_in_hand(const struct leak *leak, taddr_t value)
{
	return leak->hand_words.len && bsearch(&value, leak->hand_words.at, leak->hand_words.len,
					       sizeof(*leak->hand_words.at), by_value);
}

bool leak_doubt(struct leak *leak, taddr_t begin, taddr_t end)
{
	/* (of a heap that is broken: it is refused) */
	return begin >= end || leak_push(leak, &leak->doubts, ((struct range){begin, end}));
}

bool leak_doubt_chunks(struct leak *leak)
{
	unsigned head = 2 * leak->in.cpu.word;

	for (size_t i = 0; i < leak->hand_words.len; i++) {
		taddr_t block = leak->hand_words.at[i] + head;

		if (index_has(&leak->index, block) && !leak_doubt(leak, block, block + 1))
			return false;
	}
	return true;
}

bool leak_doubted(const struct leak *leak, taddr_t block)
{
	const struct range *doubts = leak->doubts.at;
	size_t low = order_count(leak->doubts.len, i, doubts[i].end <= block);

	return low < leak->doubts.len && doubts[low].begin <= block;
}
