"""Who makes system calls for memtrace in the process: a thread of the program's, with the descriptors of all others."""
import pytest

from test_resident import AGENT, built, whole

# Waits for a line in code of its own: so another thread, that waits in the kernel, is the better one for a call.
SPINS = r"""
#include <poll.h>
#include "target.h"
static volatile unsigned long rounds;
static void spin_until_told(void)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};

	while (!poll(&in, 1, 0))
		for (int i = 0; i < 3000000; i++)
			rounds++;
	await_test();
}
"""


def go_through(process, tracer):
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    return report


def test_a_thread_with_its_own_descriptors(tmp_path, target, attach):
    """unshare(CLONE_FILES): a file that it opens is in its table alone, and what it closes there is its own."""
    process = target(built(tmp_path, SPINS + r"""
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
enum { MOST = 64 };
static pthread_barrier_t here;
static void look(struct stat *ret)
{
	for (int i = 0; i < MOST; i++)
		if (fstat(i, &ret[i]))
			ret[i].st_ino = 0;
}
static void compare(const struct stat *before, const char *who)
{
	struct stat now[MOST];

	look(now);
	for (int i = 0; i < MOST; i++)
		if (now[i].st_ino != before[i].st_ino || (now[i].st_ino && now[i].st_dev != before[i].st_dev))
			target_fail("descriptor %d of %s is another", i, who);
}
static void *run(void *arg)
{
	struct stat before[MOST];

	if (unshare(CLONE_FILES))
		target_fail("unshare");
	for (long i = 0; i < (long)arg; i++)
		open("/dev/zero", O_RDONLY);
	look(before);
	pthread_barrier_wait(&here);
	pthread_barrier_wait(&here); /* a call, in which it waits */
	compare(before, "a thread");
	return NULL;
}
int main(void)
{
	pthread_t thread[3];
	struct stat before[MOST];

	pthread_barrier_init(&here, NULL, 4);
	for (long i = 0; i < 3; i++)
		if (pthread_create(&thread[i], NULL, run, (void *)(2 * i)))
			return 1;
	pthread_barrier_wait(&here);
	look(before);
	say("READY %d\n", getpid());
	spin_until_told();
	for (int i = 0; i < 100; i++)
		drop(got(malloc(40), 40), 40);
	say("DONE\n");
	spin_until_told();
	compare(before, "main");
	pthread_barrier_wait(&here);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	return target_result(NULL);
}
"""))
    before = whole(process.pid)
    report = go_through(process, attach(process.pid, "--no-symbols", AGENT))
    assert (report["summary"]["allocs"], report["summary"]["frees"]) == (100, 100)
    assert whole(process.pid) == before
    process.go_on()
    process.result()


@pytest.mark.parametrize("engine", ["agent", "trap"])
def test_threads_of_io_uring(tmp_path, target, attach, engine):
    """They are the kernel's (Linux 5.12), listed among the program's, and traced as these: but they make no call for us,
    and have no stack from which somebody could return."""
    process = target(built(tmp_path, SPINS + r"""
#include <linux/io_uring.h>
#include <sys/syscall.h>
int main(void)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1};
	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

	say("READY %d\n", getpid());
	spin_until_told();
	for (int i = 0; i < 100; i++)
		drop(got(malloc(40), 40), 40);
	say("DONE\n");
	spin_until_told();
	return target_result(ring < 0 ? ", \"ring\": 0" : ", \"ring\": 1");
}
"""))
    before = whole(process.pid)
    tracer = attach(process.pid, "--no-symbols", f"--engine={engine}")
    report = go_through(process, tracer)
    assert (report["summary"]["allocs"], report["summary"]["frees"]) == (100, 100)
    assert not report.get("left_behind"), tracer.story()
    assert whole(process.pid) == before
    process.go_on()
    if not process.result()["ring"]:
        pytest.skip("no io_uring here")
