/*
 * The console's commands.  What is behind the first > or | is for the file system or the
 * shell.  The line before it is cut into words at blanks (nothing needs
 * quotes: the arguments are numbers and names), the first finds its row in the
 * table, the row's function (arguments.c) reads the rest.
 */
#include "cli/commands.h"

#include <errno.h>
#include <string.h>

#include "cli/arguments.h"

enum { MAX_WORDS = 16, MAX_LINE = COMMANDS_MAX_LINE };

struct words {
	const char *at[MAX_WORDS + 1]; /* NULL-terminated */
	char text[MAX_LINE];
};

struct command_row {
	enum command_id id;
	const char *name, *usage, *help;
	bool answers;		  /* so that the answer can go elsewhere */
	const char *const *takes; /* for completion, NULL-terminated; NULL: nothing */
	arguments_reader *read;
};

static arguments_reader read_help;

static const char *const report_takes[] = {"-n",    "--sort", "--all",	 "--json", "--in",
					   "--not", "--by",   "--since", "--min-age", NULL};
static const char *const tree_takes[] = {"-n", "--callers", "--in", "--not", "--min-age", NULL};
static const char *const history_takes[] = {"-n", NULL};
static const char *const top_takes[] = {"-n", "--sort", "--in", "--not", "--min-age", NULL};
static const char *const diff_takes[] = {"-n", "--all", "--in", "--not", "--min-age", NULL};
static const char *const leaks_takes[] = {"-n", "--json", "--confirm", NULL};
static const char *const heap_takes[] = {"-n", NULL};
static const char *const process_takes[] = {"all", NULL};
static const char *const monitor_takes[] = {"stop", NULL};

static const struct command_row table[] = {
	{COMMAND_HELP, "help", "help [COMMAND]", "what the commands are, or one of them", true,
	 NULL, read_help},
	{COMMAND_STATUS, "status", "status", "what is in use, and the totals", true, NULL,
	 arguments_read_none},
	{COMMAND_REPORT, "report", "report [OPTION]... [CONTEXT]",
	 "call stacks with blocks in use, worst first; or one whole, by its id\n"
	 "    -n N        as many of them (0: all)\n"
	 "    --sort KEY  in the order of KEY: verdict (default), bytes (in use),\n"
	 "                blocks (in use), growth (an hour), rate (of allocations),\n"
	 "                age (who has not allocated for the longest), or\n"
	 "                allocs (how often it allocated, freed since or not)\n"
	 "    --all       also those with nothing in use any more\n"
	 "    --json      as JSON\n"
	 "    --in NAME   only through this function, file or module (a pattern: * ?)\n"
	 "    --not NAME  not through it\n"
	 "    --min-age TIME  only with blocks in use for TIME or longer\n"
	 "    --by WHO    sums by who allocated: function, file, module, or thread (by\n"
	 "                what it runs)\n"
	 "    --since A   what changed since mark A, as 'diff A'\n"
	 "    CONTEXT     the number behind # in a report: this one, with all its frames",
	 true, report_takes, arguments_read_report},
	{COMMAND_TREE, "tree",
	 "tree [-n N] [--callers] [--in NAME] [--not NAME] [--min-age TIME] [NAME]",
	 "what is in use, by call stacks merged from the outermost function on\n"
	 "    -n N       as many lines\n"
	 "    --callers  from who allocated, up to who called it\n"
	 "    NAME       from this function, file or module on\n"
	 "    --in, --not, --min-age  as of report",
	 true, tree_takes, arguments_read_tree},
	{COMMAND_SAVE, "save", "save FILE",
	 "write a snapshot: every call stack, for memtrace-fs --report FILE\n"
	 "    with the names that are known here; more are found where debug files are",
	 false, NULL, arguments_read_save},
	{COMMAND_EXPORT, "export", "export FORMAT FILE",
	 "write every call stack in a FORMAT, for another program\n"
	 "    FORMAT  text, json, snapshot, or of a viewer: folded, pprof, speedscope,\n"
	 "            heaptrack, dhat, massif, gperftools; html is a page for a browser",
	 false, report_formats, arguments_read_export},
	{COMMAND_MONITOR, "monitor", "monitor [SECONDS|stop]",
	 "status every SECONDS (default 3); again, or 'monitor stop', ends it", false,
	 monitor_takes, arguments_read_monitor},
	{COMMAND_CLEAR, "clear", "clear",
	 "start the statistics anew; says what it drops, which no report has any more\n"
	 "    (the marks are dropped, too)",
	 false, NULL, arguments_read_none},
	{COMMAND_MODULES, "modules", "modules",
	 "what is mapped, and where names and unwind data came from", true, NULL,
	 arguments_read_none},
	{COMMAND_THREADS, "threads", "threads", "the threads of the process", true, NULL,
	 arguments_read_none},
	{COMMAND_HISTORY, "history", "history [-n N] [CONTEXT]",
	 "what was in use, allocated and resident from the start until now\n"
	 "    -n N  in N rows (2 to 200; default 20)\n"
	 "    CONTEXT  of this call stack, and what of each generation is in use still",
	 true, history_takes, arguments_read_history},
	{COMMAND_TOP, "top",
	 "top [-n N] [--sort KEY] [--in NAME] [--not NAME] [--min-age TIME] [SECONDS]",
	 "the call stacks that move, in a table that is renewed every SECONDS (default 2)\n"
	 "    the keys g, r and b sort it, q ends it; without a terminal: once, of SECONDS\n"
	 "    -n N        as many of them (default: what the terminal has room for, else 10)\n"
	 "    --sort KEY  growth (since top began; default), rate (of allocations) or\n"
	 "                bytes (in use)\n"
	 "    --in, --not, --min-age  as of report",
	 true, top_takes, arguments_read_top},
	{COMMAND_MARK, "mark", "mark [NAME]",
	 "remember what is in use now, as NAME (else a number), for diff", false, NULL,
	 arguments_read_mark},
	{COMMAND_MARKS, "marks", "marks", "the marks, and what was in use then", true, NULL,
	 arguments_read_none},
	{COMMAND_DIFF, "diff",
	 "diff [-n N] [--all] [--in NAME] [--not NAME] [--min-age TIME] [A [B]]",
	 "call stacks with more in use than at mark A, grown by most bytes first\n"
	 "    A      a mark, or start: when counting began; default: the last mark\n"
	 "    B      a later mark; default: now\n"
	 "    -n N   as many of them (0: all)\n"
	 "    --all  also those with no more in use than before, if they allocated or freed\n"
	 "    --in, --not, --min-age  as of report",
	 true, diff_takes, arguments_read_diff},
	{COMMAND_LEAKS, "leaks", "leaks [-n N] [--json] [--confirm TIME]",
	 "which blocks are lost: nothing in the process leads to them\n"
	 "    -n N            as many call stacks, and kinds of content (0: all)\n"
	 "    --json          as JSON\n"
	 "    --confirm TIME  lost is only what a second look, TIME later, finds lost too\n"
	 "    The process stands still for some milliseconds, which is said before.",
	 true, leaks_takes, arguments_read_leaks},
	{COMMAND_WHY, "why", "why ADDRESS|#ID",
	 "what holds a block, or most blocks of a call stack: a way from a root to it", true,
	 NULL, arguments_read_address},
	{COMMAND_WHO, "who", "who ADDRESS", "every place that points to a block", true, NULL,
	 arguments_read_address},
	{COMMAND_BLOCK, "block", "block ADDRESS", "a block: its size, call stack, content",
	 true, NULL, arguments_read_address},
	{COMMAND_HEAP, "heap", "heap [-n N]",
	 "what the allocator holds: in use, free, and where\n"
	 "    -n N  as many rows of each table (0: all)",
	 true, heap_takes, arguments_read_heap},
	{COMMAND_PROCESSES, "processes", "processes", "the processes that are followed", false,
	 NULL, arguments_read_none},
	{COMMAND_PROCESS, "process", "process PID|all",
	 "of several processes: commands are for this one, or for each", false, process_takes,
	 arguments_read_process},
	{COMMAND_WAIT, "wait", "wait TIME",
	 "do nothing for TIME (500ms, 10s, 5m, 2h), or until Ctrl-C", false, NULL,
	 arguments_read_wait},
	{COMMAND_LEAVE, "leave", "leave",
	 "the same, but the capture goes on in the process, by its agent alone\n"
	 "    'memtrace -p PID' goes on with it, 'memtrace --clear -p PID' ends it",
	 false, NULL, arguments_read_none},
	{COMMAND_QUIT, "quit", "quit", "detach and write the final report", false, NULL,
	 arguments_read_none},
	{COMMAND_QUIT, "detach", "detach", "the same", false, NULL, arguments_read_none},
	{COMMAND_QUIT, "exit", "exit", "the same", false, NULL, arguments_read_none},
};

/* ---- finding --------------------------------------------------------------------- */

/* The row whose name is, or alone begins with, the word; NULL and *err otherwise. */
static const struct command_row *find(const char *word, struct err *err)
{
	const struct command_row *found = NULL;
	size_t len = strlen(word);
	char list[80] = "";

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strncmp(table[i].name, word, len))
			continue;
		if (!table[i].name[len])
			return &table[i];
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 found ? ", " : "", table[i].name);
		found = found ? &table[ARRAY_SIZE(table)] : &table[i];
	}
	if (!found)
		err_set(err, -EINVAL, "unknown command '%.40s'; 'help' lists them", word);
	else if (found == &table[ARRAY_SIZE(table)])
		err_set(err, -EINVAL, "'%.40s' may be: %s", word, list);
	else
		return found;
	return NULL;
}

static int read_help(const char *const *args, const char *usage, struct command_call *call,
		     struct err *err)
{
	const struct command_row *about;

	if (!args[0])
		return 0;
	about = find(args[0], err);
	if (!about)
		return -EINVAL;
	call->about = about->name;
	return arguments_read_none(args + 1, usage, call, err);
}

/* ---- the line ------------------------------------------------------------------------ */

static int split(const char *line, struct words *ret, struct err *err)
{
	size_t count = 0;
	char *rest, *word;

	if (strlen(line) >= sizeof(ret->text))
		return err_set(err, -EINVAL, "the line is too long");
	strcpy(ret->text, line);
	for (word = strtok_r(ret->text, " \t\r\n", &rest); word;
	     word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (count == MAX_WORDS)
			return err_set(err, -EINVAL, "the line has too many words");
		ret->at[count++] = word;
	}
	ret->at[count] = NULL;
	return 0;
}

/* Without the blanks around it. */
static int take_target(const char *text, struct command_call *call, struct err *err)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (len >= sizeof(call->target))
		return err_set(err, -EINVAL, "the line is too long");
	memcpy(call->target, text, len);
	call->target[len] = '\0';
	return len ? 0
		   : err_set(err, -EINVAL, "%s",
			     call->output == COMMAND_TO_FILE	? "no FILE behind >"
			     : call->output == COMMAND_TO_SHELL ? "no COMMAND behind |"
								: "no COMMAND behind !");
}

/* Cuts "> FILE" or "| COMMAND" off the line, a copy. */
static int take_output(char *line, struct command_call *call, struct err *err)
{
	char *at = strpbrk(line, ">|");

	if (!at)
		return 0;
	call->output = *at == '>' ? COMMAND_TO_FILE : COMMAND_TO_SHELL;
	*at = '\0';
	return take_target(at + 1, call, err);
}

static int parse(const char *line, struct command_call *call, struct err *err)
{
	const struct command_row *row;
	struct words words;
	int rc = split(line, &words, err);

	if (rc || (!words.at[0] && !call->output))
		return rc;
	row = words.at[0] ? find(words.at[0], err) : NULL;
	if (!row)
		return words.at[0] ? -EINVAL
				   : err_set(err, -EINVAL, "no command before > or |");
	if (call->output && !row->answers)
		return err_set(err, -EINVAL, "'%s' has no answer that could go elsewhere",
			       row->name);
	call->id = row->id;
	return row->read(words.at + 1, row->usage, call, err);
}

int commands_parse(const char *line, const struct report_options *defaults,
		   struct command_call *ret, struct err *err)
{
	char copy[MAX_LINE];
	int rc;

	*ret = (struct command_call){.report = *defaults};
	line += strspn(line, " \t");
	if (line[0] == '#')
		return 0;
	if (line[0] == '!') {
		ret->id = COMMAND_SHELL;
		return take_target(line + 1, ret, err);
	}
	if (strlen(line) >= sizeof(copy))
		return err_set(err, -EINVAL, "the line is too long");
	strcpy(copy, line);
	rc = take_output(copy, ret, err);
	return rc ? rc : parse(copy, ret, err);
}

void commands_help(const char *about, FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *help = table[i].help;
		/* of all of them the first line each */
		size_t len = about ? strlen(help) : strcspn(help, "\n");

		if (!about || !strcmp(about, table[i].name))
			fprintf(out, "%s\n    %.*s\n", table[i].usage, (int)len, help);
	}
	if (!about)
		fputs("!COMMAND\n"
		      "    run a COMMAND of the shell\n"
		      "\n"
		      "Behind what answers: > FILE, or | COMMAND.  Names may be cut short.  "
		      "The end of\n"
		      "input is 'quit'; Ctrl-C cancels output or a half-typed line, and twice "
		      "at an\n"
		      "empty prompt it is 'quit'.\n",
		      out);
}

/* ---- completion ------------------------------------------------------------------------ */

/* What may be at `start`: words of the command the line begins with. */
static const char *const *takes_at(const char *line, size_t start)
{
	const struct command_row *row;
	struct words words;
	char before[MAX_LINE];
	size_t count = 0;

	if (start >= sizeof(before))
		return NULL;
	memcpy(before, line, start);
	before[start] = '\0';
	if (split(before, &words, NULL) || !words.at[0])
		return NULL;
	row = find(words.at[0], NULL);
	while (words.at[count])
		count++;
	if (row && !strcmp(words.at[count - 1], "--sort"))
		return row->id == COMMAND_REPORT ? snapshot_orders
		       : row->id == COMMAND_TOP	 ? top_keys
						 : row->takes;
	return row ? row->takes : NULL;
}

static bool is_first_word(const char *line, size_t start)
{
	return strspn(line, " \t") >= start;
}

static bool takes_commands(const char *line, size_t start)
{
	size_t blanks = strspn(line, " \t");

	if (is_first_word(line, start))
		return true;
	return !strncmp(line + blanks, "help", 4) &&
	       blanks + 4 + strspn(line + blanks + 4, " \t") >= start;
}

const char *commands_complete(const char *line, size_t start, size_t len, size_t i)
{
	bool names = takes_commands(line, start);
	const char *const *takes = names ? NULL : takes_at(line, start);

	for (size_t k = 0; names ? k < ARRAY_SIZE(table) : takes && takes[k]; k++) {
		const char *word = names ? table[k].name : takes[k];

		if (!strncmp(word, line + start, len) && i-- == 0)
			return word;
	}
	return NULL;
}
