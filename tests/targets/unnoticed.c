/*
 * What a process sees of somebody who has it copied: nothing.  Threads look, over and over, until
 * the test says stop.  all: also for children that only __WALL finds; no-ring: not by io_uring, with
 * which no copy is made before Linux 6.5.
 *
 *    waits     waitpid(-1) finds no child; SIGCHLD never comes
 *    masks     each thread's signal mask is what it set
 *    locks     its lock of a file by fcntl() keeps others out (a child by fork() asks), and what
 *              flock() gave, or fcntl() to an open file (F_OFD_SETLK), goes with the last close
 *    signals   a queued signal comes once each, in order
 *    mutex     a robust mutex is never found dead
 *    reads     reads by io_uring, where the kernel has it, bring what they should
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

static volatile int stop, kinds; /* of children to be waited for */
static unsigned long waits, masks, locks, signals, locked, reads;
static char path[] = "/tmp/unnoticed-XXXXXX", second[] = "/tmp/unnoticed-XXXXXX";
static pthread_mutex_t robust;

static void on_chld(int signo)
{
	(void)signo;
	target_fail("SIGCHLD");
}

static void *look_for_children(void *arg)
{
	(void)arg;
	while (!stop) {
		int status;
		pid_t pid = waitpid(-1, &status, kinds | WNOHANG);

		if (pid >= 0 || errno != ECHILD)
			target_fail("waitpid: %d, %d", pid, errno);
		if (++waits % 64 == 0)
			usleep(500);
	}
	return NULL;
}

static void *look_at_mask(void *arg)
{
	sigset_t mine, now;

	(void)arg;
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR2);
	sigaddset(&mine, SIGRTMIN + 1);
	pthread_sigmask(SIG_SETMASK, &mine, NULL);
	while (!stop) {
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		if (memcmp(&mine, &now, 8))
			target_fail("the signal mask has changed");
		if (++masks % 64 == 0)
			usleep(300);
	}
	return NULL;
}

/* By another open file description each time: what the last had is gone with its close. */
static void *look_at_locks(void *arg)
{
	(void)arg;
	while (!stop) {
		struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd = open(second, O_RDWR | O_CLOEXEC);

		if (flock(fd, LOCK_EX | LOCK_NB))
			target_fail("flock() is held by somebody");
		if (fcntl(fd, F_OFD_SETLK, &whole))
			target_fail("a lock of an open file is held by somebody");
		usleep(200); /* (mostly a copy is made while it is locked) */
		close(fd);
		locks++;
	}
	return NULL;
}

static void *send_signals(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; !stop; i++) {
		struct timespec limit = {20, 0};
		union sigval value = {.sival_int = i};
		siginfo_t info;
		int got;

		if (pthread_sigqueue(pthread_self(), SIGRTMIN + 2, value))
			target_fail("sigqueue: %d", errno);
		usleep(100);
		do
			got = sigtimedwait(&set, &info, &limit);
		while (got < 0 && errno == EINTR);
		if (got < 0 || info.si_value.sival_int != i)
			target_fail("signal %d: got %d", i, got < 0 ? -errno : info.si_value.sival_int);
		signals++;
	}
	return NULL;
}

static void *lock_robust(void *arg)
{
	(void)arg;
	while (!stop) {
		int rc = pthread_mutex_lock(&robust);

		if (rc)
			target_fail("the robust mutex: %d", rc);
		if (++locked % 32 == 0)
			usleep(100);
		pthread_mutex_unlock(&robust);
	}
	return NULL;
}

/* ---- io_uring, by its system calls ------------------------------------------------ */

static struct ring {
	int fd;
	unsigned *tail, *mask, *array, *done_head, *done_tail, *done_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
} ring;

static void ring_open(void)
{
	struct io_uring_params p;
	char *sq, *cq;

	memset(&p, 0, sizeof(p));
	ring.fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (ring.fd < 0) {
		ring.fd = 0;
		return;
	}
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_CQ_RING);
	ring.sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
	ring.tail = (unsigned *)(sq + p.sq_off.tail);
	ring.mask = (unsigned *)(sq + p.sq_off.ring_mask);
	ring.array = (unsigned *)(sq + p.sq_off.array);
	ring.done_head = (unsigned *)(cq + p.cq_off.head);
	ring.done_tail = (unsigned *)(cq + p.cq_off.tail);
	ring.done_mask = (unsigned *)(cq + p.cq_off.ring_mask);
	ring.cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

static int ring_read(int fd, void *buf, unsigned len)
{
	unsigned tail = *ring.tail, at = tail & *ring.mask, head = *ring.done_head;
	long rc;

	ring.sqes[at] = (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = fd,
					      .addr = (unsigned long)buf, .len = len};
	ring.array[at] = at;
	__atomic_store_n(ring.tail, tail + 1, __ATOMIC_RELEASE);
	do
		rc = syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	while (rc < 0 && errno == EINTR);
	while (__atomic_load_n(ring.done_tail, __ATOMIC_ACQUIRE) == head)
		usleep(50);
	rc = ring.cqes[head & *ring.done_mask].res;
	__atomic_store_n(ring.done_head, head + 1, __ATOMIC_RELEASE);
	return (int)rc;
}

static void *read_by_ring(void *arg)
{
	char buf[16];
	int ends[2];

	(void)arg;
	if (!ring.fd || pipe2(ends, O_CLOEXEC))
		return NULL;
	while (!stop) {
		char byte = (char)reads;
		int got;

		memset(buf, 0x55, sizeof(buf));
		if (write(ends[1], &byte, 1) != 1)
			target_fail("write");
		got = ring_read(ends[0], buf, sizeof(buf));
		if (got != 1 || buf[0] != byte || buf[1] != 0x55)
			target_fail("io_uring: %d, %d for %d", got, buf[0], byte);
		reads++;
		usleep(200);
	}
	return NULL;
}

/* -------------------------------------------------------------------------------------- */

/* Asked by a process of its own: a lock by fcntl() is never in one's own way. */
static void ask_for_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK)
		target_fail("the lock by fcntl() is gone");
}

int main(int argc, char **argv)
{
	static void *(*const work[])(void *) = {look_for_children, look_at_mask, look_at_locks,
						send_signals, lock_robust, lock_robust,
						read_by_ring};
	enum { COUNT = sizeof(work) / sizeof(work[0]) };
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	pthread_t threads[COUNT];
	pthread_mutexattr_t attr;
	char more[256];
	int fd = mkstemp(path), other = mkstemp(second);
	pid_t asker;

	close(other);
	if (fcntl(fd, F_SETLK, &lock))
		return 2;
	kinds = argc > 1 && !strcmp(argv[1], "all") ? __WALL : 0; /* sees those by clone(), too */
	if (argc < 2 || strcmp(argv[argc - 1], "no-ring"))
		ring_open();
	signal(SIGCHLD, on_chld);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	for (int i = 0; i < COUNT; i++)
		pthread_create(&threads[i], NULL, work[i], NULL);
	target_ready();
	stop = 1;
	for (int i = 0; i < COUNT; i++)
		pthread_join(threads[i], NULL);
	signal(SIGCHLD, SIG_DFL);
	asker = fork();
	if (asker == 0) {
		ask_for_lock(open(path, O_RDWR));
		_exit(strcmp(target_verdict, "ok") != 0);
	}
	int status = 1;
	waitpid(asker, &status, 0);
	if (status)
		target_fail("the lock by fcntl() is gone");
	unlink(path);
	unlink(second);
	snprintf(more, sizeof(more),
		 ", \"waits\": %lu, \"masks\": %lu, \"locks\": %lu, \"signals\": %lu, "
		 "\"locked\": %lu, \"reads\": %lu",
		 waits, masks, locks, signals, locked, reads);
	return target_result(more);
}
