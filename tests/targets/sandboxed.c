/*
 * sandboxed errno|kill: a program behind a seccomp filter that forbids sending signals
 * (tkill, tgkill, kill): by an error, or by death.  It allocates in two threads and
 * must live whatever watches it.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "target.h"

static pthread_barrier_t gate;

static void forbid(uint32_t action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tkill, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, action),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		target_fail("seccomp: %s", strerror(errno));
}

NOINLINE static void *work(void *arg)
{
	uint32_t seed = 1 + (uintptr_t)arg;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 500; i++) {
		size_t size = dice(&seed) % 400;
		drop(got(malloc(size), size), size);
	}
	target_kept[(uintptr_t)arg] = got(malloc(777), 777);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	return NULL;
}

int main(int argc, char **argv)
{
	forbid(argc > 1 && !strcmp(argv[1], "kill") ? SECCOMP_RET_KILL_PROCESS
						    : SECCOMP_RET_ERRNO | EPERM);
	pthread_t threads[2];
	pthread_barrier_init(&gate, NULL, 3);
	for (intptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	target_ready();
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	target_done();
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return target_result(NULL);
}
