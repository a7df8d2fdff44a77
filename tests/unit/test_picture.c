/*
 * Pictures of a process: what they show, and that the process sees nothing of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "traced_case.h"
#include "tracer/picture.h"

enum { PAGE = 4096, PAGES = 64 };

static uint8_t *memory; /* in the children, too: private to each */
static int ends[2];	/* of a pipe: nobody writes but the child */

static struct picture *picture;

static int take(struct traced *t)
{
	struct smaps look;
	struct err err = {0};
	int rc;

	assert_int_equal(smaps_read(t->child.pid, &look, NULL), 0);
	traced_stop(t);
	rc = picture_take(&t->tracee, t->undo, &look, NULL, &picture, &err);
	if (rc)
		smaps_deinit(&look);
	if (rc && rc != -EAGAIN)
		fail_msg("%s", err.text);
	if (rc || picture->copy)
		tracee_resume(&t->tracee);
	assert_int_equal(t->undo->area_count, 0);
	return rc;
}

static void take_with_retries(struct traced *t)
{
	int rc = -EAGAIN;

	for (int i = 0; i < 1000 && rc == -EAGAIN; i++)
		rc = take(t);
	assert_int_equal(rc, 0);
}

/* The stops of the child, until the copy is gone. */
static void end_picture(struct traced *t)
{
	pid_t copy = picture->copy;
	struct stop stop;

	picture_destroy(picture);
	while (copy && kill(copy, 0) == 0)
		if (tracee_next(&t->tracee, false, &stop) == 1)
			child_go_on(&t->tracee, &stop);
}

static uint8_t seen(size_t page)
{
	uint8_t byte = 0xee;

	assert_int_equal(memory_read(&picture->memory,
				     (taddr_t)(uintptr_t)(memory + page * PAGE), &byte, 1),
			 0);
	return byte;
}

/* ---- what it shows --------------------------------------------------------------------- */

static void be_asked(struct child_case *self, void *arg)
{
	char byte;

	(void)arg;
	memory[0] = 1;
	madvise(memory + PAGE, PAGE, MADV_DONTFORK);
	memory[PAGE] = 2;
	madvise(memory + 2 * PAGE, PAGE, MADV_WIPEONFORK);
	memory[2 * PAGE] = 3;
	child_say(self, 1);
	while (read(ends[0], &byte, 1) == 1) {
		for (int i = 0; i < 3; i++)
			memory[i * PAGE] += 10;
		child_say(self, memory[0]);
	}
}

static void of_one_moment(void **state)
{
	struct traced t;
	struct range range;
	struct stop stop;
	taddr_t base = (taddr_t)(uintptr_t)memory;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	t = traced_start(be_asked, SYS_read, arch_native()->trap->copy_build);
	take_with_retries(&t);
	assert_string_equal(picture->why, "");
	assert_true(picture->copy > 0);
	assert_int_equal(write(ends[1], "", 1), 1);
	while (tracee_next(&t.tracee, false, &stop) == 1)
		child_go_on(&t.tracee, &stop);
	assert_int_equal(child_hear(&t.child), 11);
	assert_int_equal(seen(0), 1);
	assert_int_equal(seen(1), 2); /* not there in a child */
	assert_int_equal(seen(2), 3); /* zeros in a child */
	assert_true(picture_present(picture, base, base + PAGES * PAGE, &range));
	assert_int_equal(range.begin, base);
	assert_int_equal(range.end, base + PAGE);
	assert_true(picture_present(picture, base + PAGE, base + PAGES * PAGE, &range));
	assert_int_equal(range.begin, base + PAGE);
	assert_true(range.end <= base + 3 * PAGE);
	assert_false(picture_present(picture, base + 3 * PAGE, base + PAGES * PAGE, &range));
	end_picture(&t);
	traced_let_go(&t);
	child_end(&t.child);
	close(ends[0]);
	close(ends[1]);
}

#ifdef __x86_64__
static void be_marked(struct child_case *self, void *arg)
{
	(void)arg;
	child_say(self, 1);
	__asm__ volatile("mov $0x1122334455667788, %%rbx\n movq %%rbx, %%xmm7\n"
			 "mov $0x8877665544332211, %%rbx\n1: pause\n jmp 1b\n"
			 :
			 :
			 : "rbx", "xmm7");
}

static bool has_word(const void *bytes, size_t len, uint64_t word)
{
	for (size_t i = 0; i + 8 <= len; i += 8)
		if (!memcmp((const char *)bytes + i, &word, 8))
			return true;
	return false;
}

static void of_all_registers(void **state)
{
	struct traced t = traced_start(be_marked, -1, arch_native()->trap->copy_build);
	const struct picture_thread *thread;

	(void)state;
	for (;;) { /* until it has come to where it stays */
		take_with_retries(&t);
		assert_int_equal(picture->threads.len, 1);
		thread = &picture->threads.at[0];
		if (has_word(thread->registers, thread->register_count * 8, 0x8877665544332211))
			break;
		end_picture(&t);
	}
	assert_int_equal(thread->tid, t.child.pid);
	assert_true(has_word(thread->vectors, thread->vectors_len, 0x1122334455667788));
	assert_true(thread->pointer != 0 && thread->sp != 0);
	assert_false(thread->in_call);
	end_picture(&t);
	traced_let_go(&t);
	child_end(&t.child);
}
#endif

/* ---- what the process sees ---------------------------------------------------------------- */

static volatile sig_atomic_t ended;

static void on_chld(int signo)
{
	(void)signo;
	ended++;
}

static void be_watchful(struct child_case *self, void *arg)
{
	sigset_t before, after;
	char byte;

	(void)arg;
	signal(SIGCHLD, on_chld);
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	sigprocmask(SIG_SETMASK, &before, NULL);
	child_say(self, 1);
	while (read(ends[0], &byte, 1) == 1) {
		child_say(self, ended);
		child_say(self, waitpid(-1, NULL, __WALL) < 0 && errno == ECHILD);
		sigprocmask(SIG_SETMASK, NULL, &after);
		child_say(self, !memcmp(&before, &after, 8));
	}
	child_say(self, -1);
}

static void ask(struct traced *t)
{
	struct stop stop;

	assert_int_equal(write(ends[1], "", 1), 1);
	while (tracee_next(&t->tracee, false, &stop) == 1)
		child_go_on(&t->tracee, &stop);
	assert_int_equal(child_hear(&t->child), 0);
	assert_int_equal(child_hear(&t->child), 1);
	assert_int_equal(child_hear(&t->child), 1);
}

static void without_a_child(void **state)
{
	struct traced t;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	t = traced_start(be_watchful, SYS_read, arch_native()->trap->copy_build);
	for (int i = 0; i < 20; i++) {
		child_wait_for_call(t.child.pid, SYS_read);
		take_with_retries(&t);
		assert_true(picture->copy > 0);
		ask(&t);
		end_picture(&t);
		ask(&t);
	}
	traced_let_go(&t);
	child_end(&t.child);
	close(ends[0]);
	close(ends[1]);
}

static void be_closing(struct child_case *self, void *arg)
{
	char byte;

	(void)arg;
	child_say(self, 1);
	if (read(ends[0], &byte, 1) == 1)
		close(*(int *)memory);
	for (;;)
		pause();
}

static int descriptors(pid_t pid)
{
	char path[64];
	int count = -2; /* "." and ".." */
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* The peer of what the process closes hears of it, while the copy is there. */
static void without_descriptors(void **state)
{
	struct traced t;
	struct stop stop;
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(pair), 0);
	*(int *)memory = pair[1];
	t = traced_start(be_closing, SYS_read, arch_native()->trap->copy_build);
	close(pair[1]);
	take_with_retries(&t);
	assert_true(picture->copy > 0);
	assert_int_equal(descriptors(picture->copy), 0);
	assert_int_equal(write(ends[1], "", 1), 1);
	while (tracee_next(&t.tracee, false, &stop) == 1)
		child_go_on(&t.tracee, &stop);
	assert_int_equal(read(pair[0], &byte, 1), 0);
	end_picture(&t);
	traced_let_go(&t);
	child_end(&t.child);
	close(ends[0]);
	close(ends[1]);
	close(pair[0]);
	memset(memory, 0, PAGE);
}

/* Nobody tells of a copy, and none of its stops is still to come: who hands out the children of a
 * process that has ended does not wait for it. */
static void of_who_ends(void **state)
{
	struct traced t = traced_start(child_idle, CHILD_IDLE_CALL, arch_native()->trap->copy_build);
	struct stop stop;

	(void)state;
	take_with_retries(&t);
	assert_true(picture->copy > 0);
	assert_int_equal(kill(t.child.pid, SIGKILL), 0);
	while (!t.tracee.exited)
		if (tracee_next(&t.tracee, true, &stop) == 1 && stop.thread &&
		    stop.kind != STOP_THREAD_EXIT)
			child_go_on(&t.tracee, &stop);
	alarm(60); /* it waited for ever */
	tracee_hand_out_children(&t.tracee);
	alarm(0);
	assert_int_equal(seen(0), 0);
	end_picture(&t);
	assert_int_equal(t.tracee.copies[0], 0);
	traced_let_go(&t);
	child_end(&t.child);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void stands(struct traced *t, const char *why)
{
	take_with_retries(t);
	assert_int_equal(picture->copy, 0);
	if (!strstr(picture->why, why))
		fail_msg("%s", picture->why);
	assert_true(t->tracee.all_stopped);
	seen(0);
	picture_destroy(picture);
	tracee_resume(&t->tracee);
	traced_let_go(t);
	child_wait_for_call(t->child.pid, CHILD_IDLE_CALL);
	child_end(&t->child);
}

static void be_reaper(struct child_case *self, void *arg)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	child_idle(self, arg);
}

static void not_of_who_adopts(void **state)
{
	struct traced t =
		traced_start(be_reaper, CHILD_IDLE_CALL, arch_native()->trap->copy_build);

	(void)state;
	stands(&t, "adopts orphans");
}

static void be_alone(struct child_case *self, void *arg)
{
	struct rlimit one = {1, 1};

	if (setresuid(54321, 54321, 54321) || setrlimit(RLIMIT_NPROC, &one))
		_exit(98);
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child_idle(self, arg);
}

static void not_beyond_a_limit(void **state)
{
	struct traced t;

	(void)state;
	if (geteuid())
		skip();
	t = traced_start(be_alone, CHILD_IDLE_CALL, arch_native()->trap->copy_build);
	stands(&t, "RLIMIT_NPROC");
}

static int setup(void **state)
{
	(void)state;
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	return memory == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_one_moment),
#ifdef __x86_64__
		cmocka_unit_test(of_all_registers),
#endif
		cmocka_unit_test(without_a_child),
		cmocka_unit_test(without_descriptors),
		cmocka_unit_test(of_who_ends),
		cmocka_unit_test(not_of_who_adopts),
		cmocka_unit_test(not_beyond_a_limit),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
