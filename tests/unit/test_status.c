/* /proc/PID/status and its neighbours: by text, and of processes that are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/syscall.h>

#include "arch/cpu.h"
#include "child_case.h"
#include "tracer/status.h"

static void every_field(void **state)
{
	static const char text[] = "Name:\tredis-server\n"
				   "Umask:\t0022\n"
				   "State:\tt (tracing stop)\n"
				   "Tgid:\t4711\n"
				   "Ngid:\t0\n"
				   "Pid:\t4712\n"
				   "PPid:\t1\n"
				   "TracerPid:\t99\n"
				   "Uid:\t1000\t1001\t1002\t1003\n"
				   "Gid:\t100\t101\t102\t103\n"
				   "FDSize:\t64\n"
				   "Groups:\t4 20 24\n"
				   "VmPeak:\t   1234 kB\n"
				   "VmSize:\t   1234 kB\n"
				   "Threads:\t5\n"
				   "SigQ:\t0/1000\n"
				   "SigPnd:\t0000000000000001\n"
				   "ShdPnd:\t8000000000000000\n"
				   "SigBlk:\t0000000000010000\n"
				   "SigIgn:\t0000000000001000\n"
				   "SigCgt:\t0000000180014002\n"
				   "CapInh:\t0000000000000000\n"
				   "CapPrm:\t000001ffffffffff\n"
				   "CapEff:\t0000000000080000\n"
				   "NoNewPrivs:\t1\n"
				   "Seccomp:\t2\n"
				   "Seccomp_filters:\t1\n"
				   "voluntary_ctxt_switches:\t12000000000\n"
				   "nonvoluntary_ctxt_switches:\t7\n";
	struct status s;

	(void)state;
	memset(&s, 0xa5, sizeof(s));
	status_parse(text, &s);
	assert_string_equal(s.name, "redis-server");
	assert_int_equal(s.state, 't');
	assert_int_equal(s.tgid, 4711);
	assert_int_equal(s.tracer, 99);
	assert_int_equal(s.uid, 1000);
	assert_int_equal(s.euid, 1001);
	assert_int_equal(s.suid, 1002);
	assert_int_equal(s.gid, 100);
	assert_int_equal(s.egid, 101);
	assert_int_equal(s.sgid, 102);
	assert_int_equal(s.threads, 5);
	assert_int_equal(s.pending, 1);
	assert_true(s.shared_pending == 1ull << 63);
	assert_int_equal(s.blocked, 0x10000);
	assert_int_equal(s.ignored, 0x1000);
	assert_int_equal(s.caught, 0x180014002);
	assert_true(s.cap_permitted == 0x1ffffffffff);
	assert_int_equal(s.cap_effective, 1 << 19);
	assert_int_equal(s.seccomp, 2);
	assert_true(s.has_memory);
	assert_true(s.switches == 12000000007);
}

/* MIPS has 128 signals: of those the first 64, which come last. */
static void signals_of_mips(void **state)
{
	struct status s;

	(void)state;
	status_parse("Name:\tx\nSigPnd:\t00000000000000000000000000000000\n"
		     "SigBlk:\tfffffffffffffffffffffffefffbfeff\n"
		     "SigCgt:\t00000000000000010000000000100001\n",
		     &s);
	assert_true(s.pending == 0);
	assert_true(s.blocked == 0xfffffffefffbfeff);
	assert_true(s.caught == 0x100001);
}

static void what_is_missing_is_zero(void **state)
{
	const struct status nothing = {.state = '?'};
	struct status s;

	(void)state;
	memset(&s, 0xa5, sizeof(s));
	status_parse("", &s);
	assert_memory_equal(&s, &nothing, sizeof(s));
	status_parse("Name:\tkthreadd\nState:\tS (sleeping)\nTgid:\t2\nThreads:\t1\n", &s);
	assert_string_equal(s.name, "kthreadd");
	assert_false(s.has_memory);
	assert_int_equal(s.uid, 0);
	status_parse("Name:\t\nState:", &s); /* cut in the middle */
	assert_string_equal(s.name, "");
	assert_int_equal(s.state, '?');
}

/* The kernel escapes a newline, so a name is one line, at most 15 bytes of it kept. */
static void names_are_only_names(void **state)
{
	struct status s;

	(void)state;
	status_parse("Name:\tTgid:\t5\\nTgid\nState:\tR (running)\nTgid:\t7\n", &s);
	assert_string_equal(s.name, "Tgid:\t5\\nTgid");
	assert_int_equal(s.tgid, 7);
	status_parse("Name:\tabcdefghijklmnopqrstuvwxyz\nTgid:\t8\n", &s);
	assert_string_equal(s.name, "abcdefghijklmno");
	assert_int_equal(s.tgid, 8);
}

static void the_first_of_its_namespace(void **state)
{
	static const struct {
		const char *text;
		bool init;
	} cases[] = {
		{"NSpid:\t1\n", true},	       {"NSpid:\t4711\t21\t1\n", true},
		{"NSpid:\t4711\t21\n", false}, {"NSpid:\t1\t4711\n", false},
		{"NSpid:\t4711\n", false},     {"NSpid:\n", false},
		{"NSpid:\t1", false},
	};
	struct status s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[64];

		snprintf(text, sizeof(text), "Name:\tx\n%s", cases[i].text);
		status_parse(text, &s);
		assert_int_equal(s.init, cases[i].init);
	}
}

/* From that of /proc's namespace down to its own; older kernels tell of one. */
static void numbers_in_its_namespace(void **state)
{
	struct status s;

	(void)state;
	status_parse("Name:\tx\nTgid:\t40\nPid:\t41\nNStgid:\t40\t20\t2\n"
		     "NSpid:\t41\t21\t3\nNSpgid:\t7\n", &s);
	assert_int_equal(s.own_tgid, 2);
	assert_int_equal(s.own_pid, 3);
	status_parse("Name:\tx\nTgid:\t40\nPid:\t41\nNSpid:\t\n99\n", &s);
	assert_int_equal(s.own_tgid, 40);
	assert_int_equal(s.own_pid, 41);
}

static void files_of_any_length(void **state)
{
	char path[] = "/tmp/test_status.XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	struct status s;

	(void)state;
	fputs("Name:\tmany\nState:\tS\nTgid:\t6\nGroups:\t", file);
	for (int i = 0; i < 65536; i++)
		fprintf(file, "%u ", 4294900000u + (unsigned)i);
	fputs("\nVmSize:\t1 kB\nSeccomp:\t1\n", file);
	fclose(file);
	assert_int_equal(status_read_file(path, &s), 0);
	assert_int_equal(s.tgid, 6);
	assert_true(s.has_memory);
	assert_int_equal(s.seccomp, 1);
	unlink(path);
	assert_int_equal(status_read_file(path, &s), -ENOENT);
}

static void ourselves(void **state)
{
	struct status s;

	(void)state;
	assert_int_equal(status_read(getpid(), 0, &s), 0);
	assert_string_equal(s.name, "test_status");
	assert_int_equal(s.tgid, getpid());
	assert_int_equal(s.tracer, 0);
	assert_int_equal(s.uid, getuid());
	assert_int_equal(s.egid, getegid());
	assert_int_equal(s.threads, 1);
	assert_true(s.has_memory);
	assert_int_equal(s.state, 'R');
	assert_int_equal(status_read(getpid(), 4194304, &s), -ENOENT);
	assert_int_equal(status_read(4194304, 0, &s), -ENOENT);
}

static void signals_that_do_nothing(void **state)
{
	const struct status s = {.caught = signal_bit(SIGURG) | signal_bit(SIGUSR1),
				 .ignored = signal_bit(SIGUSR2) | signal_bit(SIGTERM)};

	(void)state;
	assert_false(status_ignores(&s, SIGURG)); /* caught */
	assert_true(status_ignores(&(struct status){.state = 'S'}, SIGURG));
	assert_true(status_ignores(&s, SIGCHLD));  /* by default */
	assert_true(status_ignores(&s, SIGWINCH)); /* by default */
	assert_true(status_ignores(&s, SIGCONT));  /* by default */
	assert_true(status_ignores(&s, SIGUSR2));
	assert_true(status_ignores(&s, SIGTERM));
	assert_false(status_ignores(&s, SIGUSR1));
	assert_false(status_ignores(&s, SIGINT)); /* ends it */
	assert_false(status_ignores(&s, 34));
	assert_int_equal(signal_bit(1), 1);
	assert_true(signal_bit(64) == 1ull << 63);
}

/* ---- threads --------------------------------------------------------------- */

static pthread_barrier_t barrier;

static void *wait_for_the_end(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return arg;
}

static void *become_the_last(void *arg)
{
	struct child_case *self = arg;

	child_say(self, syscall(SYS_gettid));
	for (;;)
		pause();
	return NULL;
}

static void start_threads(struct child_case *self, void *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, wait_for_the_end, NULL);
	pthread_barrier_wait(&barrier);
	child_idle(self, NULL);
}

static void end_the_leader(struct child_case *self, void *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, become_the_last, self);
	syscall(SYS_exit, 0);
}

static void threads_are_listed(void **state)
{
	struct child_case child = child_start(start_threads, NULL);
	struct tid_list tids = {0};
	struct status s;

	(void)state;
	child_hear(&child);
	assert_int_equal(status_threads(child.pid, &tids), 0);
	assert_int_equal(tids.len, 4);
	for (size_t i = 0; i < tids.len; i++) {
		assert_int_equal(status_read(child.pid, tids.at[i], &s), 0);
		assert_int_equal(s.tgid, child.pid);
	}
	assert_int_equal(status_alive(child.pid), child.pid);
	child_end(&child);
	assert_int_equal(status_threads(child.pid, &tids), -ENOENT);
	assert_int_equal(status_alive(child.pid), 0);
	vec_deinit(&tids);
}

static void a_thread_that_outlives_its_leader(void **state)
{
	struct child_case child = child_start(end_the_leader, NULL);
	pid_t tid = (pid_t)child_hear(&child);
	struct status s = {.state = 0};

	(void)state;
	while (status_read(child.pid, 0, &s) == 0 && s.state != 'Z')
		sched_yield();
	assert_false(s.has_memory);
	assert_int_equal(status_alive(child.pid), tid);
	child_end(&child);
}

static void a_zombie_is_not_alive(void **state)
{
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(status_alive(pid), 0);
	waitpid(pid, NULL, 0);
}

static void spin(struct child_case *self, void *arg)
{
	volatile unsigned turns = 0;

	(void)arg;
	child_say(self, 1);
	for (;;)
		turns++;
}

/* By syscall(), a function of one instruction that matters in every libc, or that calls one (MIPS:
 * __mips_syscall7). */
#ifdef __mips__
enum { SYSCALL_NEAR = 1 << 16 };
#else
enum { SYSCALL_NEAR = 256 };
#endif

static void nap(struct child_case *self, void *arg)
{
	(void)arg;
	child_say(self, 1);
	for (;;)
		syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
}

/* As a tracer that was killed still is when its tracees are let go. */
static void who_is_about_to_end(void **state)
{
	struct child_case child = child_start(child_idle, NULL);
	siginfo_t info;

	(void)state;
	child_hear(&child);
	assert_false(status_is_ending(getpid()));
	assert_false(status_is_ending(child.pid));
	kill(child.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(status_is_ending(child.pid)); /* it has a number still */
	child_end(&child);
	assert_true(status_is_ending(child.pid));
}

static void where_a_blocked_thread_returns_to(void **state)
{
	struct child_case child = child_start(nap, NULL);
	taddr_t sp = 0, pc = 0;
	int here;

	(void)state;
	child_hear(&child);
	child_wait_for_call(child.pid, SYS_ppoll);
	assert_int_equal(status_syscall(child.pid, child.pid, &sp, &pc), 0);
	/* A fork has our addresses: its stack is below this frame, its pc in syscall(). */
	assert_true(sp < (taddr_t)(uintptr_t)&here + 65536 &&
		    sp > (taddr_t)(uintptr_t)&here - 65536);
	assert_true(pc - ((taddr_t)(uintptr_t)syscall & ~arch_native()->state_mask) < SYSCALL_NEAR);
	child_end(&child);
	assert_true(status_syscall(child.pid, child.pid, &sp, &pc) < 0);
	child = child_start(spin, NULL);
	child_hear(&child);
	child_wait_for_call(child.pid, -1);
	assert_int_equal(status_syscall(child.pid, child.pid, &sp, &pc), -EBUSY);
	child_end(&child);
}

/* ---- the command ---------------------------------------------------------------- */

static void run_with_arguments(struct child_case *self, void *arg)
{
	(void)self;
	(void)arg;
	execl("/proc/self/exe", "sh", "-c", "read x", "", "last one", "", "", NULL);
}

static void the_command_of_a_process(void **state)
{
	struct child_case child;
	char **command, self[64];

	(void)state;
	child = child_start(run_with_arguments, NULL);
	child_wait_for_call(child.pid, CHILD_IDLE_CALL); /* see main() */
	command = status_command(child.pid);
	assert_string_equal(command[0], "sh");
	assert_string_equal(command[1], "-c");
	assert_string_equal(command[2], "read x");
	assert_string_equal(command[3], "");
	assert_string_equal(command[4], "last one");
	assert_null(command[5]);
	free(command);
	child_end(&child);
	command = status_command(4194304);
	assert_string_equal(command[0], "[]");
	assert_null(command[1]);
	free(command);
	if (status_read(2, 0, &(struct status){0}) == 0) {
		snprintf(self, sizeof(self), "[kthreadd]");
		command = status_command(2);
		if (command[0][0] == '[') /* in a container it may be anything */
			assert_string_equal(command[0], self);
		free(command);
	}
}

static char **arguments;

static void where_the_program_began(void **state)
{
	(void)state;
	/* argc lies there, and argv behind it (psABI 3.4.1) */
	assert_int_equal(status_first_sp(getpid()) + sizeof(void *),
			 (taddr_t)(uintptr_t)arguments);
	assert_int_equal(status_first_sp(0x7ffffffe), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field),
		cmocka_unit_test(signals_of_mips),
		cmocka_unit_test(what_is_missing_is_zero),
		cmocka_unit_test(names_are_only_names),
		cmocka_unit_test(the_first_of_its_namespace),
		cmocka_unit_test(numbers_in_its_namespace),
		cmocka_unit_test(files_of_any_length),
		cmocka_unit_test(ourselves),
		cmocka_unit_test(where_the_program_began),
		cmocka_unit_test(signals_that_do_nothing),
		cmocka_unit_test(threads_are_listed),
		cmocka_unit_test(a_thread_that_outlives_its_leader),
		cmocka_unit_test(a_zombie_is_not_alive),
		cmocka_unit_test(who_is_about_to_end),
		cmocka_unit_test(where_a_blocked_thread_returns_to),
		cmocka_unit_test(the_command_of_a_process),
	};

	if (argc > 1)
		return pause(); /* as run_with_arguments() */
	arguments = argv;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
