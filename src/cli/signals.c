/*
 * Signals.  They are blocked and read from a signalfd, so that none arrives in the
 * middle of anything and none takes effect before the process was let go.
 *
 * With PROGRAM, the terminal's signals (Ctrl-C, Ctrl-\, Ctrl-Z) go to the whole
 * foreground job: the program has its own copy, and handing ours on would deliver
 * it twice.  Only what somebody sent to memtrace itself (kill) is handed on.
 *
 * With -p, Ctrl-C is of the console: it cancels what is under way there first.  A SIGINT that
 * somebody sends to memtrace is meant to end it.
 *
 * With -p, a stopped memtrace would be a stopped process within its next malloc:
 * Ctrl-Z is refused.
 */
#include "cli/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static const struct {
	int signo;
	enum signal_action attached, launched;
} table[] = {
	{SIGINT, SIGNAL_LEAVE, SIGNAL_PASS},
	{SIGQUIT, SIGNAL_LEAVE_FAILED, SIGNAL_PASS},
	{SIGTERM, SIGNAL_LEAVE_FAILED, SIGNAL_LEAVE_FAILED},
	{SIGHUP, SIGNAL_LEAVE_FAILED, SIGNAL_LEAVE_FAILED},
	{SIGALRM, SIGNAL_LEAVE_FAILED, SIGNAL_LEAVE_FAILED},
	{SIGXCPU, SIGNAL_LEAVE_FAILED, SIGNAL_LEAVE_FAILED},
	{SIGVTALRM, SIGNAL_LEAVE_FAILED, SIGNAL_LEAVE_FAILED},
	{SIGPROF, SIGNAL_LEAVE_FAILED, SIGNAL_LEAVE_FAILED},
	{SIGUSR1, SIGNAL_REPORT, SIGNAL_PASS},
	{SIGUSR2, SIGNAL_NOTHING, SIGNAL_PASS},
	{SIGTSTP, SIGNAL_STAY, SIGNAL_SUSPEND},
	{SIGTTIN, SIGNAL_NOTHING, SIGNAL_NOTHING},
	{SIGTTOU, SIGNAL_NOTHING, SIGNAL_NOTHING},
	{SIGCONT, SIGNAL_RESUMED, SIGNAL_RESUMED},
	{SIGWINCH, SIGNAL_RESIZED, SIGNAL_RESIZED},
	/* a reader that has gone is a write error (EPIPE), not our end */
	{SIGPIPE, SIGNAL_NOTHING, SIGNAL_NOTHING},
	/* so is a file that is longer than it may be (EFBIG) */
	{SIGXFSZ, SIGNAL_NOTHING, SIGNAL_NOTHING},
};

static bool is_ignored(int signo)
{
	struct sigaction action;

	return !sigaction(signo, NULL, &action) && action.sa_handler == SIG_IGN;
}

int signals_init(struct signals *signals, bool launched, struct err *err)
{
	signals->launched = launched;
	sigemptyset(&signals->blocked);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!is_ignored(table[i].signo))
			sigaddset(&signals->blocked, table[i].signo);
	signals->fd = signalfd(-1, &signals->blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0)
		return err_sys(err, -errno, "signalfd");
	pthread_sigmask(SIG_BLOCK, &signals->blocked, &signals->original);
	return 0;
}

static enum signal_action action_of(const struct signals *signals, int signo)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].signo == signo)
			return signals->launched ? table[i].launched : table[i].attached;
	return SIGNAL_NOTHING;
}

struct signal_event signals_event(const struct signals *signals, int signo)
{
	return (struct signal_event){.signo = signo, .action = action_of(signals, signo)};
}

static struct signal_event event_of(const struct signals *signals, int signo, int code)
{
	struct signal_event event = signals_event(signals, signo);

	event.shared = code == SI_KERNEL;
	if (event.shared && signo == SIGINT && event.action == SIGNAL_LEAVE)
		event.action = SIGNAL_INTERRUPT;
	return event;
}

bool signals_next(struct signals *signals, struct signal_event *ret)
{
	struct signalfd_siginfo info;

	if (read(signals->fd, &info, sizeof(info)) != sizeof(info))
		return false;
	*ret = event_of(signals, (int)info.ssi_signo, info.ssi_code);
	return true;
}

static sigset_t leave_set(const struct signals *signals)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		enum signal_action action = action_of(signals, table[i].signo);

		if ((action == SIGNAL_LEAVE || action == SIGNAL_LEAVE_FAILED) &&
		    sigismember(&signals->blocked, table[i].signo))
			sigaddset(&set, table[i].signo);
	}
	return set;
}

bool signals_take_leave(const struct signals *signals, struct signal_event *ret)
{
	const struct timespec at_once = {0};
	sigset_t set = leave_set(signals);
	siginfo_t info;
	int signo = sigtimedwait(&set, &info, &at_once);

	if (signo > 0)
		*ret = event_of(signals, signo, info.si_code);
	return signo > 0;
}

bool signals_is_interrupted(void)
{
	sigset_t set;

	return !sigpending(&set) && sigismember(&set, SIGINT);
}

void signals_unblock_leave(const struct signals *signals)
{
	sigset_t set = leave_set(signals);

	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void signals_suspend(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void signals_release(struct signals *signals)
{
	struct signal_event dropped;

	if (signals->fd < 0)
		return;
	while (signals_next(signals, &dropped))
		;
	close(signals->fd);
	signals->fd = -1;
	/* These stay out: a report that can't be written is an error like any other. */
	sigaddset(&signals->original, SIGPIPE);
	sigaddset(&signals->original, SIGXFSZ);
	pthread_sigmask(SIG_SETMASK, &signals->original, NULL);
}
