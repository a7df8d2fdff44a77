/*
 * sandboxed errno|kill|trace|notify [second]: a program behind a seccomp filter that forbids
 * sending signals (tkill, tgkill, kill): by an error, by death, or by asking a supervisor
 * that is not there; second: behind one that forbids nothing.  Or it denies itself something
 * else, where the kernel knows it:
 *
 *   mdwe      memory that becomes executable (PR_SET_MDWE, Linux 6.3)
 *   tsc       reading the time stamp counter
 *   landlock  signals to processes outside (LANDLOCK_SCOPE_SIGNAL, Linux 6.12)
 *
 * It allocates in two threads and must live whatever watches it.
 */
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <stdbool.h>

#include "filter.h"

static pthread_barrier_t gate;

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

static uint32_t action(const char *name)
{
	if (!strcmp(name, "kill"))
		return SECCOMP_RET_KILL_PROCESS;
	if (!strcmp(name, "trace"))
		return SECCOMP_RET_TRACE;
	return !strcmp(name, "notify") ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EPERM;
}

static bool is_another_gate(const char *name)
{
	const struct {
		uint64_t files, net, scoped;
	} rules = {0, 0, 3};

	if (!strcmp(name, "mdwe"))
		prctl(65, 1, 0, 0, 0);
	else if (!strcmp(name, "tsc"))
		prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
	else if (!strcmp(name, "landlock")) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		syscall(446, syscall(444, &rules, sizeof(rules), 0), 0); /* landlock_restrict_self */
	} else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	if (argc > 2)
		forbid_signals(SECCOMP_RET_ALLOW);
	if (!is_another_gate(argc > 1 ? argv[1] : ""))
		forbid_signals(action(argc > 1 ? argv[1] : ""));
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
