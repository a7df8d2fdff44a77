/*
 * sealed: threads that allocate all the time, and one that puts a filter in front of them all
 * at once (SECCOMP_FILTER_FLAG_TSYNC): whoever sends a signal from then on, asks for its id or
 * changes its mask is killed.  No thread begins or ends then, which would change it.
 */
#include <pthread.h>
#include <stdbool.h>

#include "filter.h"

enum { THREADS = 8, ROUNDS = 200 };

static bool sealed;
static unsigned begun, done;

NOINLINE static void *work(void *arg)
{
	uint32_t seed = 1 + (uintptr_t)arg;

	ADD(begun, 1);
	for (int left = ROUNDS; left; left -= READ(sealed)) {
		size_t size = 1 + dice(&seed) % 400;
		drop(got(malloc(size), size), size);
	}
	ADD(done, 1);
	for (;;)
		pause();
	return NULL;
}

static void seal(void)
{
	static const int forbidden[] = {SYS_tkill, SYS_tgkill, SYS_kill, SYS_gettid,
					SYS_rt_sigprocmask};
	enum { COUNT = sizeof(forbidden) / sizeof(*forbidden) };
	struct sock_filter code[COUNT + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
	struct sock_fprog program = {COUNT + 3, code};

	for (unsigned char i = 0; i < COUNT; i++)
		code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (unsigned)forbidden[i], COUNT - i, 0);
	code[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[COUNT + 2] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
		target_fail("seccomp: %s", strerror(errno));
	__atomic_store_n(&sealed, true, __ATOMIC_SEQ_CST);
}

int main(void)
{
	pthread_t thread;

	target_ready();
	for (intptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, work, (void *)i);
	while (READ(begun) < THREADS || READ(tally_allocs) < 1000)
		usleep(1000);
	seal();
	while (READ(done) < THREADS)
		usleep(1000);
	target_done();
	_exit(target_result(NULL));
}
