/* Signals as values: what each means with -p and with PROGRAM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <unistd.h>

#include "cli/signals.h"

static enum signal_action action_of(struct signals *signals, int signo)
{
	struct signal_event event;

	assert_false(signals_next(signals, &event));
	kill(getpid(), signo);
	assert_true(signals_next(signals, &event));
	assert_int_equal(event.signo, signo);
	assert_false(event.shared); /* not the terminal's: from kill() */
	return event.action;
}

static void attached(void **state)
{
	struct signals signals;

	(void)state;
	assert_int_equal(signals_init(&signals, false, NULL), 0);
	assert_int_equal(action_of(&signals, SIGINT), SIGNAL_LEAVE);
	assert_int_equal(action_of(&signals, SIGTERM), SIGNAL_LEAVE_FAILED);
	assert_int_equal(action_of(&signals, SIGHUP), SIGNAL_LEAVE_FAILED);
	assert_int_equal(action_of(&signals, SIGTSTP), SIGNAL_STAY);
	assert_int_equal(action_of(&signals, SIGUSR1), SIGNAL_REPORT);
	assert_int_equal(action_of(&signals, SIGPIPE), SIGNAL_NOTHING);
	assert_int_equal(action_of(&signals, SIGWINCH), SIGNAL_RESIZED);
	signals_release(&signals);
}

static void launched(void **state)
{
	struct signals signals;

	(void)state;
	assert_int_equal(signals_init(&signals, true, NULL), 0);
	assert_int_equal(action_of(&signals, SIGINT), SIGNAL_PASS);
	assert_int_equal(action_of(&signals, SIGQUIT), SIGNAL_PASS);
	assert_int_equal(action_of(&signals, SIGUSR1), SIGNAL_PASS);
	assert_int_equal(action_of(&signals, SIGUSR2), SIGNAL_PASS);
	assert_int_equal(action_of(&signals, SIGTERM), SIGNAL_LEAVE_FAILED);
	assert_int_equal(action_of(&signals, SIGTSTP), SIGNAL_SUSPEND);
	signals_release(&signals);
}

static void what_was_ignored_stays_so(void **state)
{
	struct signals signals;
	struct signal_event event;

	(void)state;
	signal(SIGHUP, SIG_IGN); /* nohup */
	assert_int_equal(signals_init(&signals, false, NULL), 0);
	kill(getpid(), SIGHUP);
	assert_false(signals_next(&signals, &event));
	signals_release(&signals);
	signal(SIGHUP, SIG_DFL);
}

/* Those that wait when the process has been let go are not meant for the report. */
static void released(void **state)
{
	struct signals signals;
	sigset_t before, after;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(signals_init(&signals, false, NULL), 0);
	kill(getpid(), SIGINT);
	kill(getpid(), SIGTERM);
	signals_release(&signals); /* and we live */
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_false(sigismember(&after, SIGINT));
	assert_true(sigismember(&after, SIGPIPE));
	assert_int_equal(sigismember(&after, SIGUSR1), sigismember(&before, SIGUSR1));
	assert_int_equal(signals.fd, -1);
	signals_release(&signals);
}

int main(void)
{
	static const int sent[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,  SIGTSTP,
				   SIGUSR1, SIGUSR2, SIGPIPE, SIGWINCH};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attached),
		cmocka_unit_test(launched),
		cmocka_unit_test(what_was_ignored_stays_so),
		cmocka_unit_test(released),
	};

	/* What is ignored from the start stays so: by "&" in a shell, nohup, an interpreter. */
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
		signal(sent[i], SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
