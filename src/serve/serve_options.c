/* Options from one table: what is read and what --help says can't differ. */
#include "serve/serve_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_FD = 256, OPTION_DEBUG_DIR, OPTION_DEBUGINFOD, OPTION_VERSION };

static const struct {
	const char *name, *argument, *help;
	int value; /* a letter is a short option, too */
} table[] = {
	{"debug-dir", "DIR", "also look for debug files below DIR (repeatable)",
	 OPTION_DEBUG_DIR},
	{"debuginfod", NULL, "ask the servers in DEBUGINFOD_URLS for debug files",
	 OPTION_DEBUGINFOD},
	{"fd", "N", "serve the connection that file descriptor N is", OPTION_FD},
	{"verbose", NULL, "say where the names of each module come from", 'v'},
	{"help", NULL, "print this help", 'h'},
	{"version", NULL, "print the version", OPTION_VERSION},
};

void serve_options_print_help(FILE *out)
{
	fputs("Usage: memtrace-fs [OPTION]...\n"
	      "Answers memtrace's questions about modules: functions, files and lines.\n"
	      "memtrace starts it by itself.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char option[64];
		snprintf(option, sizeof(option), "--%s%s%s", table[i].name,
			 table[i].argument ? "=" : "",
			 table[i].argument ? table[i].argument : "");
		fprintf(out, "  %c%c%c %-20s %s\n", table[i].value < 256 ? '-' : ' ',
			table[i].value < 256 ? table[i].value : ' ',
			table[i].value < 256 ? ',' : ' ', option, table[i].help);
	}
}

static int read_fd(const char *text, int *ret, struct err *err)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < 0 || number > 1 << 20)
		return err_set(err, -EINVAL, "--fd: '%s' is not a file descriptor", text);
	*ret = (int)number;
	return 0;
}

static bool add_dir(struct serve_options *options, const char *dir)
{
	if (!vec_reserve(&options->debug_dirs, options->debug_dirs.len + 2))
		return false;
	options->debug_dirs.at[options->debug_dirs.len++] = dir;
	options->debug_dirs.at[options->debug_dirs.len] = NULL;
	return true;
}

static int take(struct serve_options *options, int value, const char *argument, struct err *err)
{
	switch (value) {
	case OPTION_FD:
		return read_fd(argument, &options->fd, err);
	case OPTION_DEBUG_DIR:
		return add_dir(options, argument) ? 0 : err_set(err, -ENOMEM, "no memory");
	case OPTION_DEBUGINFOD:
		options->debuginfod = true;
		return 0;
	case OPTION_VERSION:
		options->version = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	default:
		options->help = true;
		return 0;
	}
}

int serve_options_read(int argc, char *const argv[], struct serve_options *ret, struct err *err)
{
	struct option longs[ARRAY_SIZE(table) + 1] = {};
	struct serve_options options = {.fd = -1};
	char shorts[2 * ARRAY_SIZE(table) + 2] = ":";
	int value, e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		longs[i] = (struct option){table[i].name, table[i].argument != NULL, NULL,
					   table[i].value};
		if (table[i].value < 256)
			shorts[strlen(shorts)] = (char)table[i].value;
	}
	if (!vec_reserve(&options.debug_dirs, 1))
		return err_set(err, -ENOMEM, "no memory");
	options.debug_dirs.at[0] = NULL;
	optind = 1;
	while (!e && (value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (value == '?')
			e = err_set(err, -EINVAL, "unknown option '%s'", argv[optind - 1]);
		else if (value == ':')
			e = err_set(err, -EINVAL, "option '%s' needs an argument",
				    argv[optind - 1]);
		else
			e = take(&options, value, optarg, err);
	}
	if (!e && optind < argc)
		e = err_set(err, -EINVAL, "unexpected argument '%s'", argv[optind]);
	if (e)
		serve_options_deinit(&options);
	else
		*ret = options;
	return e;
}

void serve_options_deinit(struct serve_options *options)
{
	vec_deinit(&options->debug_dirs);
}
