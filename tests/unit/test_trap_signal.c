/*
 * Whose is a signal that a thread stops by at a trap?  On a child that blocks the trap's
 * signal, as who waits for it does, and goes through the stub of one function.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include <cmocka.h>

#include "capture/dispatcher.h"
#include "capture/thread_data.h"
#include "capture/trap_signal.h"
#include "child_case.h"

#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#endif

enum { PLACE_LEN = 4096, FUNCTION_AT = 2048, ARGUMENT = 77 };

/* Returns its argument. */
static const uint8_t function_code[] = {
#if defined(__x86_64__)
	0x48, 0x89, 0xf8, 0x66, 0x90, 0xc3, /* mov rax, rdi; nop; ret */
#elif defined(__aarch64__)
	0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6, /* nop; ret */
#elif defined(__arm__)
	0x00, 0x00, 0xa0, 0xe1, 0x1e, 0xff, 0x2f, 0xe1, /* nop; bx lr */
#elif defined(__riscv)
	0x13, 0x00, 0x00, 0x00, 0x67, 0x80, 0x00, 0x00, /* nop; ret */
#elif defined(__MIPSEL__)
	0x08, 0x00, 0xe0, 0x03, 0x25, 0x10, 0x80, 0x00, /* jr ra; move v0, a0 */
#endif
};

struct fixture {
	struct child_case child;
	struct engine engine;
	struct thread *thread;
	uint8_t *place; /* shared, and so is what is behind the function */
};

static const uint8_t *entry;
static volatile uint8_t *go_on;

static void child_run(struct child_case *self, void *arg)
{
	long (*function)(long) = (long (*)(long))(uintptr_t)entry;
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
	child_say(self, 1);
	while (!*go_on)
		usleep(1000);
	_exit(function(ARGUMENT) == ARGUMENT ? 0 : 1);
}

static void build(struct fixture *f)
{
	const struct arch *arch = arch_native();
	struct hook_area area = {.used = true, .applied = true};
	const uint8_t *code;
	const size_t len = sizeof(function_code);
	struct stub stub = {.kind = STUB_ENTRY};
	struct err err;

	f->place = mmap(NULL, PLACE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f->place, MAP_FAILED);
	code = memcpy(f->place + FUNCTION_AT, function_code, len);
	stub.function = (uintptr_t)code;
	area.area.base = (uintptr_t)f->place;
	area.area.room = FUNCTION_AT;
	if (arch->trap->stubs_build(&area.area, SIGURG, &stub, 1, &code, &len, NULL, &err))
		fail_msg("%s", err.text);
	memcpy(f->place, area.area.bytes, area.area.len);
	__builtin___clear_cache((char *)f->place, (char *)f->place + PLACE_LEN);
	entry = (uint8_t *)(uintptr_t)stub.entry;
	go_on = f->place + PLACE_LEN - 1;
	assert_non_null(vec_push(&f->engine.hooks.areas, area));
}

/* The next stop by a signal; all others end at once. */
static struct stop next_signal(struct fixture *f)
{
	struct stop stop;

	for (;;) {
		assert_int_equal(tracee_next(&f->engine.tracee, true, &stop), 1);
		if (stop.kind == STOP_SIGNAL)
			return stop;
		assert_int_equal(stop.kind, STOP_QUIET);
		tracee_continue(&f->engine.tracee, stop.thread);
	}
}

/* The child stands in the trap, which our signal says. */
static int start(void **state)
{
	static struct fixture f;
	struct stop stop;
	struct err err;

	memset(&f, 0, sizeof(f));
	build(&f);
	f.child = child_start(child_run, NULL);
	child_hear(&f.child);
	if (tracee_attach(&f.engine.tracee, f.child.pid, &err))
		fail_msg("%s", err.text);
	f.engine.traps.signo = f.engine.tracee.own_signal = SIGURG;
	f.engine.traps.hooks = &f.engine.hooks;
	f.engine.hooks.process.tracee = f.engine.ledger.walker.tracee = &f.engine.tracee;
	f.engine.tracee.forget = free;
	*go_on = 1;
	stop = next_signal(&f);
	f.thread = stop.thread;
	assert_int_equal(stop.signal, SIGURG);
	assert_int_equal(trap_signal_of(&f.engine.traps, f.thread), SIGURG);
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	vec_deinit(&f->engine.hooks.areas);
	child_end(&f->child);
	tracee_release(&f->engine.tracee);
	munmap(f->place, PLACE_LEN);
	return 0;
}

static bool blocks(const struct fixture *f, int signo)
{
	const struct arch *arch = arch_native();
	_Alignas(8) uint8_t set[ARCH_SIGNAL_SET] = {0};

	assert_int_equal(ptrace(PTRACE_GETSIGMASK, f->child.pid, (long)arch->signal_set_len, set), 0);
	return arch_signal_set(arch, set) & signal_bit(signo);
}

static void send(const struct fixture *f, int signo)
{
	syscall(SYS_tgkill, f->child.pid, f->child.pid, signo);
}

static enum trap_verdict_kind judge(const struct fixture *f, int signo)
{
	return trap_signal_judge(&f->engine.traps, f->thread, signo).kind;
}

/* The dispatcher acts upon a stop; the thread stays, so that it can be looked at. */
static void act(struct fixture *f, enum stop_kind kind, int signo)
{
	struct stop stop = {.kind = kind, .thread = f->thread, .signal = signo};

	f->thread->deliver = signo;
	f->engine.pending.set = PENDING_MODULES;
	dispatch_stop(&f->engine, &stop);
}

/* To judge changes nothing. */
static void judged_twice(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(judge(f, SIGURG), TRAP_OURS);
	assert_int_equal(judge(f, SIGURG), TRAP_OURS);
	assert_int_equal(judge(f, SIGUSR1), TRAP_PROGRAMS);
	assert_int_equal(judge(f, 0), TRAP_PROGRAMS);
	assert_int_equal(judge(f, SIGTRAP), TRAP_PROGRAMS);
	send(f, SIGURG); /* as if the one that we have seen were still to come */
	assert_int_equal(judge(f, SIGUSR1), TRAP_OVERTAKING);
	assert_int_equal(judge(f, 0), TRAP_OVERTAKING);
	assert_int_equal(judge(f, SIGURG), TRAP_OURS);
	assert_int_equal(thread_data(f->thread)->counted, 0);
	assert_false(blocks(f, SIGURG));
	assert_int_equal(f->thread->regs_changed, 0);
}

/* Ours was seen, and the program's mask is back: what of that number waits now is the
 * program's, also when the thread is interrupted before it has gone on. */
static void one_that_waits_behind_ours(void **state)
{
	struct fixture *f = *state;

	assert_false(blocks(f, SIGURG));
	assert_int_equal(judge(f, SIGURG), TRAP_OURS);
	act(f, STOP_SIGNAL, SIGURG);
	assert_int_equal(f->thread->deliver, 0);
	assert_true(blocks(f, SIGURG));
	send(f, SIGURG);
	assert_int_equal(judge(f, 0), TRAP_PROGRAMS);
	act(f, STOP_QUIET, 0);
	assert_int_equal(thread_data(f->thread)->counted, 0);
}

/* Another stop is reported at the trap first, while ours is pending: it is counted, and
 * dropped when it comes; and then the mask comes back, as if it had come first. */
static void ours_behind_another(void **state)
{
	struct fixture *f = *state;
	struct stop stop;

	send(f, SIGURG); /* as if the one that we have seen were still to come */
	act(f, STOP_QUIET, 0);
	assert_int_equal(thread_data(f->thread)->counted, SIGURG);
	assert_int_equal(judge(f, 0), TRAP_PROGRAMS); /* counted once */
	assert_false(blocks(f, SIGURG));
	f->thread->deliver = 0;
	tracee_continue(&f->engine.tracee, f->thread);
	stop = next_signal(f);
	assert_int_equal(stop.signal, SIGURG);
	assert_int_equal(trap_signal_of(&f->engine.traps, f->thread), SIGURG);
	assert_int_equal(judge(f, SIGURG), TRAP_COUNTED);
	act(f, STOP_SIGNAL, SIGURG);
	assert_int_equal(f->thread->deliver, 0);
	assert_int_equal(thread_data(f->thread)->counted, 0);
	assert_true(blocks(f, SIGURG));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(judged_twice, start, end),
		cmocka_unit_test_setup_teardown(one_that_waits_behind_ours, start, end),
		cmocka_unit_test_setup_teardown(ours_behind_another, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
