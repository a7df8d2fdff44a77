/*
 * System calls that a thread of another process makes for us: it is where it was, with all that
 * it had, whatever it was doing, and what came meanwhile still comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "traced_case.h"
#include "tracer/remote.h"
#include "tracer/remote_parts.h"

/* Executable, also in the children: near their libraries, and near this program. */
static uint8_t *page, *page_near;
static const struct child_case *told;

static void on_usr1(int signo)
{
	child_say(told, signo);
}

static void hear_signals(struct child_case *self)
{
	struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};

	told = self;
	sigaction(SIGUSR1, &action, NULL);
}

static void check_clean(const struct traced *t, const struct undo_place *place)
{
	uint8_t there[UNDO_PLACE_BYTES];

	assert_int_equal(target_read((struct target *)&t->tracee.target, place->base, there,
				     sizeof(there)),
			 0);
	assert_memory_equal(there, place->old, sizeof(there));
	assert_int_equal(t->undo->area_count, 0);
}

static int call(struct traced *t, int64_t number, int64_t *result)
{
	struct undo_place place = {.base = (taddr_t)(uintptr_t)page, .room = UNDO_PLACE_BYTES};
	struct remote_call what = {number, {1, 2, 3, 4, 5, 6}};
	struct err err;
	int rc = remote_call(&t->tracee, t->undo, &place, &what, result, &err);

	if (rc == -ERANGE) {
		place.base = (taddr_t)(uintptr_t)page_near;
		rc = remote_call(&t->tracee, t->undo, &place, &what, result, &err);
	}
	check_clean(t, &place);
	return rc;
}

static void let_go(struct traced *t)
{
	tracee_resume(&t->tracee);
	traced_let_go(t);
}

/* ---- what the thread was doing ------------------------------------------------------- */

static void be_paused(struct child_case *self, void *arg)
{
	(void)arg;
	hear_signals(self);
	child_say(self, 1);
	child_say(self, pause() < 0 && errno == EINTR ? 2 : 3);
}

/* A signal that comes while it stands ends its call, which nothing would do if that were made
 * again. */
static void in_a_call_that_a_signal_ends(void **state)
{
	struct traced t =
		traced_start(be_paused, CHILD_IDLE_CALL, arch_native()->trap->remote_build);
	int64_t result = 0;

	(void)state;
	traced_stop(&t);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(call(&t, SYS_getpid, &result), 0);
		assert_int_equal(result, t.child.pid);
	}
	kill(t.child.pid, SIGUSR1);
	let_go(&t);
	assert_int_equal(child_hear(&t.child), SIGUSR1);
	assert_int_equal(child_hear(&t.child), 2);
	child_end(&t.child);
}

static int ends[2]; /* of a pipe: ours too */

static void be_reading(struct child_case *self, void *arg)
{
	char byte = 0;

	(void)arg;
	child_say(self, 1);
	for (;;)
		child_say(self, read(ends[0], &byte, 1) == 1 ? byte : -errno);
}

/* What it waits for comes while it stands, or behind it: nothing is lost, nothing comes twice.
 */
static void in_a_call_that_is_made_again(void **state)
{
	struct traced t;
	int64_t result = 0;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	t = traced_start(be_reading, SYS_read, arch_native()->trap->remote_build);
	for (int i = 0; i < 8; i++) {
		char byte = (char)(10 + i);

		traced_stop(&t);
		if (i % 2)
			assert_int_equal(write(ends[1], &byte, 1), 1);
		assert_int_equal(call(&t, SYS_getpid, &result), 0);
		assert_int_equal(result, t.child.pid);
		tracee_resume(&t.tracee);
		if (i % 2 == 0)
			assert_int_equal(write(ends[1], &byte, 1), 1);
		assert_int_equal(child_hear(&t.child), byte);
		child_wait_for_call(t.child.pid, SYS_read);
	}
	traced_stop(&t);
	let_go(&t);
	child_end(&t.child);
	close(ends[0]);
	close(ends[1]);
}

static void be_asleep(struct child_case *self, void *arg)
{
	struct timespec second = {.tv_sec = 1}, begin, end;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	child_say(self, 1);
	if (nanosleep(&second, NULL))
		child_say(self, -errno);
	clock_gettime(CLOCK_MONOTONIC, &end);
	child_say(self,
		  (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec >=
			  1000000000);
}

/* The kernel makes it again with what is left of its time: restart_syscall(). */
static void in_a_call_with_a_time_limit(void **state)
{
	struct traced t =
		traced_start(be_asleep, SYS_clock_nanosleep, arch_native()->trap->remote_build);
	int64_t result = 0;

	(void)state;
	traced_stop(&t);
	assert_int_equal(call(&t, SYS_getppid, &result), 0);
	assert_int_equal(result, getpid());
	let_go(&t);
	assert_int_equal(child_hear(&t.child), 1);
	child_end(&t.child);
}

#ifdef __x86_64__
/* Registers (but rbp and rsp) and flags that a system call, or what leads to it, might change,
 * looked at over and over; says so when one has changed. */
static void be_busy(struct child_case *self, void *arg)
{
	(void)arg;
	child_say(self, 1);
	__asm__ volatile("mov $0x1111111111111111, %%rax\n mov $0x22222222, %%ebx\n"
			 "mov $-3, %%rcx\n mov $0x4444444444444444, %%rdx\n"
			 "mov $5, %%esi\n mov $0x6666666666666666, %%rdi\n"
			 "mov $-7, %%r8\n mov $0x8888888888888888, %%r9\n"
			 "mov $9, %%r10d\n mov $0xaaaaaaaaaaaaaaaa, %%r11\n"
			 "mov $11, %%r12d\n mov $12, %%r13d\n mov $13, %%r14d\n"
			 "mov %%rax, %%r15\n"
			 "1: stc\n pause\n jnc 2f\n cmp %%rax, %%r15\n jne 2f\n"
			 "cmp $0x22222222, %%ebx\n jne 2f\n cmp $-3, %%rcx\n jne 2f\n"
			 "bt $62, %%rdx\n jnc 2f\n bt $63, %%rdx\n jc 2f\n"
			 "cmp $5, %%rsi\n jne 2f\n bt $62, %%rdi\n jnc 2f\n bt $0, %%rdi\n"
			 "jc 2f\n cmp $-7, %%r8\n jne 2f\n bt $63, %%r9\n jnc 2f\n"
			 "bt $0, %%r9\n jc 2f\n cmp $9, %%r10\n jne 2f\n bt $63, %%r11\n"
			 "jnc 2f\n bt $62, %%r11\n jc 2f\n cmp $11, %%r12\n jne 2f\n"
			 "cmp $13, %%r14\n jne 2f\n jmp 1b\n2:\n"
			 :
			 :
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
			   "r12", "r13", "r14", "r15", "cc", "memory");
	child_say(self, 2);
}

static void in_its_own_code(void **state)
{
	struct traced t = traced_start(be_busy, -1, arch_native()->trap->remote_build);
	struct thread *thread = tracee_find(&t.tracee, t.child.pid);
	struct regs before, *after;
	int64_t result = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		traced_stop(&t);
		before = *thread_regs(&t.tracee, thread);
		/* (it may be refused: a kernel that does not tell of rseq) */
		if (call(&t, SYS_getpid, &result) == 0)
			assert_int_equal(result, t.child.pid);
		after = thread_regs(&t.tracee, thread);
		assert_memory_equal(after->bytes, before.bytes, before.len);
		tracee_resume(&t.tracee);
	}
	traced_stop(&t);
	tracee_resume(&t.tracee);
	assert_int_equal(waitpid(t.child.pid, NULL, WNOHANG), 0);
	tracee_release(&t.tracee);
	undo_destroy(t.undo);
	child_wait_for_call(t.child.pid, -1); /* not saying 2 */
	child_end(&t.child);
}

/* The code of 32-bit programs is another one. */
static void from_32_bit_code(void **state)
{
	enum { CS = 17 * 8 };
	struct regs regs = {.len = arch_native()->regs_len};
	struct remote_call what = {SYS_getpid, {0}};
	struct remote_code code;

	(void)state;
	regs.bytes[CS] = 0x33;
	assert_int_equal(arch_native()->trap->remote_build(4096, &what, &regs, NULL, &code), 0);
	regs.bytes[CS] = 0x23;
	assert_int_equal(arch_native()->trap->remote_build(4096, &what, &regs, NULL, &code),
			 -ENOTSUP);
}
#endif

/* ---- what comes first, or stands in front ----------------------------------------------- */

static void after_a_signal(void **state)
{
	struct traced t =
		traced_start(be_paused, CHILD_IDLE_CALL, arch_native()->trap->remote_build);
	int64_t result = 0;
	int rc = -EAGAIN;

	(void)state;
	traced_stop(&t);
	kill(t.child.pid, SIGUSR1);
	assert_int_equal(call(&t, SYS_getpid, &result), -EAGAIN);
	assert_int_equal(result, 0);
	for (int i = 0; i < 1000 && (rc == -EAGAIN || rc == -ERANGE); i++) {
		tracee_resume(&t.tracee);
		traced_stop(&t);
		rc = call(&t, SYS_getpid, &result);
	}
	assert_int_equal(rc, 0);
	let_go(&t);
	assert_int_equal(child_hear(&t.child), SIGUSR1);
	assert_int_equal(child_hear(&t.child), 2);
	child_end(&t.child);
}

static void be_filtered(struct child_case *self, void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_SIZE(code), code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	child_idle(self, arg);
}

/* It would be killed. */
static void behind_a_filter(void **state)
{
	struct traced t =
		traced_start(be_filtered, CHILD_IDLE_CALL, arch_native()->trap->remote_build);
	int64_t result = 0;

	(void)state;
	traced_stop(&t);
	assert_int_equal(call(&t, SYS_getpid, &result), -EPERM);
	let_go(&t);
	child_wait_for_call(t.child.pid, CHILD_IDLE_CALL);
	child_end(&t.child);
}

static char selector;

static void be_dispatched(struct child_case *self, void *arg)
{
	enum { PR_SET_DISPATCH = 59, ON = 1 };

	/* Off at the moment: only the range counts. */
	child_say(self, prctl(PR_SET_DISPATCH, ON, 0, 0, &selector) ? 2 : 3);
	child_idle(self, arg);
}

/* It would be sent SIGSYS, some day. */
static void behind_a_dispatcher(void **state)
{
	struct child_case child = child_start(be_dispatched, NULL);
	struct traced t = {.child = child, .undo = undo_create()};
	int64_t result = 0;

	(void)state;
	if (child_hear(&child) != 3 || !arch_native()->trap->remote_build) {
		child_end(&child);
		skip();
	}
	assert_int_equal(child_hear(&child), 1);
	child_wait_for_call(child.pid, CHILD_IDLE_CALL);
	assert_int_equal(tracee_attach(&t.tracee, child.pid, NULL), 0);
	traced_stop(&t);
	assert_int_equal(call(&t, SYS_getpid, &result), -EPERM);
	let_go(&t);
	child_end(&t.child);
}

static void where_somebody_has_written(void **state)
{
	struct traced t =
		traced_start(child_idle, CHILD_IDLE_CALL, arch_native()->trap->remote_build);
	struct undo_place place = {
		.base = (taddr_t)(uintptr_t)page, .room = UNDO_PLACE_BYTES, .old = {1}};
	struct remote_call what = {SYS_getpid, {0}};
	int64_t result = 0;
	struct err err;

	(void)state;
	traced_stop(&t);
	assert_int_equal(remote_call(&t.tracee, t.undo, &place, &what, &result, &err), -EBUSY);
	place.base = 0;
	assert_int_equal(remote_call(&t.tracee, t.undo, &place, &what, &result, &err), -ENOSPC);
	let_go(&t);
	child_end(&t.child);
}

/* ---- who does not stop ------------------------------------------------------------------ */

/* It may want the CPU that looking for its stop takes. */
static void is_looked_for_seldom(void **state)
{
	struct rusage before, after;
	pid_t child = fork();
	int status, rc;

	(void)state;
	if (!child)
		for (;;)
			pause();
	getrusage(RUSAGE_SELF, &before);
	rc = remote_next_stop(child, 400, &status);
	getrusage(RUSAGE_SELF, &after);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_int_equal(rc, -ETIMEDOUT);
	assert_in_range(after.ru_nvcsw - before.ru_nvcsw, 1, 500);
}

static int setup(void **state)
{
	void *near = (void *)(((uintptr_t)setup - (16 << 20)) & ~(uintptr_t)4095);

	(void)state;
	page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page_near = mmap(near, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED || page_near == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_call_that_a_signal_ends),
		cmocka_unit_test(in_a_call_that_is_made_again),
		cmocka_unit_test(in_a_call_with_a_time_limit),
#ifdef __x86_64__
		cmocka_unit_test(in_its_own_code),
		cmocka_unit_test(from_32_bit_code),
#endif
		cmocka_unit_test(after_a_signal),
		cmocka_unit_test(behind_a_filter),
		cmocka_unit_test(behind_a_dispatcher),
		cmocka_unit_test(where_somebody_has_written),
		cmocka_unit_test(is_looked_for_seldom),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
