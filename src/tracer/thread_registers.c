/* Registers of a stopped thread beyond the general ones. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "tracer/tracee.h"

enum {
	VECTORS_MOST = 64 * 1024,
};

taddr_t thread_pointer(const struct tracee *tracee, struct thread *thread)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread->state == THREAD_STOPPED ? thread_regs(tracee, thread) : NULL;
	uint8_t value[8] = {0};
	struct iovec iov = {value, arch->word_size};
	taddr_t pointer;
	long rc = 0;

	if (!regs)
		return 0;
	if (arch->tls_set == NT_PRSTATUS)
		memcpy(value, regs->bytes + arch->tls_offset, arch->word_size);
	else if (arch->tls_set)
		rc = ptrace(PTRACE_GETREGSET, thread->tid, (long)arch->tls_set, &iov);
	else
		rc = ptrace((int)arch->thread_area, thread->tid, 0, value);
	pointer = arch_word(arch, value);
	return rc || !pointer ? 0 : pointer - arch->tls_bias;
}

bool regs_are_kernels(const struct arch *arch, const struct regs *regs)
{
	return !regs_read(arch, regs, arch->reg_pc) && !regs_read(arch, regs, arch->reg_sp);
}

void *thread_vectors(const struct tracee *tracee, const struct thread *thread, size_t *len)
{
	struct iovec iov = {malloc(VECTORS_MOST), VECTORS_MOST};

	*len = 0;
	if (!iov.iov_base || ptrace(PTRACE_GETREGSET, thread->tid,
				    (long)tracee->arch->vector_set, &iov) < 0) {
		free(iov.iov_base);
		return NULL;
	}
	*len = iov.iov_len;
	return iov.iov_base;
}
