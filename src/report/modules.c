/*
 * The console's `modules`:
 *
 *     0x7f1c2a000000-0x7f1c2a1d0000 /lib/x86_64-linux-gnu/libc.so.6
 *         build-id 8a3f..., unwind data from .eh_frame
 *         names: its own .symtab
 */
#include <errno.h>
#include <inttypes.h>

#include "report/job.h"
#include "report/utf8.h"

static void print_words(FILE *out, const char *before, const char *words)
{
	if (!words || !*words)
		return;
	fputs(before, out);
	utf8_print(out, words);
}

static void print_origin(FILE *out, const struct snapshot_module *m, const char *names,
			 const char *remark)
{
	char id[MODULE_ID_HEX];

	if (m->id.build_id_len)
		fprintf(out, "    build-id %s", report_build_id(m, id));
	else
		fputs("    no build-id", out);
	if (m->unwind_from[0])
		print_words(out, ", unwind data from ", m->unwind_from);
	else
		fputs(", no stack led there", out);
	print_words(out, "\n    names: ", names);
	print_words(out, "\n    not used: ", remark);
	print_words(out, "\n    ", m->why);
	putc('\n', out);
}

int report_modules(const struct snapshot *snapshot, struct resolver *resolver, FILE *out)
{
	errno = 0;
	for (size_t i = 0; i < snapshot->module_count && !ferror(out); i++) {
		const struct snapshot_module *m = &snapshot->modules[i];
		uint32_t instance = (uint32_t)i + 1;

		fprintf(out, TADDR_FORMAT "-" TADDR_FORMAT " ", m->begin, m->end);
		utf8_print(out, m->id.path ? m->id.path : "");
		fprintf(out, "%s%s\n", m->deleted ? " (deleted)" : "",
			m->mapped ? "" : " (unloaded)");
		print_origin(out, m, resolver ? resolver_source(resolver, instance) : NULL,
			     resolver ? resolver_remark(resolver, instance) : NULL);
	}
	return ferror(out) ? (errno ? -errno : -EIO) : 0;
}
