/*
 * signals plain|own|late ROUNDS: every signal there is, sent in known numbers to a
 * process whose threads allocate all the while; each must arrive exactly once, with
 * its value and sender, and no other.
 *
 *   plain   SIGURG, SIGWINCH and SIGCHLD are left alone (ignored by default)
 *   own     SIGURG has a handler before READY
 *   late    all three get a handler after READY, when somebody may be using them
 *
 * Threads: main sends; two allocate, one of them with all signals blocked; one spins
 * and takes SIGUSR1, whose handler allocates; one takes a real-time signal by
 * sigwaitinfo.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "target.h"

enum { QUEUED = 30, TURNS = 100, LIMIT_MS = 60000 };

/* An undefined instruction and a breakpoint; the pc is left on all but x86's int3. */
#if defined(__x86_64__)
#define UNDEFINED   "ud2"
#define BREAK	    "int3"
#define PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
enum { UNDEFINED_LEN = 2, BREAK_LEN = 0 };
#elif defined(__aarch64__)
#define UNDEFINED   ".inst 0x00000000"
#define BREAK	    "brk #0"
#define PC(context) ((context)->uc_mcontext.pc)
enum { UNDEFINED_LEN = 4, BREAK_LEN = 4 };
#elif defined(__thumb__)
#define UNDEFINED   ".inst.n 0xdeff"
#define BREAK	    ".inst.n 0xde01"
#define PC(context) ((context)->uc_mcontext.arm_pc)
enum { UNDEFINED_LEN = 2, BREAK_LEN = 2 };
#elif defined(__arm__)
#define UNDEFINED   ".inst 0xe7ffffff"
#define BREAK	    ".inst 0xe7f001f0"
#define PC(context) ((context)->uc_mcontext.arm_pc)
enum { UNDEFINED_LEN = 4, BREAK_LEN = 4 };
#elif defined(__riscv)
#define UNDEFINED   ".2byte 0"
#define BREAK	    ".2byte 0x9002"
#define PC(context) ((context)->uc_mcontext.__gregs[REG_PC])
enum { UNDEFINED_LEN = 2, BREAK_LEN = 2 };
#elif defined(__mips__)
#define UNDEFINED   ".word 0xec000000"
#define BREAK	    "break"
#define PC(context) ((context)->uc_mcontext.pc)
enum { UNDEFINED_LEN = 4, BREAK_LEN = 4 };
#endif

static unsigned long sent[65], arrived[65];
static unsigned long turns; /* of the allocating thread that blocks no signals */
static volatile int stop;
static pthread_barrier_t gate;
/* A stop, or a signal that is ignored, ends the call with EINTR on other CPUs
 * (ARCHITECTURE.md). */
#if defined(__x86_64__) || defined(__mips__)
enum { STOPS_ARE_HIDDEN = 1 };
#else
enum { STOPS_ARE_HIDDEN = 0 };
#endif

static int waited_signal; /* taken by sigwaitinfo */
static int queued_signal; /* sent many at a time */
static unsigned long waited, queued_next;
static char *fault_page;
static sigjmp_buf after_fault;

static void on_signal(int signo, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;
	ADD(arrived[signo], 1);
	if (info->si_code == SI_QUEUE) {
		if (info->si_pid != getpid() || info->si_uid != getuid())
			target_fail("signal %d: sender %d", signo, info->si_pid);
		if (signo == queued_signal) {
			if ((unsigned long)info->si_value.sival_int != queued_next++)
				target_fail("queued signals: %d out of order",
					    info->si_value.sival_int);
		} else if (info->si_value.sival_int != 1000 + signo) {
			target_fail("signal %d: value %d", signo, info->si_value.sival_int);
		}
	}
	if (signo == SIGUSR1)
		drop(got(malloc(48), 48), 48);
	if (signo == SIGSEGV && info->si_code > 0) {
		if (info->si_addr != fault_page)
			target_fail("SIGSEGV at %p", info->si_addr);
		siglongjmp(after_fault, 1);
	}
	if (signo == SIGILL && info->si_code > 0)
		PC(context) += UNDEFINED_LEN;
	if (signo == SIGTRAP && info->si_code == TRAP_BRKPT)
		PC(context) += BREAK_LEN;
}

static void install(int signo)
{
	struct sigaction action = {.sa_sigaction = on_signal,
				   .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
	sigaddset(&action.sa_mask, SIGUSR2);
	if (sigaction(signo, &action, NULL))
		target_fail("sigaction(%d): %s", signo, strerror(errno));
}

static int is_ours(int signo)
{
	return signo != SIGKILL && signo != SIGSTOP && signo != 32 && signo != 33 &&
	       signo != SIGURG && signo != SIGWINCH && signo != SIGCHLD &&
	       signo != waited_signal;
}

static void await_arrival(int signo)
{
	int64_t end = now_ns() + LIMIT_MS * 1000000ll;
	while (READ(arrived[signo]) < sent[signo]) {
		if (now_ns() > end) {
			target_fail("signal %d: %lu sent, %lu arrived", signo, sent[signo],
				    READ(arrived[signo]));
			return;
		}
		sched_yield();
	}
}

NOINLINE static void *allocating(void *arg)
{
	uint32_t seed = 5;
	sigset_t mask, before, now;
	if (arg)
		sigfillset(&mask);
	else
		sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1); /* its handler allocates: never within malloc */
	sigaddset(&mask, waited_signal);
	sigaddset(&mask, queued_signal);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	pthread_barrier_wait(&gate);
	while (!stop) {
		size_t size = dice(&seed) % 300;
		drop(got(malloc(size), size), size);
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		for (int s = 1; s < 65; s++)
			if (sigismember(&now, s) != sigismember(&before, s))
				target_fail("signal %d changed in a thread's mask", s);
		if (!arg)
			ADD(turns, 1);
	}
	return NULL;
}

static void *spinning(void *arg)
{
	static _Alignas(16) char stack[64 * 1024];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigaltstack(&alternate, NULL);
	volatile unsigned long turns = 0;
	while (!stop)
		turns++;
	return arg;
}

static void *waiting(void *arg)
{
	sigset_t set;
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, waited_signal);
	while (!stop) {
		siginfo_t info;
		struct timespec limit = {.tv_nsec = 50000000};
		int signo = sigtimedwait(&set, &info, &limit);
		if (signo == waited_signal && info.si_value.sival_int == 1000 + signo)
			ADD(waited, 1);
		else if (signo >= 0)
			target_fail("sigtimedwait: signal %d value %d", signo,
				    info.si_value.sival_int);
		else if (errno != EAGAIN && (errno != EINTR || STOPS_ARE_HIDDEN))
			target_fail("sigtimedwait: %s", strerror(errno));
	}
	return arg;
}

/* One of each, to the process: whichever thread takes it. */
static void send_all(void)
{
	for (int s = 1; s < 65; s++) {
		if (!is_ours(s) || s == SIGUSR1 || s == queued_signal)
			continue;
		sent[s]++;
		if (sigqueue(getpid(), s, (union sigval){.sival_int = 1000 + s}))
			target_fail("sigqueue(%d): %s", s, strerror(errno));
		await_arrival(s);
	}
}

static void send_queue(void)
{
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, queued_signal);
	pthread_sigmask(SIG_BLOCK, &one, NULL);
	for (int i = 0; i < QUEUED; i++, sent[queued_signal]++)
		if (sigqueue(getpid(), queued_signal,
			     (union sigval){.sival_int = (int)sent[queued_signal]}))
			target_fail("sigqueue: %s", strerror(errno));
	drop(got(malloc(64), 64), 64); /* a stop with signals pending */
	sigset_t pending;
	sigpending(&pending);
	if (!sigismember(&pending, queued_signal))
		target_fail("a blocked signal is no longer pending");
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	await_arrival(queued_signal);
}

static void fault(void)
{
	if (!sigsetjmp(after_fault, 1)) {
		ADD(sent[SIGSEGV], 1); /* now, not behind the fault */
		(void)*(volatile char *)fault_page;
	}
	sent[SIGILL]++;
	__asm__ volatile(UNDEFINED);
	sent[SIGTRAP]++;
	__asm__ volatile(BREAK);
	sent[SIGTRAP]++;
	raise(SIGTRAP);
	if (READ(arrived[SIGSEGV]) != sent[SIGSEGV] || READ(arrived[SIGILL]) != sent[SIGILL] ||
	    READ(arrived[SIGTRAP]) != sent[SIGTRAP])
		target_fail("faults: SIGSEGV %lu of %lu, SIGILL %lu of %lu, SIGTRAP %lu of %lu",
			    arrived[SIGSEGV], sent[SIGSEGV], arrived[SIGILL], sent[SIGILL],
			    arrived[SIGTRAP], sent[SIGTRAP]);
}

/* To one thread. */
static void send_to(pthread_t thread, int signo, int times)
{
	for (int i = 0; i < times; i++) {
		sent[signo]++;
		pthread_kill(thread, signo);
		await_arrival(signo);
	}
}

/* To the process, where only an allocating thread takes it. */
static void send_to_process(int signo, int times)
{
	for (int i = 0; i < times; i++) {
		sent[signo]++;
		kill(getpid(), signo);
		await_arrival(signo);
	}
}

/*
 * To an allocating thread itself, without counting on it: two signals of one number
 * that are pending for one thread are one (signal(7)), and who uses the same signal
 * at the same time may have sent the other.  One that has not come after TURNS of that
 * thread, with two traps each, does not come.  Returns how many were merged.
 */
static int send_mergeable(pthread_t thread, int signo, int times)
{
	int merged = 0;
	for (int i = 0; i < times; i++) {
		unsigned long before = READ(arrived[signo]);
		pthread_kill(thread, signo);
		unsigned long upto = READ(turns) + TURNS;
		while (READ(arrived[signo]) == before && READ(turns) < upto)
			sched_yield();
		merged += READ(arrived[signo]) == before;
		sent[signo] = READ(arrived[signo]);
	}
	return merged;
}

static void child(int handled)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(4);
	sent[SIGCHLD] += handled;
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 4)
		target_fail("a child's status is 0x%x", status);
	await_arrival(SIGCHLD);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "plain";
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	int own = !strcmp(mode, "own"), late = !strcmp(mode, "late");
	waited_signal = SIGRTMIN + 5;
	queued_signal = SIGRTMIN + 3;
	fault_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, waited_signal);
	sigaddset(&mask, queued_signal);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGURG);
	sigaddset(&mask, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	for (int s = 1; s < 65; s++)
		if (is_ours(s))
			install(s);
	if (own)
		install(SIGURG);
	pthread_t threads[4];
	pthread_barrier_init(&gate, NULL, 3);
	pthread_create(&threads[0], NULL, allocating, NULL);
	pthread_create(&threads[1], NULL, allocating, "blocked");
	pthread_create(&threads[3], NULL, waiting, NULL);
	sigdelset(&mask, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_create(&threads[2], NULL, spinning, NULL); /* it alone takes SIGUSR1 */
	sigaddset(&mask, SIGUSR1);
	sigdelset(&mask, queued_signal); /* and main what is queued */
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	int merged = 0;
	target_ready();
	pthread_barrier_wait(&gate);
	if (late) {
		install(SIGURG);
		install(SIGWINCH);
		install(SIGCHLD);
	}
	for (int r = 0; r < rounds && !strcmp(target_verdict, "ok"); r++) {
		send_all();
		send_queue();
		fault();
		send_to(threads[2], SIGUSR1, 10);
		sigqueue(getpid(), waited_signal,
			 (union sigval){.sival_int = 1000 + waited_signal});
		sent[waited_signal]++;
		if (own || late)
			send_to_process(SIGURG, 20);
		if (own)
			send_to(threads[0], SIGURG, 20);
		if (late) {
			send_to_process(SIGWINCH, 20);
			merged += send_mergeable(threads[0], SIGURG, 20);
			merged += send_mergeable(threads[0], SIGWINCH, 20);
		}
		child(late);
	}
	for (int64_t end = now_ns() + LIMIT_MS * 1000000ll;
	     READ(waited) < sent[waited_signal] && now_ns() < end;)
		sched_yield();
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	arrived[waited_signal] = waited;
	target_done();
	for (int s = 1; s < 65; s++)
		if (arrived[s] != sent[s])
			target_fail("signal %d: %lu sent, %lu arrived", s, sent[s], arrived[s]);
	char more[40];
	snprintf(more, sizeof(more), ", \"merged\": %d", merged);
	return target_result(more);
}
