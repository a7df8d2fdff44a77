/*
 * System calls that an interrupted thread gives back with EINTR, each in a thread of
 * its own, over and over with a short limit until the test says stop.  Nobody sends
 * this process a signal, so EINTR is a fault of whoever stopped it, and so is a call
 * that comes back before its time.
 *
 * RESULT's "calls" says how often each came back, "longest_ms" the longest wait: a
 * call that is made again after a stop may wait anew, so that is only reported.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "target.h"

#ifndef SYS_epoll_pwait2 /* headers before Linux 5.11 */
#ifdef __NR_Linux /* MIPS */
#define SYS_epoll_pwait2 (__NR_Linux + 441)
#else
#define SYS_epoll_pwait2 441
#endif
#endif

enum { LIMIT_MS = 60 };

static const struct timespec limit = {.tv_nsec = LIMIT_MS * 1000000};
static const struct timeval limit_tv = {.tv_usec = LIMIT_MS * 1000};
static volatile int stop;
static int empty_pipe[2], sockets[2], listener, semaphores, messages;
static mqd_t queue;

static struct timespec deadline(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_nsec += limit.tv_nsec;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

/* Each returns 0 when it ended by its limit, else the errno it ended with. */
static int failed(long rc, int want)
{
	if (rc >= 0)
		return EBADMSG;
	return errno == want ? 0 : errno;
}

static int timed_out(int rc)
{
	return rc == 0 ? 0 : rc < 0 ? errno : EBADMSG;
}

static int by_epoll_wait(void)
{
	struct epoll_event event;
	int fd = epoll_create1(0);
	struct epoll_event what = {.events = EPOLLIN};
	epoll_ctl(fd, EPOLL_CTL_ADD, empty_pipe[0], &what);
	int rc = timed_out(epoll_wait(fd, &event, 1, LIMIT_MS));
	close(fd);
	return rc;
}

static int by_epoll_pwait2(void)
{
	static const int64_t limit[2] = {0, LIMIT_MS * 1000000}; /* on all CPUs */
	struct epoll_event event;
	int fd = epoll_create1(0);
	int rc = timed_out(syscall(SYS_epoll_pwait2, fd, &event, 1, limit, NULL, 0));
	close(fd);
	return rc;
}

static int by_semtimedop(void)
{
	struct sembuf op = {.sem_op = -1};
	return failed(semtimedop(semaphores, &op, 1, &limit), EAGAIN);
}

static int by_sigtimedwait(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return failed(sigtimedwait(&set, NULL, &limit), EAGAIN);
}

static int by_recv(void)
{
	char c;
	return failed(recv(sockets[0], &c, 1, 0), EAGAIN);
}

static int by_recvmsg(void)
{
	char c;
	struct iovec part = {&c, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	return failed(recvmsg(sockets[1], &message, 0), EAGAIN);
}

static int by_accept(void)
{
	return failed(accept(listener, NULL, NULL), EAGAIN);
}

static int by_nanosleep(void)
{
	return timed_out(nanosleep(&limit, NULL));
}

static int by_clock_nanosleep(void)
{
	struct timespec end = deadline(CLOCK_MONOTONIC);
	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
}

static int by_poll(void)
{
	struct pollfd one = {.fd = empty_pipe[0], .events = POLLIN};
	return timed_out(poll(&one, 1, LIMIT_MS));
}

static int by_ppoll(void)
{
	struct pollfd one = {.fd = empty_pipe[0], .events = POLLIN};
	sigset_t none;
	sigemptyset(&none);
	return timed_out(ppoll(&one, 1, &limit, &none));
}

static int by_select(void)
{
	struct timeval t = limit_tv;
	fd_set set;
	FD_ZERO(&set);
	FD_SET(empty_pipe[0], &set);
	return timed_out(select(empty_pipe[0] + 1, &set, NULL, NULL, &t));
}

static int by_cond_timedwait(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec end = deadline(CLOCK_REALTIME);
	pthread_mutex_lock(&mutex);
	int rc = pthread_cond_timedwait(&cond, &mutex, &end);
	pthread_mutex_unlock(&mutex);
	return rc == ETIMEDOUT ? 0 : rc ? rc : EBADMSG;
}

static int by_sem_timedwait(void)
{
	static sem_t sem; /* zero: nobody posts */
	struct timespec end = deadline(CLOCK_REALTIME);
	return failed(sem_timedwait(&sem, &end), ETIMEDOUT);
}

static int by_futex(void)
{
	static uint32_t word;
	return failed(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &limit, NULL, 0), ETIMEDOUT);
}

static int by_mq_timedreceive(void)
{
	if (queue < 0)
		return 0; /* no message queues in this place */
	char message[64];
	struct timespec end = deadline(CLOCK_REALTIME);
	return failed(mq_timedreceive(queue, message, sizeof(message), NULL, &end), ETIMEDOUT);
}

static int by_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec when = {.it_value = limit};
	uint64_t count = 0;
	timerfd_settime(fd, 0, &when, NULL);
	ssize_t n = read(fd, &count, sizeof(count));
	int rc = n == sizeof(count) && count == 1 ? 0 : n < 0 ? errno : EBADMSG;
	close(fd);
	return rc;
}

/* Those without a limit of their own are ended by a byte, a message or an unlock
 * from the thread `ending`. */
static int wake_pipe[2], locked_fd;

static int by_pipe(void)
{
	char c;
	ssize_t n = read(wake_pipe[0], &c, 1);
	return n == 1 ? 0 : n < 0 ? errno : EBADMSG;
}

static int by_msgrcv(void)
{
	struct {
		long type;
		char text[8];
	} message;
	ssize_t n = msgrcv(messages, &message, sizeof(message.text), 1, 0);
	return n == 4 ? 0 : n < 0 ? errno : EBADMSG;
}

static int by_semop(void)
{
	struct sembuf op = {.sem_num = 1, .sem_op = -1};
	return semop(semaphores, &op, 1) ? errno : 0;
}

static int by_flock(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	int rc = flock(fd, LOCK_SH) ? errno : 0;
	close(fd);
	return rc;
}

static int by_inotify(void)
{
	int fd = inotify_init1(0);
	struct pollfd one = {.fd = fd, .events = POLLIN};
	int rc = timed_out(poll(&one, 1, LIMIT_MS));
	close(fd);
	return rc;
}

static void *ending(void *arg)
{
	while (!stop) {
		struct {
			long type;
			char text[8];
		} message = {1, "bye"};
		flock(locked_fd, LOCK_EX);
		nanosleep(&limit, NULL);
		struct sembuf op = {.sem_num = 1, .sem_op = 1};
		if (semop(semaphores, &op, 1) || write(wake_pipe[1], "", 1) != 1 ||
		    msgsnd(messages, &message, 4, 0))
			target_fail("waking: %s", strerror(errno));
		flock(locked_fd, LOCK_UN);
	}
	return arg;
}

static struct call {
	const char *name;
	int (*make)(void);
	int timed; /* it has a limit: coming back early is a fault */
	unsigned long calls;
	int64_t longest;
} calls[] = {
	{"epoll_wait", by_epoll_wait, 1, 0, 0},
	{"epoll_pwait2", by_epoll_pwait2, 1, 0, 0},
	{"semtimedop", by_semtimedop, 1, 0, 0},
	{"sigtimedwait", by_sigtimedwait, 1, 0, 0},
	{"recv", by_recv, 1, 0, 0},
	{"recvmsg", by_recvmsg, 1, 0, 0},
	{"accept", by_accept, 1, 0, 0},
	{"nanosleep", by_nanosleep, 1, 0, 0},
	{"clock_nanosleep", by_clock_nanosleep, 1, 0, 0},
	{"poll", by_poll, 1, 0, 0},
	{"ppoll", by_ppoll, 1, 0, 0},
	{"select", by_select, 1, 0, 0},
	{"cond_timedwait", by_cond_timedwait, 1, 0, 0},
	{"sem_timedwait", by_sem_timedwait, 1, 0, 0},
	{"futex", by_futex, 1, 0, 0},
	{"mq_timedreceive", by_mq_timedreceive, 0, 0, 0},
	{"timerfd", by_timerfd, 1, 0, 0},
	{"inotify", by_inotify, 1, 0, 0},
	{"pipe", by_pipe, 0, 0, 0},
	{"msgrcv", by_msgrcv, 0, 0, 0},
	{"semop", by_semop, 0, 0, 0},
	{"flock", by_flock, 0, 0, 0},
};
enum { CALLS = sizeof(calls) / sizeof(*calls) };

static void *loop(void *arg)
{
	struct call *call = arg;
	while (!stop) {
		int64_t begin = now_ns();
		int rc = call->make();
		int64_t took = now_ns() - begin;
		call->calls++;
		if (took > call->longest)
			call->longest = took;
		if (rc && !stop)
			target_fail("%s: %s", call->name, strerror(rc));
		if (call->timed && !stop && took < (LIMIT_MS - 2) * 1000000ll)
			target_fail("%s came back after %d us", call->name, (int)(took / 1000));
	}
	return NULL;
}

static void prepare(void)
{
	int rc = pipe(empty_pipe) || pipe(wake_pipe) ||
		 socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	rc |= listen(listener, 1);
	int limited[] = {sockets[0], sockets[1], listener};
	for (int i = 0; i < 3; i++)
		rc |= setsockopt(limited[i], SOL_SOCKET, SO_RCVTIMEO, &limit_tv,
				 sizeof(limit_tv));
	semaphores = semget(IPC_PRIVATE, 2, 0600);
	messages = msgget(IPC_PRIVATE, 0600);
	locked_fd = open("/proc/self/exe", O_RDONLY);
	if (rc || semaphores < 0 || messages < 0 || locked_fd < 0)
		target_fail("preparing: %s", strerror(errno));
	struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 64};
	queue = mq_open("/memtrace-eintr", O_CREAT | O_RDWR, 0600, &attr);
	mq_unlink("/memtrace-eintr");
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int main(void)
{
	pthread_t threads[CALLS + 1];
	prepare();
	pthread_create(&threads[CALLS], NULL, ending, NULL);
	for (int i = 0; i < CALLS; i++)
		pthread_create(&threads[i], NULL, loop, &calls[i]);
	target_ready(); /* all the while */
	stop = 1;
	shutdown(listener, SHUT_RDWR);
	int64_t longest = 0;
	unsigned long made = 0, fewest = ~0ul;
	struct sembuf op = {.sem_num = 1, .sem_op = 4};
	struct {
		long type;
		char text[8];
	} message = {1, "bye"};
	pthread_join(threads[CALLS], NULL);
	if (semop(semaphores, &op, 1) || write(wake_pipe[1], "xx", 2) != 2 ||
	    msgsnd(messages, &message, 4, 0))
		target_fail("waking at the end: %s", strerror(errno));
	for (int i = 0; i < CALLS; i++) {
		pthread_join(threads[i], NULL);
		made += calls[i].calls;
		if (calls[i].calls < fewest)
			fewest = calls[i].calls;
		if (calls[i].longest > longest)
			longest = calls[i].longest;
	}
	semctl(semaphores, 0, IPC_RMID);
	msgctl(messages, IPC_RMID, NULL);
	char more[120];
	snprintf(more, sizeof(more), ", \"calls\": %lu, \"fewest\": %lu, \"longest_ms\": %d",
		 made, fewest, (int)(longest / 1000000));
	return target_result(more);
}
