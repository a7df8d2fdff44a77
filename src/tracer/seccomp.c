/*
 * Reading seccomp filters instead of trying them: a call that a filter forbids may
 * kill the process that makes it.
 *
 * A thread can have many filters; a call passes when every one of them lets it pass.
 * The program of a filter is classic BPF, which the kernel has verified (forward jumps
 * only, memory words 0..15), and which we check again as we go.
 */
#include "tracer/seccomp.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

enum { PROGRAM_MAX = 4096 /* BPF_MAXINSNS */, FILTERS_MAX = 64 };

struct machine {
	uint32_t a, x;
	uint32_t memory[BPF_MEMWORDS];
};

static uint32_t alu(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case BPF_NEG:
		return -a;
	default:
		return 0;
	}
}

static bool holds(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default:
		return a & b; /* BPF_JSET */
	}
}

static bool load(const struct machine *m, const struct sock_filter *f,
		 const struct seccomp_data *data, uint32_t *ret)
{
	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		*ret = f->k;
		return true;
	case BPF_LEN:
		*ret = sizeof(*data);
		return true;
	case BPF_MEM:
		*ret = f->k < BPF_MEMWORDS ? m->memory[f->k] : 0;
		return f->k < BPF_MEMWORDS;
	case BPF_ABS:
		if (f->k > sizeof(*data) - sizeof(*ret) || f->k % sizeof(*ret))
			return false;
		memcpy(ret, (const char *)data + f->k, sizeof(*ret));
		return true;
	default:
		return false;
	}
}

/* Everything that neither jumps nor returns.  False: not understood. */
static bool step(struct machine *m, const struct sock_filter *f,
		 const struct seccomp_data *data)
{
	uint32_t operand = BPF_SRC(f->code) == BPF_X ? m->x : f->k;

	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
		return load(m, f, data, &m->a);
	case BPF_LDX:
		return load(m, f, data, &m->x);
	case BPF_ST:
	case BPF_STX:
		if (f->k >= BPF_MEMWORDS)
			return false;
		m->memory[f->k] = BPF_CLASS(f->code) == BPF_ST ? m->a : m->x;
		return true;
	case BPF_ALU:
		m->a = alu(BPF_OP(f->code), m->a, operand);
		return true;
	case BPF_MISC:
		if (BPF_MISCOP(f->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		return true;
	default:
		return false;
	}
}

uint32_t seccomp_run(const struct sock_filter *program, size_t len,
		     const struct seccomp_data *data)
{
	struct machine m = {0};

	for (size_t pc = 0; pc < len; pc++) {
		const struct sock_filter *f = &program[pc];
		uint32_t operand = BPF_SRC(f->code) == BPF_X ? m.x : f->k;

		if (BPF_CLASS(f->code) == BPF_RET)
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		if (BPF_CLASS(f->code) != BPF_JMP) {
			if (!step(&m, f, data))
				break;
		} else if (BPF_OP(f->code) == BPF_JA) {
			if (f->k >= len)
				break;
			pc += f->k;
		} else {
			pc += holds(BPF_OP(f->code), m.a, operand) ? f->jt : f->jf;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static bool passes(uint32_t verdict)
{
	verdict &= SECCOMP_RET_ACTION_FULL;
	return verdict == SECCOMP_RET_ALLOW || verdict == SECCOMP_RET_LOG;
}

int seccomp_allows(pid_t tid, const struct seccomp_data *calls, size_t count)
{
	struct sock_filter program[PROGRAM_MAX];

	for (unsigned long i = 0; i < FILTERS_MAX; i++) {
		long len = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL);

		if (len < 0)
			return errno == ENOENT ? 1 : -errno;
		if (len > PROGRAM_MAX || ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, program) < 0)
			return -E2BIG;
		for (size_t call = 0; call < count; call++)
			if (!passes(seccomp_run(program, (size_t)len, &calls[call])))
				return 0;
	}
	return -E2BIG;
}
