/*
 * heirs CHILDREN: allocates, and forks CHILDREN one after the other.  Each frees a block that it
 * inherited, another one by realloc, keeps some of its own, forks one of its own that does the same,
 * and says what it did (HEIR {json}); its status is looked at.
 *
 * heirs storm CHILDREN: the same, 4 at a time, without words.
 * heirs crowd CHILDREN: so many at once, which live until the input ends.
 * heirs asleep: one, which waits in vfork() until the input ends.
 * heirs spawn: begins "heirs leaf", a program that allocates by itself, by posix_spawn() and by fork().
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "target.h"

enum { INHERITED = 20, SIZE = 40, GROWN = 300, OWN = 70, AT_ONCE = 4 };

static unsigned char *inherited[INHERITED];

static void check(const unsigned char *block, unsigned char value, int size)
{
	for (int i = 0; i < size; i++)
		if (block[i] != value)
			target_fail("block %d has changed", value);
}

static void tally_begin(void)
{
	tally_allocs = tally_frees = tally_bytes = tally_freed = 0;
}

/* What was freed of what it had from its parent is in no count of its own. */
static void work(int number, int from)
{
	tally_begin();
	check(inherited[from], from, SIZE);
	free(inherited[from]);
	inherited[from + 1] = got(realloc(inherited[from + 1], GROWN), GROWN);
	inherited[from + 1][0] = from + 1;
	check(inherited[from + 1], from + 1, SIZE);
	for (int i = 0; i < 3 + number; i++)
		target_kept[0] = got(malloc(OWN), OWN);
	drop(got(malloc(OWN), OWN), OWN);
	for (int i = from + 2; i < INHERITED; i++)
		check(inherited[i], i, SIZE);
}

static void say_heir(void)
{
	say("HEIR {\"pid\": %d, \"parent\": %d, \"verdict\": \"%s\", \"allocs\": %lu, \"frees\": %lu, "
	    "\"allocated_bytes\": %lu, \"freed_bytes\": %lu}\n",
	    getpid(), getppid(), target_verdict, tally_allocs, tally_frees, tally_bytes, tally_freed);
}

static int is_well(void)
{
	return strcmp(target_verdict, "ok") == 0;
}

static void expect(pid_t pid, int want)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		target_fail("a child is not there: %s", strerror(errno));
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		target_fail("a child's status is 0x%x", status);
}

static pid_t heir(int number, int words)
{
	pid_t pid = fork(), grandchild;

	if (pid)
		return pid;
	work(number, 0);
	if (words)
		say_heir();
	grandchild = fork();
	if (grandchild == 0) {
		work(number, 2);
		if (words)
			say_heir();
		_exit(is_well() ? 9 : 1);
	}
	expect(grandchild, 9);
	_exit(is_well() ? 10 + number : 1);
}

static void storm(int count)
{
	pid_t pids[AT_ONCE];

	for (int i = 0; i < count; i++) {
		if (i >= AT_ONCE)
			expect(pids[i % AT_ONCE], 10 + (i - AT_ONCE) % AT_ONCE);
		pids[i % AT_ONCE] = heir(i % AT_ONCE, 0);
	}
	for (int i = count; i < count + AT_ONCE; i++)
		expect(pids[i % AT_ONCE], 10 + i % AT_ONCE);
}

static void crowd(int count)
{
	pid_t pids[1000];
	int ends[2];

	if (pipe(ends))
		target_fail("no pipe");
	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char c;

			close(ends[1]);
			free(inherited[0]);
			_exit(read(ends[0], &c, 1) == 0 ? 7 : 1);
		}
	}
	say("CROWD\n");
	await_test();
	close(ends[1]);
	for (int i = 0; i < count; i++)
		expect(pids[i], 7);
}

static void asleep(void)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		target_fail("no pipe");
	pid = fork();
	if (pid == 0) {
		char c;

		close(ends[1]);
		pid = vfork();
		if (pid == 0)
			_exit(read(ends[0], &c, 1) == 0 ? 7 : 1);
		expect(pid, 7);
		_exit(is_well() ? 8 : 1);
	}
	await_test();
	close(ends[1]);
	expect(pid, 8);
}

static int leaf(void)
{
	for (int i = 0; i < 5; i++)
		target_kept[0] = got(malloc(OWN), OWN);
	drop(got(malloc(OWN), OWN), OWN);
	return 6;
}

static void spawn(char *self)
{
	char *argv[] = {self, "leaf", NULL}, *envp[] = {NULL};
	pid_t pid = -1;

	if (posix_spawn(&pid, self, NULL, NULL, argv, envp))
		target_fail("no posix_spawn");
	expect(pid, 6);
	pid = fork();
	if (pid == 0) {
		execve(self, argv, envp);
		_exit(1);
	}
	expect(pid, 6);
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[1] : "";
	int count = argc > 1 ? atoi(argv[argc - 1]) : 1;

	if (argc == 2 && !strcmp(argv[1], "leaf"))
		return leaf();
	target_ready();
	for (int i = 0; i < INHERITED; i++)
		memset(inherited[i] = got(malloc(SIZE), SIZE), i, SIZE);
	if (!strcmp(how, "storm"))
		storm(count);
	else if (!strcmp(how, "crowd"))
		crowd(count);
	else if (!strcmp(how, "asleep"))
		asleep();
	else if (!strcmp(how, "spawn"))
		spawn(argv[0]);
	else
		for (int i = 0; i < count; i++)
			expect(heir(i, 1), 10 + i);
	target_done();
	return target_result(NULL);
}
