/*
 * A bug of ours must not be the target's end, nor a silent one.
 *
 * The handler says what happened and lets the signal end memtrace as it would have.
 * The kernel then releases the target (whose traps are harmless without us), and the
 * guardian, woken by our end, puts its code back.  Nothing is undone from within the
 * handler: the state that crashed can't be trusted with somebody's process.
 */
#include "cli/crash.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static void put(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return; /* nowhere to say it */
}

static void crash_handler(int signo)
{
	char number[] = {(char)('0' + signo / 10), (char)('0' + signo % 10), 0};

	put("memtrace: a bug of memtrace " MEMTRACE_VERSION " ended it (signal ");
	put(number);
	put(").\nThe process it watched lives; its code is being put back.  Please report this "
	    "with the command line and what `memtrace --version` says.\n");
	signal(signo, SIG_DFL);
	raise(signo);
}

void crash_prepare(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	struct sigaction action = {.sa_handler = crash_handler};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}
