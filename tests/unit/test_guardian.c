/*
 * The guardian: when whoever started it is killed, what the log says is undone; in every
 * other case nothing is.
 *
 *    this test (reaps all)
 *      |-- target   a child whose memory is changed
 *      `-- tracer   a child that changes it, and is killed or not
 *            `-- guardian
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "child_case.h"
#include "arch/cpu.h"
#include "tracer/guardian.h"
#include "tracer/status.h"

/* By which system call libc makes it: newer CPUs lack the older one. */
#ifdef SYS_epoll_wait
enum { EPOLL_WAIT = SYS_epoll_wait };
#else
enum { EPOLL_WAIT = SYS_epoll_pwait };
#endif

enum { PAGE = 4096, PATCH = 10, AREA = 100, AREA_LEN = 64, TRAP = AREA + 16 };
static uint8_t *place; /* PAGE bytes 'o' */

struct fixture {
	struct child_case target;
	struct target memory;
	struct undo *undo;
	void (*tracer)(struct child_case *self, void *arg);
	bool inside; /* the target's stack leads into the area */
	int event;   /* what the target waits for, where it waits by epoll_wait() */
	int breed;   /* what it waits for to have children */
};

static int make_place(void **state)
{
	(void)state;
	place = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED)
		return -1;
	memset(place, 'o', PAGE);
	/* Orphans are ours to wait for. */
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static atomic_int waiting;

/* Three threads; where asked to, one whose stack holds an address in the area. */
static void *wait_for_ever(void *arg)
{
	volatile uintptr_t word[8] = {0};

	if (arg)
		word[3] = (uintptr_t)arg + AREA + 40;
	atomic_fetch_add(&waiting, 1);
	for (;;)
		pause();
	return (void *)word[3];
}

static void say_and_stay(const struct child_case *self)
{
	child_say(self, getpid());
	for (;;)
		pause();
}

/* A child; a grandchild whose parent ends; one that the target traces. */
static void breed(struct child_case *self)
{
	if (fork() == 0)
		say_and_stay(self);
	if (fork() == 0) {
		if (fork() == 0)
			say_and_stay(self);
		_exit(0);
	}
	if (fork() == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		say_and_stay(self);
	}
}

static void be_target(struct child_case *self, void *arg)
{
	struct fixture *f = arg;
	pthread_t thread;

	undo_destroy(f->undo); /* or it lies behind a thread's stack, addresses and all */
	pthread_create(&thread, NULL, wait_for_ever, f->inside ? place : NULL);
	pthread_create(&thread, NULL, wait_for_ever, NULL);
	while (atomic_load(&waiting) < 2)
		sched_yield();
	if (f->breed) {
		uint64_t word;

		child_say(self, 1);
		if (read(f->breed, &word, 8) == 8)
			breed(self);
		for (;;)
			pause();
	}
	if (f->event) {
		struct epoll_event event = {.events = EPOLLIN};
		int epoll = epoll_create1(0);

		epoll_ctl(epoll, EPOLL_CTL_ADD, f->event, &event);
		child_say(self, 1);
		child_say(self, epoll_wait(epoll, &event, 1, -1) == 1 ? 7 : -errno);
	}
	child_idle(self, NULL);
}

static void start_with(struct fixture *f, struct fixture what)
{
	*f = what;
	f->undo = undo_create();
	assert_non_null(f->undo);
	f->target = child_start(be_target, f);
	child_hear(&f->target);
	assert_int_equal(target_open(&f->memory, f->target.pid, NULL), 0);
}

static void start(struct fixture *f, bool inside)
{
	start_with(f, (struct fixture){.inside = inside});
}

static void end(struct fixture *f)
{
	target_close(&f->memory);
	child_end(&f->target);
	undo_destroy(f->undo);
}

/* In the tracer: a guardian, and one change of each kind. */
static void change(struct child_case *self, struct fixture *f, struct guardian *guardian)
{
	uint8_t old[AREA_LEN], now[AREA_LEN];

	memset(old, 'o', sizeof(old));
	memset(now, 'a', sizeof(now));
	if (guardian_start(guardian, f->undo, NULL))
		_exit(1);
	guardian_watch(guardian, f->target.pid);
	if (undo_area(f->undo, &f->memory, (taddr_t)(uintptr_t)place + AREA, old, now,
		      sizeof(now), (taddr_t)(uintptr_t)place + TRAP, "R", 1) ||
	    undo_patch(f->undo, &f->memory, (taddr_t)(uintptr_t)place + PATCH, "ooooo", "12345",
		       5))
		_exit(2);
	child_say(self, guardian->pid);
}

static void be_killed(struct child_case *self, void *arg)
{
	struct guardian guardian;

	change(self, arg, &guardian);
	kill(getpid(), SIGKILL);
}

static void be_killed_with_the_guardian_asleep(struct child_case *self, void *arg)
{
	struct guardian guardian;

	change(self, arg, &guardian);
	kill(guardian.pid, SIGSTOP);
	kill(getpid(), SIGKILL);
}

static void stop_watching_and_die(struct child_case *self, void *arg)
{
	struct guardian guardian;

	change(self, arg, &guardian);
	guardian_watch(&guardian, 0);
	child_say(self, 1);
	kill(getpid(), SIGKILL);
}

static void end_in_order(struct child_case *self, void *arg)
{
	struct guardian guardian;
	pid_t pid;

	change(self, arg, &guardian);
	pid = guardian.pid;
	guardian_stop(&guardian);
	child_say(self, kill(pid, 0) < 0 && errno == ESRCH); /* reaped */
	child_say(self, guardian.pid == -1 && guardian.fd == -1 && !guardian.target);
	guardian_stop(&guardian); /* a second time: nothing */
}

static void wait_until_it_has_settled(const struct guardian *guardian)
{
	struct status status;

	while (status_read(guardian->pid, 0, &status) == 0 &&
	       !(status.ignored & signal_bit(31)))
		sched_yield();
}

/* kill -9 -PGID: of a job, or of a service. */
static void kill_the_group(struct child_case *self, void *arg)
{
	struct guardian guardian;

	setpgid(0, 0);
	change(self, arg, &guardian);
	wait_until_it_has_settled(&guardian);
	kill(0, SIGKILL);
}

/* Every catchable signal, which memtrace may get with its whole process group or job. */
static void signal_the_guardian_first(struct child_case *self, void *arg)
{
	struct guardian guardian;

	change(self, arg, &guardian);
	wait_until_it_has_settled(&guardian);
	child_say(self, 1);
	for (int signo = 1; signo < 32; signo++)
		if (signo != SIGKILL && signo != SIGSTOP)
			kill(guardian.pid, signo);
	child_say(self, kill(guardian.pid, 0) == 0);
	kill(getpid(), SIGKILL);
}

static bool is_there(struct fixture *f, size_t offset, const char *text)
{
	char buf[128];

	assert_int_equal(
		target_read(&f->memory, (taddr_t)(uintptr_t)place + offset, buf, strlen(text)),
		0);
	return !memcmp(buf, text, strlen(text));
}

/* Until it has done what it does before its end. */
static void wait_for_tracer(const struct child_case *tracer)
{
	assert_int_equal(waitpid(tracer->pid, NULL, 0), tracer->pid);
	close(tracer->hear);
}

/* Waits for the guardian's own end; no thread of the target is stopped or traced then. */
static void wait_for_guardian(struct fixture *f, pid_t guardian)
{
	struct tid_list tids = {0};
	int status;

	assert_int_equal(waitpid(guardian, &status, 0), guardian);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (status_threads(f->target.pid, &tids))
		return;
	for (size_t i = 0; i < tids.len; i++) {
		struct status s;

		assert_int_equal(status_read(f->target.pid, tids.at[i], &s), 0);
		assert_int_equal(s.tracer, 0);
		assert_true(s.state != 't' && s.state != 'T');
	}
	vec_deinit(&tids);
}

static void restores_when_the_tracer_is_killed(void **state)
{
	struct child_case tracer;
	struct fixture f;
	pid_t guardian;

	(void)state;
	start(&f, false);
	tracer = child_start(be_killed, &f);
	guardian = (pid_t)child_hear(&tracer);
	assert_int_equal(WTERMSIG(child_end(&tracer)), SIGKILL);
	wait_for_guardian(&f, guardian);
	assert_true(is_there(&f, PATCH - 1, "ooooooo"));
	assert_true(is_there(&f, AREA - 1, "oooooooooooooooooooooooooooooooooo"));
	end(&f);
}

static void leaves_stubs_that_somebody_is_in(void **state)
{
	struct child_case tracer;
	struct fixture f;
	pid_t guardian;

	(void)state;
	start(&f, true);
	tracer = child_start(be_killed, &f);
	guardian = (pid_t)child_hear(&tracer);
	child_end(&tracer);
	wait_for_guardian(&f, guardian);
	assert_true(is_there(&f, PATCH - 1, "ooooooo"));
	assert_true(is_there(&f, AREA, "aaaaaaaaaaaaaaaaRaaaaaaaaaaaa"));
	end(&f);
}

static void survives_its_group(void **state)
{
	struct child_case tracer;
	struct fixture f;
	pid_t guardian;

	(void)state;
	start(&f, false);
	tracer = child_start(kill_the_group, &f);
	guardian = (pid_t)child_hear(&tracer);
	wait_for_tracer(&tracer);
	wait_for_guardian(&f, guardian);
	assert_true(is_there(&f, PATCH - 1, "ooooooo"));
	end(&f);
}

/* What was forked before the guardian came has a copy of the patches. */
static void mends_children_of_meanwhile(void **state)
{
	enum { CHILDREN = 3 };
	struct child_case tracer;
	struct fixture f;
	pid_t guardian, children[CHILDREN];

	(void)state;
	start_with(&f, (struct fixture){.breed = eventfd(0, 0)});
	tracer = child_start(be_killed_with_the_guardian_asleep, &f);
	guardian = (pid_t)child_hear(&tracer);
	wait_for_tracer(&tracer);
	assert_int_equal(write(f.breed, &(uint64_t){1}, 8), 8);
	for (int i = 0; i < CHILDREN; i++)
		children[i] = (pid_t)child_hear(&f.target);
	kill(guardian, SIGCONT);
	wait_for_guardian(&f, guardian);
	assert_true(is_there(&f, PATCH - 1, "ooooooo"));
	end(&f);
	close(f.breed);
	for (int i = 0; i < CHILDREN; i++) {
		struct fixture child = {.target.pid = children[i]};
		struct status status;

		assert_int_equal(target_open(&child.memory, children[i], NULL), 0);
		assert_true(is_there(&child, PATCH - 1, "ooooooo"));
		target_close(&child.memory);
		assert_int_equal(status_read(children[i], 0, &status), 0);
		assert_int_equal(status.tracer, 0);
		kill(children[i], SIGKILL);
		while (waitpid(children[i], NULL, 0) < 0 && errno == EINTR)
			;
	}
}

/* Nor does the guardian show: what its stops interrupt is made again. */
static void its_stops_are_hidden(void **state)
{
	struct child_case tracer;
	struct fixture f;
	pid_t guardian;

	(void)state;
	if (arch_native()->syscall_number_offset < 0)
		return; /* (README) */
	start_with(&f, (struct fixture){.event = eventfd(0, 0)});
	child_wait_for_call(f.target.pid, EPOLL_WAIT);
	tracer = child_start(be_killed, &f);
	guardian = (pid_t)child_hear(&tracer);
	child_end(&tracer);
	wait_for_guardian(&f, guardian);
	assert_true(is_there(&f, PATCH - 1, "ooooooo"));
	assert_int_equal(write(f.event, &(uint64_t){1}, 8), 8);
	assert_int_equal(child_hear(&f.target), 7);
	close(f.event);
	end(&f);
}

static void survives_signals(void **state)
{
	struct child_case tracer;
	struct fixture f;
	pid_t guardian;

	(void)state;
	start(&f, false);
	tracer = child_start(signal_the_guardian_first, &f);
	guardian = (pid_t)child_hear(&tracer);
	child_hear(&tracer);
	assert_int_equal(child_hear(&tracer), 1);
	child_end(&tracer);
	wait_for_guardian(&f, guardian);
	assert_true(is_there(&f, PATCH - 1, "ooooooo"));
	end(&f);
}

static void does_nothing_when_nobody_is_watched(void **state)
{
	struct child_case tracer;
	struct fixture f;
	pid_t guardian;

	(void)state;
	start(&f, false);
	tracer = child_start(stop_watching_and_die, &f);
	guardian = (pid_t)child_hear(&tracer);
	child_hear(&tracer);
	child_end(&tracer);
	wait_for_guardian(&f, guardian);
	assert_true(is_there(&f, PATCH, "12345"));
	end(&f);
}

static void does_nothing_at_an_orderly_end(void **state)
{
	struct child_case tracer;
	struct fixture f;

	(void)state;
	start(&f, false);
	tracer = child_start(end_in_order, &f);
	child_hear(&tracer);
	assert_int_equal(child_hear(&tracer), 1);
	assert_int_equal(child_hear(&tracer), 1);
	child_end(&tracer);
	assert_true(is_there(&f, PATCH, "12345"));
	end(&f);
}

static void a_target_that_is_gone(void **state)
{
	struct child_case tracer;
	struct fixture f;
	pid_t guardian;

	(void)state;
	start(&f, false);
	tracer = child_start(signal_the_guardian_first, &f);
	guardian = (pid_t)child_hear(&tracer);
	kill(f.target.pid, SIGKILL);
	waitpid(f.target.pid, NULL, 0);
	child_hear(&tracer);
	child_hear(&tracer);
	child_end(&tracer);
	wait_for_guardian(&f, guardian);
	end(&f);
}

static size_t count_descriptors(pid_t pid)
{
	char path[64];
	size_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

/* It holds nothing open but its pipe: no terminal, and not the pipes of others. */
static void holds_nothing_open(void **state)
{
	struct undo *undo = undo_create();
	struct guardian guardian;
	int ends[2], byte;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(guardian_start(&guardian, undo, NULL), 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* not while it holds the other end */
	while (count_descriptors(guardian.pid) > 1)
		sched_yield();
	assert_int_equal(count_descriptors(guardian.pid), 1);
	close(ends[0]);
	guardian_stop(&guardian);
	undo_destroy(undo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restores_when_the_tracer_is_killed),
		cmocka_unit_test(leaves_stubs_that_somebody_is_in),
		cmocka_unit_test(mends_children_of_meanwhile),
		cmocka_unit_test(its_stops_are_hidden),
		cmocka_unit_test(survives_signals),
		cmocka_unit_test(survives_its_group),
		cmocka_unit_test(does_nothing_when_nobody_is_watched),
		cmocka_unit_test(does_nothing_at_an_orderly_end),
		cmocka_unit_test(a_target_that_is_gone),
		cmocka_unit_test(holds_nothing_open),
	};

	return cmocka_run_group_tests(tests, make_place, NULL);
}
