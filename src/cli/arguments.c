/*
 * What may come behind a command's name: each function reads the words of one command, or of
 * several that take the same, into the call that is asked for.
 */
#include "cli/arguments.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/quantity.h"

static int too_much(const char *usage, const char *word, struct err *err)
{
	return err_set(err, -EINVAL, "'%.40s' is too much; usage: %s", word, usage);
}

int arguments_read_none(const char *const *args, const char *usage, struct command_call *call,
			struct err *err)
{
	(void)call;
	return args[0] ? too_much(usage, args[0], err) : 0;
}

int arguments_read_save(const char *const *args, const char *usage, struct command_call *call,
			struct err *err)
{
	if (!args[0])
		return err_set(err, -EINVAL, "usage: %s", usage);
	if (args[1])
		return too_much(usage, args[1], err);
	snprintf(call->target, sizeof(call->target), "%s", args[0]);
	call->report.format = REPORT_SNAPSHOT;
	return 0;
}

/* All call stacks, whatever -n says of reports. */
int arguments_read_export(const char *const *args, const char *usage, struct command_call *call,
			  struct err *err)
{
	char list[160] = "";
	unsigned i;
	int rc;

	if (!args[0])
		return err_set(err, -EINVAL, "usage: %s", usage);
	for (i = 0; report_formats[i] && strcmp(args[0], report_formats[i]); i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i ? ", " : "", report_formats[i]);
	if (!report_formats[i])
		return err_set(err, -EINVAL, "'%.40s' is not one of: %s", args[0], list);
	rc = arguments_read_save(args + 1, usage, call, err);
	call->report.format = (enum report_format)i;
	call->report.count = 0;
	return rc;
}

int arguments_read_monitor(const char *const *args, const char *usage,
			   struct command_call *call, struct err *err)
{
	call->monitor = MONITOR_TOGGLE;
	if (!args[0])
		return 0;
	if (args[1])
		return too_much(usage, args[1], err);
	if (!strcmp(args[0], "stop")) {
		call->monitor = MONITOR_STOP;
		return 0;
	}
	call->monitor = MONITOR_EVERY;
	return quantity_time(args[0], "monitor", MONITOR_MIN_MS, &call->monitor_ms, err);
}

int arguments_read_wait(const char *const *args, const char *usage, struct command_call *call,
			struct err *err)
{
	if (!args[0])
		return err_set(err, -EINVAL, "usage: %s", usage);
	if (args[1])
		return too_much(usage, args[1], err);
	return quantity_time(args[0], "wait", 0, &call->wait_ms, err);
}

static int read_sort(const char *word, enum snapshot_order *ret, struct err *err)
{
	for (int i = 0; snapshot_orders[i]; i++) {
		if (!strcmp(word, snapshot_orders[i])) {
			*ret = (enum snapshot_order)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL,
		       "--sort: '%.40s' is not one of: verdict, bytes, blocks, allocs, "
		       "growth, age, rate",
		       word);
}

/* The value of option `name` in args[*i]: "-n5", "--sort=x", or the next word.
 * NULL: the word is not this option; "": its value is missing. */
static const char *value_of(const char *const *args, size_t *i, const char *name)
{
	size_t len = strlen(name);
	bool is_long = name[1] == '-';
	const char *word = args[*i];

	if (strncmp(word, name, len))
		return NULL;
	if (word[len])
		return !is_long ? word + len : word[len] == '=' ? word + len + 1 : NULL;
	return args[*i + 1] ? args[++*i] : "";
}

static int unknown_option(const char *word, const char *usage, struct err *err)
{
	return err_set(err, -EINVAL, "unknown option '%.40s'; usage: %s", word, usage);
}

static int read_context(const char *word, const char *usage, struct command_call *call,
			struct err *err)
{
	uint64_t id;
	int rc;

	if (word[0] == '-')
		return unknown_option(word, usage, err);
	if (call->report.context)
		return too_much(usage, word, err);
	rc = quantity_number(word + (word[0] == '#'), "context", 1, UINT32_MAX, &id, err);
	if (!rc)
		call->report.context = (uint32_t)id;
	return rc;
}

static int copy_name(const char *option, const char *word, char ret[COMMANDS_MAX_NAME],
		     struct err *err)
{
	if (!*word || strlen(word) >= COMMANDS_MAX_NAME)
		return err_set(err, -EINVAL, "%s takes a name of at most %d characters", option,
			       COMMANDS_MAX_NAME - 1);
	strcpy(ret, word);
	return 0;
}

/* -n, --in or --not in args[*i], which is then behind it; 1: it is none of them. */
static int read_common(const char *const *args, size_t *i, struct command_call *call,
		       struct err *err)
{
	const char *value;
	uint64_t number;
	int rc;

	if ((value = value_of(args, i, "--in")))
		return copy_name("--in", value, call->in, err);
	if ((value = value_of(args, i, "--not")))
		return copy_name("--not", value, call->not_in, err);
	if ((value = value_of(args, i, "--min-age")))
		return quantity_time(value, "--min-age", 10, &call->report.min_age_ms, err);
	if (!(value = value_of(args, i, "-n")))
		return 1;
	rc = quantity_number(value, "-n", 0, UINT_MAX, &number, err);
	call->report.count = rc ? call->report.count : (unsigned)number;
	return rc;
}

/* Words that read_common() does not take are the command's own. */
static int read_each(const char *const *args, const char *usage, struct command_call *call,
		     int (*read_own)(const char *const *args, size_t *i, const char *usage,
				     struct command_call *call, struct err *err),
		     struct err *err)
{
	int rc = 0;

	for (size_t i = 0; args[i] && rc >= 0; i++) {
		rc = read_common(args, &i, call, err);
		if (rc > 0)
			rc = read_own(args, &i, usage, call, err);
	}
	return rc;
}

static int read_by(const char *word, enum report_by *ret, struct err *err)
{
	static const char *const names[] = {[REPORT_BY_FUNCTION] = "function",
					    [REPORT_BY_FILE] = "file",
					    [REPORT_BY_MODULE] = "module",
					    [REPORT_BY_THREAD] = "thread"};

	for (int i = REPORT_BY_FUNCTION; i <= REPORT_BY_THREAD; i++) {
		if (!strcmp(word, names[i])) {
			*ret = (enum report_by)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "--by: '%.40s' is not one of: function, file, module, thread", word);
}

static int read_name(const char *word, char ret[MARK_NAME_SIZE], struct err *err)
{
	if (strlen(word) >= MARK_NAME_SIZE)
		return err_set(err, -EINVAL, "a mark's name has at most %d characters",
			       MARK_NAME_SIZE - 1);
	strcpy(ret, word);
	return 0;
}

static int read_of_report(const char *const *args, size_t *i, const char *usage,
			  struct command_call *call, struct err *err)
{
	struct report_options *report = &call->report;
	const char *value;

	if (!strcmp(args[*i], "--all"))
		report->all = true;
	else if (!strcmp(args[*i], "--json"))
		report->format = REPORT_JSON;
	else if ((value = value_of(args, i, "--sort")))
		return read_sort(value, &report->order, err);
	else if ((value = value_of(args, i, "--by")))
		return read_by(value, &report->by, err);
	else if ((value = value_of(args, i, "--since")))
		return read_name(*value ? value : "?", call->mark[0], err);
	else
		return read_context(args[*i], usage, call, err);
	return 0;
}

int arguments_read_report(const char *const *args, const char *usage, struct command_call *call,
			  struct err *err)
{
	return read_each(args, usage, call, read_of_report, err);
}

static int read_of_tree(const char *const *args, size_t *i, const char *usage,
			struct command_call *call, struct err *err)
{
	const char *word = args[*i];

	if (!strcmp(word, "--callers")) {
		call->report.callers = true;
		return 0;
	}
	if (word[0] == '-')
		return unknown_option(word, usage, err);
	if (call->from[0])
		return too_much(usage, word, err);
	return copy_name("tree", word, call->from, err);
}

int arguments_read_tree(const char *const *args, const char *usage, struct command_call *call,
			struct err *err)
{
	call->report.tree = true;
	call->report.count = 0;
	return read_each(args, usage, call, read_of_tree, err);
}

static int read_top_key(const char *word, enum top_key *ret, struct err *err)
{
	for (int i = 0; top_keys[i]; i++) {
		if (!strcmp(word, top_keys[i])) {
			*ret = (enum top_key)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "--sort: '%.40s' is not one of: growth, rate, bytes", word);
}

static int read_of_top(const char *const *args, size_t *i, const char *usage,
		       struct command_call *call, struct err *err)
{
	const char *value = value_of(args, i, "--sort"), *word = args[*i];

	if (value)
		return read_top_key(value, &call->top_key, err);
	if (word[0] == '-')
		return unknown_option(word, usage, err);
	if (call->top_ms)
		return too_much(usage, word, err);
	return quantity_time(word, "top", TOP_MIN_MS, &call->top_ms, err);
}

int arguments_read_top(const char *const *args, const char *usage, struct command_call *call,
		       struct err *err)
{
	int rc;

	call->report.count = 0;
	rc = read_each(args, usage, call, read_of_top, err);
	if (!call->top_ms)
		call->top_ms = TOP_DEFAULT_MS;
	return rc;
}

int arguments_read_history(const char *const *args, const char *usage,
			   struct command_call *call, struct err *err)
{
	const char *value;
	uint64_t number = 20;
	int rc = 0;

	for (size_t i = 0; args[i] && !rc; i++) {
		if ((value = value_of(args, &i, "-n")))
			rc = quantity_number(value, "-n", 2, 200, &number, err);
		else
			rc = read_context(args[i], usage, call, err);
	}
	call->report.count = (unsigned)number;
	return rc;
}

int arguments_read_mark(const char *const *args, const char *usage, struct command_call *call,
			struct err *err)
{
	if (!args[0])
		return 0;
	if (args[1])
		return too_much(usage, args[1], err);
	if (args[0][0] == '-')
		return err_set(err, -EINVAL, "a mark's name can't begin with '-'");
	return read_name(args[0], call->mark[0], err);
}

static int read_of_diff(const char *const *args, size_t *i, const char *usage,
			struct command_call *call, struct err *err)
{
	const char *word = args[*i];

	if (!strcmp(word, "--all")) {
		call->report.all = true;
		return 0;
	}
	if (word[0] == '-')
		return unknown_option(word, usage, err);
	if (call->marks == ARRAY_SIZE(call->mark))
		return too_much(usage, word, err);
	return read_name(word, call->mark[call->marks++], err);
}

int arguments_read_diff(const char *const *args, const char *usage, struct command_call *call,
			struct err *err)
{
	return read_each(args, usage, call, read_of_diff, err);
}

int arguments_read_leaks(const char *const *args, const char *usage, struct command_call *call,
			 struct err *err)
{
	const char *value;
	uint64_t number;
	int rc = 0;

	for (size_t i = 0; args[i] && !rc; i++) {
		if (!strcmp(args[i], "--json")) {
			call->report.format = REPORT_JSON;
		} else if ((value = value_of(args, &i, "--confirm"))) {
			rc = quantity_time(value, "--confirm", 1, &call->confirm_ms, err);
		} else if ((value = value_of(args, &i, "-n"))) {
			rc = quantity_number(value, "-n", 0, UINT_MAX, &number, err);
			call->report.count = rc ? call->report.count : (unsigned)number;
		} else {
			rc = too_much(usage, args[i], err);
		}
	}
	return rc;
}

int arguments_read_heap(const char *const *args, const char *usage, struct command_call *call,
			struct err *err)
{
	const char *value;
	uint64_t number;
	int rc = 0;

	for (size_t i = 0; args[i] && !rc; i++) {
		if (!(value = value_of(args, &i, "-n")))
			return too_much(usage, args[i], err);
		rc = quantity_number(value, "-n", 0, UINT_MAX, &number, err);
		call->report.count = rc ? call->report.count : (unsigned)number;
	}
	return rc;
}

int arguments_read_process(const char *const *args, const char *usage, struct command_call *call,
			   struct err *err)
{
	uint64_t pid = 0;
	int rc = 0;

	if (!args[0])
		return err_set(err, -EINVAL, "usage: %s", usage);
	if (args[1])
		return too_much(usage, args[1], err);
	if (strcmp(args[0], "all"))
		rc = quantity_number(args[0], "process", 1, INT_MAX, &pid, err);
	call->process = (pid_t)pid;
	return rc;
}

int arguments_read_address(const char *const *args, const char *usage,
			   struct command_call *call, struct err *err)
{
	char *end;

	if (!args[0])
		return err_set(err, -EINVAL, "usage: %s", usage);
	if (args[1])
		return too_much(usage, args[1], err);
	if (args[0][0] == '#' && call->id == COMMAND_WHY)
		return read_context(args[0], usage, call, err);
	errno = 0;
	call->address = strtoull(args[0], &end, 16);
	if (errno || *end || end == args[0] || !call->address || args[0][0] == '-')
		return err_set(err, -EINVAL, "'%.40s' is not an address such as 0x55d0c0ffee10",
			       args[0]);
	return 0;
}
