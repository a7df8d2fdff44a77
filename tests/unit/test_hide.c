/*
 * Invisible stops: a child blocks in a system call, is stopped and let go several times,
 * and must find its call ended by what it waited for, never by EINTR.
 *
 * Each call is made in three worlds: stops that are hidden; stops that are not, which
 * shows that there is something to hide; and a signal of the child's own, which must get
 * through, EINTR and all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <time.h>

#include "arch/cpu.h"
#include "base/syscalls.h"
#include "child_case.h"
#include "tracer/hide.h"
#include "tracer/inside.h"
#include "tracer/undo.h"

enum { STOPS = 3, FOREVER_S = 1000 };

/* ---- calls that wait ------------------------------------------------------- */

/* By which system call libc makes a call: newer CPUs lack the older ones. */
#ifdef SYS_epoll_wait
enum { EPOLL_WAIT = SYS_epoll_wait, POLL = SYS_poll, POLL_AGAIN = SYS_restart_syscall };
#else
enum { EPOLL_WAIT = SYS_epoll_pwait, POLL = SYS_ppoll, POLL_AGAIN = SYS_ppoll };
#endif

struct wait {
	const char *name;
	long number;
	long (*call)(int fd); /* in the child; what it returns is 7 when all is well */
	long again;	      /* the number by which the kernel makes it again */
	bool interruptible;   /* a stop ends it with EINTR, unless hidden */
	bool socket;	      /* fd is a socket, otherwise an eventfd */
};

static long errno_if(long rc, long expected)
{
	return rc == expected ? 7 : -errno;
}

static long call_epoll_wait(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(0);

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	return errno_if(epoll_wait(epoll, &event, 1, FOREVER_S * 1000), 1);
}

static long call_epoll_pwait2(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	const int64_t limit[2] = {FOREVER_S, 0}; /* struct __kernel_timespec */
	int epoll = epoll_create1(0);

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	return errno_if(syscall(SYS_epoll_pwait2, epoll, &event, 1, limit, NULL, 8), 1);
}

/* SIGUSR1 is let in by the call alone. */
static long call_epoll_pwait(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(0);
	sigset_t set, none;

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	return errno_if(epoll_pwait(epoll, &event, 1, FOREVER_S * 1000, &none), 1);
}

static int semaphore; /* made by the parent */

#ifdef SYS_semop /* (MIPS: within ipc(), with whose number they end) */
static long call_semtimedop(int fd)
{
	struct sembuf down = {0, -1, 0};
	struct timespec limit = {FOREVER_S, 0};

	(void)fd;
	return errno_if(syscall(SYS_semtimedop, semaphore, &down, 1, &limit), 0);
}

static long call_semop(int fd)
{
	struct sembuf down = {0, -1, 0};

	(void)fd;
	return errno_if(syscall(SYS_semop, semaphore, &down, 1), 0);
}
#endif

static long call_sigtimedwait(int fd)
{
	struct timespec limit = {FOREVER_S, 0};
	sigset_t set;

	(void)fd;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return errno_if(syscall(SYS_rt_sigtimedwait, &set, NULL, &limit, arch_native()->signal_set_len),
			SIGUSR2);
}

static long call_recv(int fd)
{
	struct timeval limit = {FOREVER_S, 0};
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return errno_if(recvfrom(fd, &byte, 1, 0, NULL, NULL), 1);
}

static long call_recvmmsg(int fd)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct mmsghdr message = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	struct timeval limit = {FOREVER_S, 0};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return errno_if(syscall(SYS_recvmmsg, fd, &message, 1, 0, NULL), 1);
}

static long call_read(int fd)
{
	uint64_t word;

	return errno_if(read(fd, &word, sizeof(word)), sizeof(word));
}

static long call_poll(int fd)
{
	struct pollfd pfd = {fd, POLLIN, 0};

	return errno_if(poll(&pfd, 1, FOREVER_S * 1000), 1);
}

static const struct wait waits[] = {
	{"epoll_wait", EPOLL_WAIT, call_epoll_wait, EPOLL_WAIT, true, false},
	{"epoll_pwait", SYS_epoll_pwait, call_epoll_pwait, SYS_epoll_pwait, true, false},
	{"epoll_pwait2", SYS_epoll_pwait2, call_epoll_pwait2, SYS_epoll_pwait2, true, false},
#ifdef SYS_semop
	{"semtimedop", SYS_semtimedop, call_semtimedop, SYS_semtimedop, true, false},
	{"semop", SYS_semop, call_semop, SYS_semop, true, false},
#endif
	{"rt_sigtimedwait", SYS_rt_sigtimedwait, call_sigtimedwait, SYS_rt_sigtimedwait, true,
	 false},
	{"recv", SYS_recvfrom, call_recv, SYS_recvfrom, true, true},
	{"recvmmsg", SYS_recvmmsg, call_recvmmsg, SYS_recvmmsg, true, true},
	{"read", SYS_read, call_read, SYS_read, false, false},
	{"poll", POLL, call_poll, POLL_AGAIN, false, false},
};

/* ---- the child ------------------------------------------------------------- */

struct fixture {
	const struct wait *wait;
	int fds[2]; /* [0]: the child waits for it, [1]: makes it happen; one eventfd twice */
	struct child_case child;
	struct tracee tracee;
	bool hides;
};

static volatile sig_atomic_t handled;

static void on_signal(int signo)
{
	(void)signo;
	handled++;
}

static void wait_once(struct child_case *self, void *arg)
{
	struct fixture *f = arg;
	struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */

	sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGHUP, &action, NULL);
	child_say(self, 1);
	child_say(self, f->wait->call(f->fds[0]));
	child_say(self, handled);
}

static void start_untraced(struct fixture *f, const struct wait *wait)
{
	memset(f, 0, sizeof(*f));
	f->wait = wait;
	f->hides = true;
	f->tracee.target.fd = -1;
	semaphore = semget(IPC_PRIVATE, 1, 0600);
	if (wait->socket)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->fds), 0);
	else
		f->fds[0] = f->fds[1] = eventfd(0, 0);
	f->child = child_start(wait_once, f);
	child_hear(&f->child);
	child_wait_for_call(f->child.pid, wait->number);
}

static void start(struct fixture *f, const struct wait *wait)
{
	struct err err;

	start_untraced(f, wait);
	if (tracee_attach(&f->tracee, f->child.pid, &err))
		fail_msg("%s", err.text);
}

static void end(struct fixture *f)
{
	tracee_release(&f->tracee);
	child_end(&f->child);
	close(f->fds[0]);
	if (f->wait->socket)
		close(f->fds[1]);
	semctl(semaphore, 0, IPC_RMID);
}

/* What the child waits for. */
static void make_it_happen(const struct fixture *f)
{
#ifdef SYS_semop
	struct sembuf up = {0, 1, 0};

	if (f->wait->number == SYS_semop || f->wait->number == SYS_semtimedop) {
		assert_int_equal(semop(semaphore, &up, 1), 0);
		return;
	}
#endif
	if (f->wait->number == SYS_rt_sigtimedwait)
		kill(f->child.pid, SIGUSR2);
	else
		assert_int_equal(write(f->fds[1], &(uint64_t){1}, f->wait->socket ? 1 : 8),
				 f->wait->socket ? 1 : 8);
}

/* ---- the tracer ------------------------------------------------------------ */

/* As the engine does it. */
static void handle(void *arg, struct stop *stop)
{
	struct fixture *f = arg;

	if (f->hides)
		hide_stop(&f->tracee, stop);
	if (stop->thread)
		tracee_continue(&f->tracee, stop->thread);
}

static void stop_and_go(struct fixture *f)
{
	struct err err;

	if (child_stop(&f->tracee, handle, f, &err))
		fail_msg("%s: %s", f->wait->name, err.text);
	tracee_resume(&f->tracee);
}

/* Takes stops until the child has said its word, in the kernel's own time. */
static long hear(struct fixture *f)
{
	struct pollfd pfd = {f->child.hear, POLLIN, 0};
	struct stop stop;

	while (poll(&pfd, 1, 0) == 0) {
		if (tracee_next(&f->tracee, false, &stop) == 1)
			handle(f, &stop);
		else
			sched_yield();
	}
	return child_hear(&f->child);
}

static void assert_heard(struct fixture *f, long result, long signals)
{
	long heard = hear(f);

	if (heard != result)
		fail_msg("%s: %ld instead of %ld", f->wait->name, heard, result);
	assert_int_equal(hear(f), signals);
}

/* ---- tests ------------------------------------------------------------------- */

/* Are stops hidden from it?  Not from what they end with EINTR where registers do not tell
 * how to make the call again (arch.h: syscall_number_offset). */
static bool stays_unaware(const struct wait *wait)
{
	return !wait->interruptible || arch_native()->syscall_number_offset >= 0 ||
	       arch_native()->syscall_number_peeked;
}

static void stops_are_hidden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct fixture f;

		if (!stays_unaware(&waits[i]))
			continue;
		start(&f, &waits[i]);
		for (int n = 0; n < STOPS; n++) {
			stop_and_go(&f);
			child_wait_for_call(f.child.pid, waits[i].again);
		}
		make_it_happen(&f);
		assert_heard(&f, 7, 0);
		end(&f);
	}
}

/* What comes to pass while all are stopped is found when it goes on. */
static void what_happens_meanwhile_is_not_lost(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct fixture f;
		struct err err;

		if (!stays_unaware(&waits[i]))
			continue;
		start(&f, &waits[i]);
		assert_int_equal(child_stop(&f.tracee, handle, &f, &err), 0);
		make_it_happen(&f);
		tracee_resume(&f.tracee);
		assert_heard(&f, 7, 0);
		end(&f);
	}
}

static void stand_until_killed(struct child_case *self, void *arg)
{
	struct fixture *f = arg;

	if (tracee_attach(&f->tracee, f->child.pid, NULL) ||
	    child_stop(&f->tracee, handle, f, NULL))
		_exit(1);
	child_say(self, 1);
	for (;;)
		pause();
}

/* What hides a stop does not depend on us to go on. */
static void killed_while_it_stands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct child_case tracer;
		struct fixture f;

		if (!stays_unaware(&waits[i]))
			continue;
		start_untraced(&f, &waits[i]);
		tracer = child_start(stand_until_killed, &f);
		assert_int_equal(child_hear(&tracer), 1);
		child_end(&tracer);
		make_it_happen(&f);
		assert_heard(&f, 7, 0);
		end(&f);
	}
}

/* Otherwise the tests above would show nothing. */
static void there_is_something_to_hide(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct fixture f;

		if (!waits[i].interruptible)
			continue;
		start(&f, &waits[i]);
		f.hides = false;
		stop_and_go(&f);
		assert_heard(&f, -EINTR, 0);
		end(&f);
	}
}

static void a_signal_of_its_own_gets_through(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct fixture f;

		if (!stays_unaware(&waits[i]))
			continue;
		start(&f, &waits[i]);
		stop_and_go(&f);
		child_wait_for_call(f.child.pid, waits[i].again);
		kill(f.child.pid, SIGUSR1);
		assert_heard(&f, -EINTR, 1);
		end(&f);
	}
}

/* The stop that its interrupt made, not yet looked at. */
static struct stop quiet_stop(struct fixture *f)
{
	return (struct stop){.kind = STOP_QUIET,
			     .thread = tracee_find(&f->tracee, f->child.pid)};
}

/* Whether it waits already when the stop is looked at, or comes later, while the world
 * stands: it ends the call, though what the call waits for comes to pass, too. */
static void a_signal_at_a_stop_gets_through(void **state)
{
	(void)state;
	for (size_t n = 0; n < 2 * ARRAY_SIZE(waits); n++) {
		struct fixture f;
		struct stop stop;
		struct err err;
		bool later = n % 2;

		if (!waits[n / 2].interruptible)
			continue;
		start(&f, &waits[n / 2]);
		f.hides = false; /* not yet: the stop is looked at below */
		assert_int_equal(child_stop(&f.tracee, handle, &f, &err), 0);
		stop = quiet_stop(&f);
		if (!later)
			kill(f.child.pid, SIGUSR1);
		assert_int_equal(hide_stop(&f.tracee, &stop), stays_unaware(f.wait));
		if (later)
			kill(f.child.pid, SIGUSR1);
		f.hides = true;
		tracee_resume(&f.tracee);
		do /* or what happens next would come first */
			assert_int_equal(tracee_next(&f.tracee, true, &stop), 1);
		while (stop.kind != STOP_SIGNAL);
		make_it_happen(&f);
		handle(&f, &stop);
		assert_heard(&f, -EINTR, 1);
		end(&f);
	}
}

/* We leave, and nobody will see the signal being delivered. */
static void a_signal_when_we_leave_gets_through(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct fixture f;
		struct err err;

		if (!waits[i].interruptible)
			continue;
		start(&f, &waits[i]);
		assert_int_equal(child_stop(&f.tracee, handle, &f, &err), 0);
		kill(f.child.pid, SIGUSR1);
		make_it_happen(&f);
		tracee_release(&f.tracee);
		if (child_hear(&f.child) != -EINTR)
			fail_msg("%s: not ended", waits[i].name);
		assert_int_equal(child_hear(&f.child), 1);
		end(&f);
	}
}

/* One that waits and has no effect is no reason to end a call. */
static void an_ignored_signal_that_waits(void **state)
{
	struct fixture f;
	struct stop stop;
	struct err err;

	(void)state;
	if (!stays_unaware(&waits[0]))
		skip();
	start(&f, &waits[0]);
	f.hides = false; /* not yet: the stop is looked at below */
	assert_int_equal(child_stop(&f.tracee, handle, &f, &err), 0);
	kill(f.child.pid, SIGHUP);
	stop = quiet_stop(&f);
	assert_true(hide_stop(&f.tracee, &stop));
	f.hides = true;
	tracee_resume(&f.tracee);
	make_it_happen(&f);
	assert_heard(&f, 7, 0);
	end(&f);
}

static char state_of(pid_t pid)
{
	struct status status;

	assert_int_equal(status_read(pid, pid, &status), 0);
	return status.state;
}

enum world { UNTRACED, TRACED, STANDING, LEAVING };

/* What its call returns when it is stopped, by a signal, and continued. */
static long stop_and_continue(const struct wait *wait, enum world world)
{
	struct fixture f;
	struct stop stop;
	struct err err;
	long heard;

	if (world == UNTRACED)
		start_untraced(&f, wait);
	else
		start(&f, wait);
	f.hides = world != LEAVING; /* but when the signal waits */
	if (world == STANDING || world == LEAVING)
		assert_int_equal(child_stop(&f.tracee, handle, &f, &err), 0);
	kill(f.child.pid, SIGSTOP);
	if (world == STANDING)
		tracee_resume(&f.tracee);
	if (world == LEAVING) {
		stop = quiet_stop(&f);
		hide_stop(&f.tracee, &stop);
		tracee_release(&f.tracee);
	}
	if (world == UNTRACED || world == LEAVING)
		while (state_of(f.child.pid) != 'T')
			sched_yield();
	else
		do {
			assert_int_equal(tracee_next(&f.tracee, true, &stop), 1);
			handle(&f, &stop);
		} while (stop.kind != STOP_GROUP);
	kill(f.child.pid, SIGCONT);
	make_it_happen(&f);
	heard = hear(&f);
	assert_int_equal(hear(&f), 0);
	end(&f);
	return heard;
}

static void a_stop_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		long untraced = stop_and_continue(&waits[i], UNTRACED);

		for (enum world world = TRACED; stays_unaware(&waits[i]) && world <= LEAVING;
		     world++)
			if (stop_and_continue(&waits[i], world) != untraced)
				fail_msg("%s, world %d: not %ld", waits[i].name, world,
					 untraced);
	}
}

/* Untraced, it would not even have been queued. */
static void an_ignored_signal_is_hidden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct fixture f;
		struct stop stop;

		if (!stays_unaware(&waits[i]))
			continue;
		start(&f, &waits[i]);
		for (int n = 0; n < 3; n++) {
			/* by wish, by default, by default when it runs */
			const int signos[] = {SIGHUP, SIGWINCH, SIGCONT};

			kill(f.child.pid, signos[n]);
			assert_int_equal(tracee_next(&f.tracee, true, &stop), 1);
			while (stop.kind != STOP_SIGNAL) { /* SIGCONT is announced */
				handle(&f, &stop);
				assert_int_equal(tracee_next(&f.tracee, true, &stop), 1);
			}
			assert_int_equal(stop.signal, signos[n]);
			assert_int_equal(hide_stop(&f.tracee, &stop), f.wait->interruptible);
			handle(&f, &stop);
			child_wait_for_call(f.child.pid, waits[i].again);
		}
		make_it_happen(&f);
		assert_heard(&f, 7, 0);
		end(&f);
	}
}

/* close() has closed, whatever it returns: a second one would close another's file. */
static void some_calls_are_never_repeated(void **state)
{
	const struct arch *arch = arch_native();
	struct tracee tracee = {.pid = getpid(), .arch = arch};
	struct thread thread = {.tid = getpid(), .state = THREAD_STOPPED, .regs_read = true};
	const struct stop stop = {.kind = STOP_QUIET, .thread = &thread};
	const int64_t eintr = -EINTR, again = -514; /* ERESTARTNOHAND */
	bool found = false;

	(void)state;
	if (arch->syscall_number_offset < 0)
		skip(); /* none is */
	thread.regs.len = arch->regs_len;
	for (int64_t number = -2; number < 450; number++) {
		bool final = number < 0;
		for (const int16_t *at = arch->eintr_final; *at >= 0; at++)
			final |= *at == number;
		found |= final && number == SYS_close;
		memcpy(thread.regs.bytes + arch->syscall_number_offset, &number, 8);
		memcpy(thread.regs.bytes + arch->syscall_result_offset, &eintr, 8);
		thread.regs_changed = 0;
		assert_int_equal(hide_stop(&tracee, &stop), !final);
		assert_memory_equal(thread.regs.bytes + arch->syscall_result_offset,
				    final ? &eintr : &again, 8);
		assert_memory_equal(thread.regs.bytes + arch->syscall_number_offset, &number,
				    8);
	}
	assert_true(found);
	/* A call that has ended otherwise is over. */
	memcpy(thread.regs.bytes + arch->syscall_number_offset, &(int64_t){EPOLL_WAIT}, 8);
	memcpy(thread.regs.bytes + arch->syscall_result_offset, &(int64_t){1}, 8);
	assert_false(hide_stop(&tracee, &stop));
}

/* ---- who is inside --------------------------------------------------------------- */

static uint8_t *ground; /* where ranges lie; nothing else points there */

struct holder {
	size_t offset; /* from ground, of the address on its stack; 0: none */
	int say;
};

static void *hold(void *arg)
{
	const struct holder *holder = arg;
	volatile uintptr_t word[4] = {0};

	if (holder->offset)
		word[1] = (uintptr_t)ground + holder->offset;
	child_say(&(struct child_case){.say = holder->say}, 1);
	for (;;)
		pause();
	return (void *)word[1];
}

static void be_held(struct child_case *self, void *arg)
{
	size_t *offset = arg;
	struct holder none = {0, self->say}, some = {*offset, self->say};
	pthread_t thread;

	pthread_create(&thread, NULL, hold, &none);
	pthread_create(&thread, NULL, hold, &some);
	for (;;)
		pause();
}

static void addresses_on_stacks(void **state)
{
	size_t offset = 500;
	struct child_case child = child_start(be_held, &offset);
	const taddr_t at = (taddr_t)(uintptr_t)ground;
	struct inside_range ranges[] = {{at + 10, at + 20}, {at + 499, at + 501}};
	struct thread *thread;
	struct tracee tracee;
	struct err err;
	taddr_t pc;

	(void)state;
	child_hear(&child);
	child_hear(&child);
	assert_int_equal(tracee_attach(&tracee, child.pid, &err), 0);
	assert_int_equal(child_stop(&tracee, child_go_on, &tracee, &err), 0);
	assert_true(inside_ranges(&tracee, ranges, 2, true));
	assert_false(inside_ranges(&tracee, ranges, 1, true));
	ranges[1] = (struct inside_range){at + 500, at + 600}; /* begin is not in it */
	assert_false(inside_ranges(&tracee, ranges, 2, true));
	ranges[1] = (struct inside_range){at + 400, at + 500}; /* nor is end */
	assert_false(inside_ranges(&tracee, ranges, 2, true));
	/* A pc counts as well. */
	pc = regs_read(tracee.arch, thread_regs(&tracee, tracee_find(&tracee, child.pid)),
		       tracee.arch->reg_pc);
	ranges[0] = (struct inside_range){pc - 1, pc + 1};
	assert_true(inside_ranges(&tracee, ranges, 1, true));
	/* One that sleeps in the kernel and does not stop is looked at by /proc. */
	tracee_find(&tracee, child.pid)->state = THREAD_RUNNING;
	assert_true(inside_ranges(&tracee, ranges, 1, true));
	ranges[0] = (struct inside_range){at + 10, at + 20};
	/* (a link register that nobody can read may lead there) */
	assert_int_equal(inside_ranges(&tracee, ranges, 1, true),
			 tracee.arch->reg_lr != ARCH_NO_REG);
	assert_false(inside_ranges(&tracee, ranges, 1, false));
	/* One that can't be looked at counts as inside; one that is gone does not. */
	thread = tracee_find(&tracee, child.pid);
	thread->tid = 4194304;
	assert_true(inside_ranges(&tracee, ranges, 1, true));
	thread->state = THREAD_GONE;
	assert_false(inside_ranges(&tracee, ranges, 1, true));
	thread->tid = child.pid;
	thread->state = THREAD_STOPPED;
	assert_false(inside_ranges(&tracee, ranges, 1, true));
	tracee_resume(&tracee);
	tracee_release(&tracee);
	child_end(&child);
}

/* A stack is read to its end, where that is not farther than any stack is long. */
static void addresses_far_up(void **state)
{
	enum { MB = 1 << 20, LONG = 80 * MB };
	size_t offset = 0;
	uint8_t *stack = mmap(NULL, LONG, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uintptr_t near = (uintptr_t)ground + 15, far = (uintptr_t)ground + 35;
	const taddr_t at = (taddr_t)(uintptr_t)ground;
	struct inside_range ranges[] = {{at + 10, at + 20}, {at + 30, at + 40}};
	struct child_case child;
	struct thread *thread;
	struct tracee tracee;
	struct err err;

	(void)state;
	memcpy(stack + 20 * MB, &near, sizeof(near));
	memcpy(stack + 75 * MB, &far, sizeof(far));
	child = child_start(be_held, &offset);
	child_hear(&child);
	child_hear(&child);
	assert_int_equal(tracee_attach(&tracee, child.pid, &err), 0);
	assert_int_equal(child_stop(&tracee, child_go_on, &tracee, &err), 0);
	thread = tracee_find(&tracee, child.pid);
	regs_write(tracee.arch, thread_regs(&tracee, thread), tracee.arch->reg_sp,
		   (taddr_t)(uintptr_t)stack);
	assert_true(inside_ranges(&tracee, &ranges[0], 1, false));
	assert_false(inside_ranges(&tracee, &ranges[1], 1, false));
	assert_true(inside_ranges(&tracee, &ranges[1], 1, true));
	regs_write(tracee.arch, &thread->regs, tracee.arch->reg_sp,
		   (taddr_t)(uintptr_t)stack + 60 * MB);
	assert_true(inside_ranges(&tracee, &ranges[1], 1, false));
	assert_false(inside_ranges(&tracee, &ranges[0], 1, true));
	tracee_resume(&tracee);
	tracee_release(&tracee);
	child_end(&child);
	munmap(stack, LONG);
}

static void inside_the_areas_of_a_log(void **state)
{
	size_t offset = 2500; /* of which no stale word of the test above speaks */
	struct child_case child = child_start(be_held, &offset);
	struct undo *undo = undo_create();
	struct tracee tracee;
	struct thread *thread;
	struct err err;

	(void)state;
	child_hear(&child);
	child_hear(&child);
	assert_int_equal(tracee_attach(&tracee, child.pid, &err), 0);
	assert_int_equal(child_stop(&tracee, child_go_on, &tracee, &err), 0);
	assert_false(inside_any(&tracee, undo));
	undo->area_count = 1;
	undo->area[0] = (struct undo_area){
		.base = (taddr_t)(uintptr_t)ground + 2450, .len = 100, .active = 1};
	assert_true(inside_any(&tracee, undo));
	thread = tracee_find(&tracee, child.pid); /* the leader holds nothing */
	assert_false(inside_thread(&tracee, thread, undo));
	undo->area[0].len = 50; /* up to, and not with, the address */
	assert_false(inside_any(&tracee, undo));
	undo->area[0].len = 51;
	assert_true(inside_any(&tracee, undo));
	undo->area[0].active = 0;
	assert_false(inside_any(&tracee, undo));
	undo->area[0].active = 1;
	undo->area[0].base =
		regs_read(tracee.arch, thread_regs(&tracee, thread), tracee.arch->reg_pc);
	undo->area[0].len = 1;
	assert_true(inside_thread(&tracee, thread, undo));
	tracee_resume(&tracee);
	tracee_release(&tracee);
	undo_destroy(undo);
	child_end(&child);
}

/* ---- under a handler that runs on a stack of its own ------------------------------ */

static const struct child_case *told; /* in the child */

static void on_other_stack(int signo)
{
	volatile uintptr_t word[4] = {0};

	word[1] = (uintptr_t)ground + 3100 + 0 * (uintptr_t)signo;
	child_say(told, 1);
	while (word[1])
		pause();
}

/* ground + 3000 lies on the stack that was left, + 3100 on the handler's. */
static void be_on_two_stacks(struct child_case *self, void *arg)
{
	const size_t size = 64 * 1024;
	stack_t stack = {.ss_size = size};
	struct sigaction action = {.sa_handler = on_other_stack, .sa_flags = SA_ONSTACK};
	volatile uintptr_t word[4] = {0};

	(void)arg;
	told = self;
	/* What lies behind it can't be read: nobody gets to the other stack that way. */
	stack.ss_sp = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(stack.ss_sp, size, PROT_READ | PROT_WRITE);
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	word[1] = (uintptr_t)ground + 3000;
	raise(SIGUSR1);
	word[2] = word[1];
}

static void addresses_on_two_stacks(void **state)
{
	struct child_case child = child_start(be_on_two_stacks, NULL);
	const taddr_t at = (taddr_t)(uintptr_t)ground;
	struct inside_range left = {at + 2999, at + 3001}, present = {at + 3099, at + 3101},
			  neither = {at + 3049, at + 3051};
	struct tracee tracee;
	struct err err;

	(void)state;
	child_hear(&child);
	assert_int_equal(tracee_attach(&tracee, child.pid, &err), 0);
	assert_int_equal(child_stop(&tracee, child_go_on, &tracee, &err), 0);
	assert_true(inside_ranges(&tracee, &present, 1, true));
	assert_true(inside_ranges(&tracee, &left, 1, true));
	assert_false(inside_ranges(&tracee, &neither, 1, true));
	tracee_resume(&tracee);
	tracee_release(&tracee);
	child_end(&child);
}

static int make_ground(void **state)
{
	(void)state;
	ground = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return ground == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops_are_hidden),
		cmocka_unit_test(what_happens_meanwhile_is_not_lost),
		cmocka_unit_test(killed_while_it_stands),
		cmocka_unit_test(there_is_something_to_hide),
		cmocka_unit_test(a_signal_of_its_own_gets_through),
		cmocka_unit_test(a_signal_at_a_stop_gets_through),
		cmocka_unit_test(a_signal_when_we_leave_gets_through),
		cmocka_unit_test(a_stop_of_its_own),
		cmocka_unit_test(an_ignored_signal_that_waits),
		cmocka_unit_test(an_ignored_signal_is_hidden),
		cmocka_unit_test(some_calls_are_never_repeated),
		cmocka_unit_test(addresses_on_stacks),
		cmocka_unit_test(addresses_far_up),
		cmocka_unit_test(inside_the_areas_of_a_log),
		cmocka_unit_test(addresses_on_two_stacks),
	};

	return cmocka_run_group_tests(tests, make_ground, NULL);
}
