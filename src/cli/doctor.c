/*
 * --doctor: the findings of tracer/doctor.h, those about the program's modules and about
 * memtrace-fs added, one a line:
 *
 *     ok    tracer        nobody traces it
 *     FAIL  ptrace_scope  only a parent may attach (kernel.yama.ptrace_scope = 1)
 *                         -> sudo memtrace -p 4711, or sudo sysctl ...
 *
 * Modules are looked at with what an attach uses, up to where it would begin to change
 * the process.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "capture/lacking.h"
#include "capture/resident.h"
#include "capture/traps.h"
#include "capture/walker.h"
#include "cli/server_link.h"
#include "hook/entries.h"
#include "report/utf8.h"
#include "tracer/doctor.h"
#include "tracer/status.h"

/* ---- what is mapped ------------------------------------------------------ */

struct inside { /* the process, as an attach would see it */
	struct tracee tracee;
	struct maps maps;
	struct modules modules;
	struct hooks hooks;
	struct traps traps;
	struct doctor_findings *findings;
};

static void no_step(void *arg, const char *format, ...)
{
	(void)arg;
	(void)format;
}

static void __attribute__((format(printf, 4, 5)))
miss(void *arg, const struct module *module, const char *function, const char *format, ...)
{
	struct inside *inside = arg;
	char reason[sizeof(((struct finding *)0)->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	findings_add(inside->findings, "allocator", FINDING_WARN, 0, "not followed: %s%s%s: %s",
		     function ? function : "", function ? " in " : "", module->id.path, reason);
}

/* The module that tells debuggers of others: its malloc is for its own first moments. */
static uint32_t find_loader(const struct modules *modules, const struct arch *arch)
{
	struct image_symbol symbol;

	for (size_t i = 0; i < modules->mapped.len; i++)
		if (entries_are_of(modules->mapped.at[i], arch) &&
		    image_symbol_find(modules->mapped.at[i]->image, "_dl_debug_state", &symbol))
			return modules->mapped.at[i]->instance;
	return 0;
}

/* "malloc and 9 others in libc.so.6": of the i-th module; false: it has none. */
static bool describe_hooks(const struct inside *inside, const struct module *module)
{
	const struct hooks *hooks = &inside->hooks;
	const char *first = NULL;
	size_t count = 0;

	for (size_t i = 0; i < hooks->list.len; i++) {
		/* The calls behind CALL_FREE are watched too, but allocate nothing. */
		if (hooks->list.at[i].instance != module->instance ||
		    !function_is_allocators(hooks->list.at[i].function))
			continue;
		first = first ? first : hooks->list.at[i].function->name;
		count++;
	}
	if (count == 1)
		findings_add(inside->findings, "allocator", FINDING_OK, 0, "%s in %s", first,
			     module->id.path);
	else if (count)
		findings_add(inside->findings, "allocator", FINDING_OK, 0,
			     "%s and %zu other functions in %s", first, count - 1,
			     module->id.path);
	return count != 0;
}

static void judge_allocator(struct inside *inside)
{
	size_t planned;
	struct err err;
	bool found = false;

	inside->traps = (struct traps){.hooks = &inside->hooks, .signo = SIGURG};
	inside->hooks.payload = traps_payload(&inside->traps);
	inside->hooks.notes = (struct hook_notes){no_step, miss, inside};
	inside->hooks.loader = find_loader(&inside->modules, inside->tracee.arch);
	if (hooks_plan(&inside->hooks, HOOK_ALL, &planned, &err)) {
		findings_add(inside->findings, "allocator", FINDING_FAIL, err.code, "%s",
			     err.text);
		return;
	}
	for (size_t i = 0; i < inside->modules.mapped.len; i++)
		found |= describe_hooks(inside, inside->modules.mapped.at[i]);
	if (!found)
		finding_remedy(findings_add(inside->findings, "allocator", FINDING_FAIL,
					    -ENOENT,
					    "no allocator found in pid %d: no module has a "
					    "symbol malloc that can be followed",
					    inside->tracee.pid),
			       "a static program must not be stripped, or --debug-dir=DIR or a "
			       "memtrace-fs must have its unstripped file");
}

static void judge_files(struct inside *inside)
{
	for (size_t i = 0; i < inside->modules.mapped.len; i++) {
		const struct module *module = inside->modules.mapped.at[i];

		if (!module->image || module->silent)
			findings_add(inside->findings, "module", FINDING_WARN, 0, "%s: %s",
				     module->id.path, module->why);
	}
}

/* One line for all modules without; the first few are named. */
static void judge_unwind(struct inside *inside)
{
	enum { NAMED = 4 };
	char names[160] = "";
	size_t without = 0, count = inside->modules.mapped.len;

	for (size_t i = 0; i < count; i++) {
		struct module *module = inside->modules.mapped.at[i];
		const struct module_unwind *unwind;

		if (!module->image)
			continue;
		unwind = module_unwind_of(module, inside->tracee.arch);
		if ((unwind && strcmp(unwind->from, "none")) ||
		    externals_find(inside->hooks.process.externals, module))
			continue;
		if (without++ < NAMED)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				 names[0] ? ", " : "", text_base_name(module->id.path));
	}
	if (!without)
		findings_add(inside->findings, "unwind", FINDING_OK, 0,
			     "all %zu modules have unwind data", count);
	else
		finding_remedy(findings_add(inside->findings, "unwind", FINDING_WARN, 0,
					    "no unwind data in %s%s: call stacks are guessed "
					    "or end there",
					    names, without > NAMED ? ", ..." : ""),
			       "compile with -fasynchronous-unwind-tables");
}

static void look_inside(pid_t pid, struct externals *externals, struct doctor_findings *findings)
{
	struct inside inside = {.findings = findings};
	struct err err = {0};
	pid_t alive;
	int rc;

	inside.tracee.pid = pid;
	inside.tracee.arch = arch_native();
	inside.hooks.process = (struct hook_process){.tracee = &inside.tracee,
						     .modules = &inside.modules,
						     .maps = &inside.maps,
						     .externals = externals};
	modules_init(&inside.modules, module_unwind_forget);
	alive = tracee_alive(&inside.tracee);
	rc = target_open(&inside.tracee.target, alive, &err);
	inside.tracee.target.far = &inside.modules.far;
	if (!rc)
		rc = maps_read(alive, &inside.maps, &err);
	if (!rc)
		rc = modules_update(&inside.modules, alive, &inside.maps,
				    &inside.tracee.target.memory, NULL, &err);
	if (rc) {
		findings_add(findings, "module", FINDING_FAIL, rc, "%s", err.text);
	} else {
		judge_files(&inside);
		judge_allocator(&inside);
		judge_unwind(&inside);
	}
	hooks_deinit(&inside.hooks);
	modules_deinit(&inside.modules);
	maps_deinit(&inside.maps);
	target_close(&inside.tracee.target);
}

/* ---- memtrace-fs ----------------------------------------------------------- */

struct help { /* what memtrace-fs gives to an attach */
	struct output output;
	struct server_link link;
	struct lacking *lacking;
	struct externals externals;
	struct err err; /* why there is no server; code 0: there is one */
};

static void help_open(struct help *help, const struct options *options)
{
	const struct resolver_module *program = NULL;

	output_init(&help->output, stdout, true);
	server_link_init(&help->link, options, &help->output);
	if (options->no_symbols)
		return;
	if (options->pid && lacking_create(&help->lacking, NULL) == 0) {
		lacking_process(help->lacking, options->pid);
		program = lacking_main(help->lacking);
	}
	if (server_link_connect(&help->link, program, true, &help->err))
		return;
	if (help->lacking)
		lacking_ask(help->lacking, help->link.resolver, NULL, &help->externals);
}

static void help_close(struct help *help)
{
	externals_deinit(&help->externals);
	lacking_destroy(help->lacking);
	server_link_deinit(&help->link);
}

static void judge_help(const struct help *help, struct doctor_findings *findings)
{
	if (!help->err.code)
		findings_add(findings, "memtrace-fs", FINDING_OK, 0,
			     "it answers: reports have function names, files and lines");
	else
		finding_remedy(findings_add(findings, "memtrace-fs", FINDING_WARN, 0,
					    "%s: names are those of dynamic symbols only",
					    help->err.text),
			       "put memtrace-fs beside memtrace, or into a folder of PATH");
}

static void judge_agent(pid_t pid, struct doctor_findings *findings)
{
	struct err err;

	if (resident_doubt(status_alive(pid), arch_native(), false, &err))
		findings_add(findings, "engine", FINDING_OK, 0, "trap, every call stops: no agent, as %s",
			     err.text);
	else
		findings_add(findings, "engine", FINDING_OK, 0,
			     "agent, in the process: calls that are known don't stop");
}

/* ---- saying it ---------------------------------------------------------------- */

static void print(const struct doctor_findings *findings)
{
	static const char *const words[] = {
		[FINDING_OK] = "ok", [FINDING_WARN] = "warn", [FINDING_FAIL] = "FAIL"};
	enum { COLUMN = 12 };

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = &findings->at[i];

		/* The names of programs and files in it are not ours: utf8.h. */
		printf("%-4s  %-*s  ", words[f->verdict], COLUMN, f->id);
		utf8_print(stdout, f->text);
		if (f->remedy[0]) {
			printf("\n%*s-> ", 4 + 2 + COLUMN + 2, "");
			utf8_print(stdout, f->remedy);
		}
		putchar('\n');
	}
}

int doctor_run(const struct options *options)
{
	struct doctor_findings findings = {.count = 0};
	struct doctor_facts facts;
	struct help help = {.lacking = NULL};
	bool works;

	doctor_look("", options->pid, &facts);
	doctor_judge(&facts, DOCTOR_ALL, &findings);
	help_open(&help, options);
	if (options->pid && !findings_failed(&findings))
		look_inside(options->pid, &help.externals, &findings);
	if (options->pid && !findings_failed(&findings))
		judge_agent(options->pid, &findings);
	if (!options->no_symbols)
		judge_help(&help, &findings);
	help_close(&help);
	print(&findings);
	works = !findings_failed(&findings);
	if (options->pid)
		printf("memtrace %s attach to pid %d\n", works ? "can" : "cannot",
		       options->pid);
	else
		printf("memtrace %s attach to running processes\n", works ? "can" : "cannot");
	return fflush(stdout) || !works;
}
