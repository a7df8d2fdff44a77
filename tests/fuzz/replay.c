/*
 * Runs a fuzz target on files: the corpus in `make check`, and a reproducer by hand.
 *
 *     replay-NAME FILE_OR_FOLDER...
 *
 * Each input ends at a page that can't be read, so that one byte too many is a crash
 * without any sanitizer.  The name of the input is printed when it crashes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { PATIENCE_SECONDS = 60 };

static char current[4096];

static void on_crash(int signo)
{
	static const char says[] = "crashed by ";

	if (write(STDERR_FILENO, says, sizeof(says) - 1) < 0 ||
	    write(STDERR_FILENO, current, strlen(current)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		_exit(1);
	signal(signo, SIG_DFL);
	raise(signo);
}

static int replay_bytes(int fd, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
	uint8_t *at = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *bytes = at + room - size;

	if (at == MAP_FAILED || mprotect(at + room, page, PROT_NONE) ||
	    read(fd, bytes, size) != (ssize_t)size) {
		perror(current);
		return 1;
	}
	alarm(PATIENCE_SECONDS);
	LLVMFuzzerTestOneInput(bytes, size);
	alarm(0);
	munmap(at, room + page);
	return 0;
}

static int replay(const char *path, size_t *count);

static int replay_folder(const char *path, size_t *count)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), failed = n < 0;

	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			failed |= replay(name, count);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return failed;
}

static int replay(const char *path, size_t *count)
{
	struct stat st;
	int fd, failed;

	snprintf(current, sizeof(current), "%s", path);
	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st)) {
		perror(path);
		return 1;
	}
	if (S_ISDIR(st.st_mode)) {
		failed = replay_folder(path, count);
	} else {
		failed = replay_bytes(fd, (size_t)st.st_size);
		++*count;
	}
	close(fd);
	return failed;
}

int main(int argc, char **argv)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGALRM};
	size_t count = 0;
	int failed = 0;

	for (size_t i = 0; i < sizeof(crashes) / sizeof(*crashes); i++)
		signal(crashes[i], on_crash);
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i], &count);
	printf("%s: %zu inputs\n", argv[0], count);
	return failed || count == 0;
}
