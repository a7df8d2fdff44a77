/*
 * The C++ runtime's demangler, where nothing but a name is lost by it.
 *
 * A mangled name refers back to its own parts, so a name of 250 bytes can stand for one of
 * 285 MB; other names take its parser or its search for packs exponential time, without a byte
 * of output.  It has no limit to set and no way to stop.  So only names whose shape can't grow
 * are demangled here; all others by a child process:
 *
 *    name -->  socket  --> child: at most LIMIT_MS of its CPU's time a name, else SIGPROF
 *    text <--          <--        ends it (which bounds its memory as well)
 *
 * After MAX_ENDS children have ended so, none begins for PAUSE_MS: meanwhile such names stay as
 * they are.  Called by the one thread that serves.
 */
#include "serve/demangle.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"

enum {
	MAX_GROWN = 1 << 20, /* what a name may grow to at most to be demangled here */
	LIMIT_MS = 100,	     /* of CPU time; real names take less than one */
	WAIT_MS = 2000,	     /* a child that is not let run */
	MAX_ENDS = 8,
	PAUSE_MS = 10000,
};

/* libstdc++ (Itanium C++ ABI, 3.4). */
char *__cxa_demangle(const char *symbol, char *buffer, size_t *length, int *status);

static struct {
	int fd; /* the child's; valid where pid is not 0 */
	pid_t pid, owner;
	unsigned ends;
	int64_t ended_at;
} apart;

static char *demangle_here(const char *symbol)
{
	int status;
	char *name = __cxa_demangle(symbol, NULL, NULL, &status);

	if (name && strlen(name) > DEMANGLE_MAX) {
		free(name);
		return NULL;
	}
	return name;
}

/* Whether the name stays small whatever it means: each reference (S1_, T_) at most doubles what
 * there is, so does each "cv" the work of the parser and each "pp" and "mm" that of a search; a
 * pack repeats its pattern, and a search for one may follow a pattern's references. */
static bool stays_small(const char *symbol)
{
	size_t grown = strlen(symbol), packs = 0;

	for (const char *at = symbol; *at && grown <= MAX_GROWN; at++) {
		if (*at == 'S' || *at == 'T')
			grown *= strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_", at[1]) ? 2 : 1;
		else if (!strncmp(at, "cv", 2) || !strncmp(at, "pp", 2) ||
			 !strncmp(at, "mm", 2))
			grown *= 2;
		else if (!strncmp(at, "Dp", 2) || !strncmp(at, "sp", 2))
			packs++;
	}
	return grown <= MAX_GROWN && packs <= 1;
}

static void set_timer(int ms)
{
	setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {.tv_usec = ms * 1000}}, NULL);
}

/* The child.  It has nothing but its socket, as descriptor 0. */
_Noreturn static void answer(int fd)
{
	static char symbol[DEMANGLE_MAX + 1], text[DEMANGLE_MAX + 1];
	sigset_t none;
	ssize_t len;

	if (dup2(fd, 0))
		_exit(1);
	descriptors_close_but(0, -1);
	signal(SIGPROF, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	while ((len = recv(0, symbol, DEMANGLE_MAX, 0)) > 0) {
		char *name;
		symbol[len] = '\0';
		set_timer(LIMIT_MS);
		name = demangle_here(symbol);
		set_timer(0);
		text[0] = name != NULL; /* then the name, without its NUL */
		len = name ? (ssize_t)strlen(name) : 0;
		memcpy(text + 1, name ? name : "", (size_t)len);
		free(name);
		if (send(0, text, (size_t)len + 1, MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static bool begin(void)
{
	int fds[2];
	pid_t pid;

	if (apart.pid && apart.owner == getpid())
		return true;
	if (clock_ms() - apart.ended_at >= PAUSE_MS)
		apart.ends = 0;
	if (apart.ends >= MAX_ENDS)
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return false;
	pid = fork();
	if (pid == 0)
		answer(fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return false;
	}
	apart.fd = fds[0];
	apart.pid = pid;
	apart.owner = getpid();
	return true;
}

/* It ends when the socket is closed, or its time is over: nothing is sent to it. */
void demangle_end(void)
{
	if (!apart.pid || apart.owner != getpid())
		return;
	close(apart.fd);
	waitpid(apart.pid, NULL, WNOHANG);
	apart.pid = 0;
}

/* The answer's length, or what is not > 0: the child has ended, or does not run. */
static ssize_t ask(const char *symbol, char *text)
{
	struct pollfd fd = {apart.fd, POLLIN, 0};
	int n;

	if (send(apart.fd, symbol, strlen(symbol), MSG_NOSIGNAL) < 0)
		return -1;
	do
		n = poll(&fd, 1, WAIT_MS);
	while (n < 0 && errno == EINTR);
	return n > 0 ? recv(apart.fd, text, DEMANGLE_MAX + 1, 0) : -1;
}

char *demangle_cxx(const char *symbol)
{
	static char text[DEMANGLE_MAX + 2];
	ssize_t len;

	if (stays_small(symbol))
		return demangle_here(symbol);
	if (strlen(symbol) >= DEMANGLE_MAX || !begin())
		return NULL;
	len = ask(symbol, text);
	if (len <= 0) {
		demangle_end();
		apart.ends++;
		apart.ended_at = clock_ms();
		return NULL;
	}
	text[len] = '\0';
	return text[0] ? strdup(text + 1) : NULL;
}
