/* The program memtrace: reads its command line and does the one thing it asks for. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/crash.h"
#include "cli/doctor.h"
#include "cli/options.h"
#include "cli/parts.h"
#include "cli/selftest.h"
#include "cli/session.h"
#include "cli/several.h"

/* A descriptor 0, 1 or 2 that was closed when we were started must not become some
 * file of ours.  Close-on-exec: PROGRAM finds it closed, as it would without us. */
static void claim_standard_files(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* About each of the processes; 1: memtrace cannot attach to one. */
static int doctor_all(const struct options *options)
{
	struct options one = *options;
	int status = options->pids.len ? 0 : doctor_run(options);

	for (size_t i = 0; i < options->pids.len; i++) {
		one.pid = options->pids.at[i];
		status |= doctor_run(&one);
	}
	return status;
}

static int do_what_is_asked(const struct options *options)
{
	if (options->help)
		options_help(stdout);
	else if (options->version)
		printf("memtrace %s%s\n", MEMTRACE_VERSION, parts_left_out());
	else if (options->dump)
		options_dump(stdout);
	else if (options->doctor)
		return parts_have(PART_doctor) ? doctor_all(options) : parts_refuse("--doctor");
	else if (options->action)
		return parts_have(PART_selftest) ? selftest_perform(options->action) : parts_refuse("--action");
	else if (options->selftest)
		return parts_have(PART_selftest) ? selftest_run() : parts_refuse("--selftest");
	else if (options_several(options))
		return parts_have(PART_several) ? several_run(options) : parts_refuse("several processes");
	else if (options->follow && !parts_have(PART_several))
		return parts_refuse("--follow");
	else
		return session_run(options);
	return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct err err;
	int status = 1;

	claim_standard_files();
	crash_prepare();
	if (options_parse(argc, argv, &options, &err))
		fprintf(stderr, "memtrace: %s\n", err.text);
	else
		status = do_what_is_asked(&options);
	options_deinit(&options);
	return status;
}
