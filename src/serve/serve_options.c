/* Options from one table: what is read and what --help says can't differ. */
#include "serve/serve_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTION_FD = 256,
	OPTION_DEBUG_DIR,
	OPTION_DEBUGINFOD,
	OPTION_INTERFACE,
	OPTION_NO_ANNOUNCE,
	OPTION_REPORT,
	OPTION_SERVE_DIR,
	OPTION_VERSION,
};

static const struct {
	const char *name, *argument, *help;
	int value; /* a letter is a short option, too */
} table[] = {
	{"listen", "ADDR[:PORT]", "wait for memtrace there (default [::]:3002)", 'l'},
	{"connect", "HOST[:PORT]", "connect to a memtrace that listens (-l)", 'c'},
	{"no-announce", NULL, "do not answer searches on the local network",
	 OPTION_NO_ANNOUNCE},
	{"interface", "IF", "answer searches on this network interface only", OPTION_INTERFACE},
	{"report", "FILE", "print memtrace's report FILE with names, and end", OPTION_REPORT},
	{"debuginfod", NULL, "also ask the servers of $DEBUGINFOD_URLS for debug files",
	 OPTION_DEBUGINFOD},
	{"debug-dir", "DIR", "with --fd: also look for debug files below DIR (repeatable)",
	 OPTION_DEBUG_DIR},
	{"serve-dir", "DIR", "with --fd: serve DIR as another machine's (repeatable)",
	 OPTION_SERVE_DIR},
	{"fd", "N", "serve the connection that file descriptor N is", OPTION_FD},
	{"verbose", NULL, "say what is asked, and where names come from", 'v'},
	{"help", NULL, "print this help", 'h'},
	{"version", NULL, "print the version", OPTION_VERSION},
};

void serve_options_print_help(FILE *out)
{
	fputs("Usage: memtrace-fs [OPTION]... DIR...\n"
	      "       memtrace-fs --report FILE [DIR]...\n"
	      "\n"
	      "Answers memtrace's questions about the programs and libraries below each DIR,\n"
	      "which are those of the target before they were stripped: functions, files, "
	      "lines,\n"
	      "and how to unwind.  On one machine memtrace starts it by itself.\n\n",
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

/* Appends to a list that ends with a NULL.  -ENOMEM. */
#define add_text(list, text, err)                                                              \
	(vec_reserve((list), (list)->len + 2)                                                  \
		 ? ((list)->at[(list)->len++] = (text), (list)->at[(list)->len] = NULL, 0)     \
		 : err_set((err), -ENOMEM, "no memory"))

static int take(struct serve_options *options, int value, const char *argument, struct err *err)
{
	switch (value) {
	case OPTION_FD:
		return read_fd(argument, &options->fd, err);
	case OPTION_DEBUG_DIR:
		return add_text(&options->debug_dirs, argument, err);
	case OPTION_SERVE_DIR:
		return add_text(&options->dirs, argument, err);
	case 'l':
		options->has_listen = true;
		return endpoint_parse(argument, "--listen", &options->listen, err);
	case 'c':
		options->has_connect = true;
		return endpoint_parse(argument, "--connect", &options->connect, err);
	case OPTION_NO_ANNOUNCE:
		options->no_announce = true;
		return 0;
	case OPTION_INTERFACE:
		options->interface = argument;
		return 0;
	case OPTION_REPORT:
		options->report = argument;
		return 0;
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

/* What contradicts itself, or is not enough. */
static int check(const struct serve_options *o, bool words, struct err *err)
{
	if (o->fd >= 0 && (words || o->has_listen || o->has_connect || o->report))
		return err_set(err, -EINVAL,
			       "--fd serves one connection of this machine: it "
			       "takes no DIR, --listen, --connect or --report");
	if (o->has_listen && o->has_connect)
		return err_set(err, -EINVAL,
			       "--listen and --connect contradict each other: "
			       "wait, or call");
	if (o->report && (o->has_listen || o->has_connect))
		return err_set(err, -EINVAL, "--report needs no connection");
	if (o->fd < 0 && !o->report && !o->dirs.len)
		return err_set(err, -EINVAL, "no DIR is given; see 'memtrace-fs --help'");
	return 0;
}

int serve_options_read(int argc, char *const argv[], struct serve_options *ret, struct err *err)
{
	struct option longs[ARRAY_SIZE(table) + 1] = {};
	struct serve_options options = {.fd = -1};
	char shorts[2 * ARRAY_SIZE(table) + 2] = ":", *letter = shorts + 1;
	int value, e = 0;
	bool words;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		longs[i] = (struct option){table[i].name, table[i].argument != NULL, NULL,
					   table[i].value};
		if (table[i].value >= 256)
			continue;
		*letter++ = (char)table[i].value;
		if (table[i].argument)
			*letter++ = ':';
	}
	if (!vec_reserve(&options.debug_dirs, 1) || !vec_reserve(&options.dirs, 1))
		return err_set(err, -ENOMEM, "no memory");
	options.debug_dirs.at[0] = options.dirs.at[0] = NULL;
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
	words = optind < argc;
	for (; !e && optind < argc; optind++)
		e = add_text(&options.dirs, argv[optind], err);
	if (!e && !options.help && !options.version)
		e = check(&options, words, err);
	if (e)
		serve_options_deinit(&options);
	else
		*ret = options;
	return e;
}

void serve_options_deinit(struct serve_options *options)
{
	vec_deinit(&options->debug_dirs);
	vec_deinit(&options->dirs);
}
