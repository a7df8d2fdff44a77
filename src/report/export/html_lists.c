/* What is mapped and who allocates, as tables. */
#include <inttypes.h>

#include "report/export/html_parts.h"
#include "report/export/html_text.h"

static void write_module(const struct exports *exports, uint32_t instance, FILE *out)
{
	const struct snapshot_module *m = &exports->snapshot->modules[instance - 1];
	char id[MODULE_ID_HEX];

	fputs("<tr>", out);
	html_cell_text(out, m->id.path);
	fputs(m->deleted ? " (deleted)" : "", out);
	fputs(m->mapped ? "" : " (unloaded)", out);
	html_cell_text(out, m->id.build_id_len ? report_build_id(m, id) : "none");
	fprintf(out, "<td>" TADDR_FORMAT "-" TADDR_FORMAT, m->begin, m->end);
	html_cell_text(out, m->unwind_from[0] ? m->unwind_from : "no stack led there");
	html_cell_text(out, names_source(exports->names, instance));
	html_cell_text(out, m->why);
	putc('\n', out);
}

void html_modules(const struct exports *exports, FILE *out)
{
	fputs("<section id=\"modules\"><h2>Modules</h2>\n<table class=\"sortable\"><thead><tr>"
	      "<th>File<th>Build-id<th>Addresses<th>Unwind data<th>Names from<th>Remark\n"
	      "<tbody>\n",
	      out);
	for (uint32_t i = 1; i <= exports->snapshot->module_count; i++)
		write_module(exports, i, out);
	fputs("</table></section>\n", out);
}

void html_marks(const struct marks *marks, FILE *out)
{
	if (!marks || !marks->count)
		return;
	fputs("<h2>Marks</h2>\n<table><thead><tr><th>Name<th>At<th>In use<th>Blocks\n<tbody>\n",
	      out);
	for (size_t i = 0; i < marks->count; i++) {
		const struct mark *m = &marks->at[i];

		fputs("<tr>", out);
		html_cell_text(out, m->name);
		fputs("<td>", out);
		html_time(out, &m->taken);
		html_cell_size(out, m->total.allocated_bytes - m->total.freed_bytes);
		html_cell_count(out, m->total.allocs - m->total.frees);
		putc('\n', out);
	}
	fputs("</table>\n", out);
}

void html_threads(const struct snapshot *s, FILE *out)
{
	fputs("<section id=\"threads\"><h2>Threads</h2>\n", out);
	if (!s->thread_count) {
		fputs("<p>None: the process had ended, or the capture has none.</p></section>\n",
		      out);
		return;
	}
	fputs("<table class=\"sortable\"><thead><tr><th>Thread<th>Name<th>State<th>Allocations<th>Frees\n<tbody>\n",
	      out);
	for (size_t i = 0; i < s->thread_count; i++) {
		const struct snapshot_thread *t = &s->threads[i];

		fprintf(out, "<tr><td data-v=\"%d\">%d", t->tid, t->tid);
		html_cell_text(out, t->name);
		html_cell_text(out, t->state);
		html_cell_count(out, t->allocs);
		html_cell_count(out, t->frees);
		putc('\n', out);
	}
	fputs("</table></section>\n", out);
}
