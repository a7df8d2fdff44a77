/*
 * Tried while all threads are stopped, and again when they have run a moment; or when those have that are in the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "child_case.h"
#include "tracer/hide.h"
#include "tracer/let_out.h"
#include "tracer/retry.h"

enum { TRIES = 4 };

struct fixture {
	struct child_case child;
	struct tracee tracee;
	volatile uint64_t *count; /* the child's, which does nothing else */
	unsigned left;		  /* attempts that are in vain */
	unsigned attempts;
	uint64_t seen[TRIES];
	unsigned handed_out;
};

static void child_count(struct child_case *self, void *arg)
{
	volatile uint64_t *count = arg;

	child_say(self, 1);
	for (;;)
		++*count;
}

static void on_stop(void *arg, struct stop *stop)
{
	struct fixture *f = arg;

	f->handed_out++;
	hide_stop(&f->tracee, stop);
	if (stop->thread)
		tracee_continue(&f->tracee, stop->thread);
}

static int attempt(void *arg)
{
	struct fixture *f = arg;
	struct status status;

	assert_true(f->tracee.all_stopped);
	assert_int_equal(status_read(f->child.pid, 0, &status), 0);
	assert_int_equal(status.state, 't');
	f->seen[f->attempts++] = *f->count;
	return f->left && f->left-- ? -EAGAIN : 0;
}

static int start(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.count = mmap(NULL, sizeof(*f.count), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f.child = child_start(child_count, (void *)(uintptr_t)f.count);
	child_hear(&f.child);
	assert_int_equal(tracee_attach(&f.tracee, f.child.pid, NULL), 0);
	f.tracee.handle = on_stop;
	f.tracee.handle_arg = &f;
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	tracee_release(&f->tracee);
	child_end(&f->child);
	munmap((void *)(uintptr_t)f->count, sizeof(*f->count));
	return 0;
}

static const struct retry some = {.tries = TRIES, .first_ms = 1, .last_ms = 2};

static void until_it_succeeds(void **state)
{
	struct fixture *f = *state;

	f->left = 2;
	assert_int_equal(retry_stopped(&f->tracee, &some, attempt, f, NULL), 0);
	assert_int_equal(f->attempts, 3);
	assert_int_equal(f->handed_out, 3); /* one stop each time, to the one handler */
	assert_true(f->tracee.all_stopped);
	assert_true(*f->count == f->seen[2]);
}

/* All are stopped behind it, too. */
static void a_limited_number_of_times(void **state)
{
	struct fixture *f = *state;

	f->left = TRIES;
	assert_int_equal(retry_stopped(&f->tracee, &some, attempt, f, NULL), -EAGAIN);
	assert_int_equal(f->attempts, TRIES);
	assert_true(f->tracee.all_stopped);
	assert_true(*f->count == f->seen[TRIES - 1]);
}

/* Stopped before: nobody runs until it is tried. */
static void at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	assert_int_equal(tracee_stop(&f->tracee, NULL), 0);
	before = *f->count;
	assert_int_equal(retry_stopped(&f->tracee, &some, attempt, f, NULL), 0);
	assert_int_equal(f->attempts, 1);
	assert_true(f->seen[0] == before);
}

/* Waits for its vfork child, begun before we came: where no tracer wakes it. */
static void child_sleep(struct child_case *self, void *arg)
{
	pid_t parent = getpid();
	long pid;

	(void)arg;
	child_say(self, 1);
	/* (On all CPUs: flags first, the others are 0.) */
	pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
	if (pid)
		_exit(pid < 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static int never(void *arg)
{
	unsigned *attempts = arg;

	++*attempts;
	return -EAGAIN;
}

/* All others would stand, each time. */
static void seldom_while_one_is_asleep(void **state)
{
	const struct retry often = {
		.tries = 50, .asleep_tries = 2, .first_ms = 1, .last_ms = 1};
	static struct fixture f;
	struct status status = {.state = 0};
	unsigned attempts = 0;

	(void)state;
	memset(&f, 0, sizeof(f));
	f.child = child_start(child_sleep, NULL);
	child_hear(&f.child);
	while (status.state != 'D')
		assert_int_equal(status_read(f.child.pid, 0, &status), 0);
	assert_int_equal(tracee_attach(&f.tracee, f.child.pid, NULL), 0);
	f.tracee.handle = on_stop;
	f.tracee.handle_arg = &f;
	assert_int_equal(retry_stopped(&f.tracee, &often, never, &attempts,
				       NULL), -EAGAIN);
	assert_int_equal(attempts, 2);
	tracee_release(&f.tracee);
	child_end(&f.child);
}

/* Sixteen threads, each half of its time in there: never are all outside at once by themselves. */
enum { THREADS = 16, TURNS = 2000 };

extern const char __start_in_there[], __stop_in_there[];

__attribute__((noinline, section("in_there"))) static void turn_in_there(void)
{
	for (volatile unsigned i = 0; i < TURNS; i++)
		;
}

static unsigned been_there; /* threads, in the child */

static void *turn(void *arg)
{
	turn_in_there();
	__atomic_add_fetch(&been_there, 1, __ATOMIC_RELAXED);
	for (;;) {
		turn_in_there();
		for (volatile unsigned i = 0; i < TURNS; i++)
			;
	}
	return arg;
}

static void child_turn(struct child_case *self, void *arg)
{
	pthread_t thread;

	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, turn, NULL))
			_exit(1);
	while (__atomic_load_n(&been_there, __ATOMIC_RELAXED) < THREADS - 1)
		sched_yield();
	child_say(self, 1);
	turn(arg);
}

static struct inside_range in_there(void)
{
	return (struct inside_range){(taddr_t)(uintptr_t)__start_in_there - 1,
				     (taddr_t)(uintptr_t)__stop_in_there};
}

static int all_out(void *arg)
{
	const struct inside_range range = in_there();

	return let_out(arg, &range, NULL);
}

static int all_are_out(void *arg)
{
	const struct inside_range range = in_there();

	return inside_ranges(arg, &range, 1, true) ? -EAGAIN : 0;
}

static void until_all_are_out(void **state)
{
	static struct fixture f;
	const struct retry often = {.tries = 20, .first_ms = 1, .last_ms = 1};

	(void)state;
	memset(&f, 0, sizeof(f));
	f.child = child_start(child_turn, NULL);
	child_hear(&f.child);
	assert_int_equal(tracee_attach(&f.tracee, f.child.pid, NULL), 0);
	f.tracee.handle = on_stop;
	f.tracee.handle_arg = &f;
	assert_int_equal(retry_stopped(&f.tracee, &often, all_are_out, &f.tracee, NULL), -EAGAIN);
	assert_int_equal(retry_stopped(&f.tracee, &often, all_out, &f.tracee, NULL), 0);
	assert_true(f.tracee.all_stopped && f.tracee.count == THREADS);
	assert_int_equal(all_are_out(&f.tracee), 0);
	tracee_release(&f.tracee);
	child_end(&f.child);
}

/* As if what they are in were the kernel's functions, and the agent elsewhere. */
static const struct inside_range elsewhere = {0xfff00000, 0xfff00010};

static const struct arch *with_helpers(void)
{
	static struct arch arch;

	arch = *arch_native();
	arch.helpers[0] = in_there().begin + 1;
	arch.helpers[1] = in_there().end;
	return &arch;
}

static int all_out_of_helpers(void *arg)
{
	return let_out(arg, &elsewhere, NULL);
}

static void until_all_are_out_of_helpers(void **state)
{
	static struct fixture f;
	const struct retry often = {.tries = 20, .first_ms = 1, .last_ms = 1};

	(void)state;
	memset(&f, 0, sizeof(f));
	f.child = child_start(child_turn, NULL);
	child_hear(&f.child);
	assert_int_equal(tracee_attach(&f.tracee, f.child.pid, NULL), 0);
	f.tracee.handle = on_stop;
	f.tracee.handle_arg = &f;
	f.tracee.arch = with_helpers();
	assert_int_equal(retry_stopped(&f.tracee, &often, all_out_of_helpers, &f.tracee, NULL), 0);
	assert_int_equal(all_are_out(&f.tracee), 0);
	tracee_release(&f.tracee);
	child_end(&f.child);
}

/* Asleep in the handler of a signal that has interrupted it there; or in a frame of many words that lead there, as
 * those who were there have left them. */
static struct child_case *sleeping;
static volatile sig_atomic_t is_there;

__attribute__((noinline, section("in_there"))) static void stay_in_there(void)
{
	for (volatile unsigned i = 0;; i++)
		is_there = 1;
}

__attribute__((noreturn)) static void sleep_on(void)
{
	child_say(sleeping, 1);
	for (;;)
		pause();
}

static void on_signal(int signo)
{
	(void)signo;
	if (is_there) /* else the next one will do */
		sleep_on();
}

static void child_interrupted(struct child_case *self, void *arg)
{
	const struct itimerval soon = {.it_value = {.tv_usec = 1000}, .it_interval = {.tv_usec = 1000}};

	(void)arg;
	sleeping = self;
	signal(SIGVTALRM, on_signal);
	setitimer(ITIMER_VIRTUAL, &soon, NULL);
	stay_in_there();
}

static void child_has_been_there(struct child_case *self, void *arg)
{
	volatile uintptr_t words[1000];

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) /* (below them is who knows what) */
		words[i] = i < 64 ? ~(uintptr_t)0 : (uintptr_t)__start_in_there + 4 + i % 16;
	sleeping = self;
	if (words[7])
		sleep_on();
}

struct look {
	bool by_any_word, in_agent, in_helpers;
};

static struct look look(void (*child)(struct child_case *self, void *arg))
{
	const struct inside_range range = in_there();
	static struct fixture f;
	struct look ret;

	memset(&f, 0, sizeof(f));
	f.child = child_start(child, NULL);
	child_hear(&f.child);
	assert_int_equal(tracee_attach(&f.tracee, f.child.pid, NULL), 0);
	f.tracee.handle = on_stop;
	f.tracee.handle_arg = &f;
	assert_int_equal(tracee_stop(&f.tracee, NULL), 0);
	ret.by_any_word = inside_ranges(&f.tracee, &range, 1, false);
	ret.in_agent = inside_agent(&f.tracee, &range, false);
	assert_false(inside_agent(&f.tracee, &elsewhere, false));
	f.tracee.arch = with_helpers();
	ret.in_helpers = inside_agent(&f.tracee, &elsewhere, false);
	tracee_release(&f.tracee);
	child_end(&f.child);
	return ret;
}

static void who_was_interrupted_there(void **state)
{
	struct look interrupted = look(child_interrupted), was_there = look(child_has_been_there);

	(void)state;
	assert_true(interrupted.by_any_word && interrupted.in_agent && interrupted.in_helpers);
	assert_true(was_there.by_any_word);
	if (arch_native()->ucontext_pc)
		assert_false(was_there.in_agent || was_there.in_helpers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(until_it_succeeds, start, end),
		cmocka_unit_test_setup_teardown(a_limited_number_of_times, start, end),
		cmocka_unit_test_setup_teardown(at_once, start, end),
		cmocka_unit_test(seldom_while_one_is_asleep),
		cmocka_unit_test(until_all_are_out),
		cmocka_unit_test(until_all_are_out_of_helpers),
		cmocka_unit_test(who_was_interrupted_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
