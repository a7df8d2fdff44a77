/* Each file is reported on as if it were the only one, and then all are one document. */
#include "serve/offline_each.h"

#include <errno.h>
#include <stdlib.h>

#include "report/export/viewers.h"
#include "report/processes.h"
#include "report/report.h"

struct each {
	struct offline_result result;
	char *text;
	size_t len;
};

static int report_one(const struct serve_options *options, const char *path,
		      void (*remark)(const char *text), struct each *ret, struct err *err)
{
	FILE *out = open_memstream(&ret->text, &ret->len);
	struct serve_options one = *options;
	int e;

	if (!out)
		return err_set(err, -ENOMEM, "no memory");
	one.report = path;
	one.between.len = 0;
	e = offline_report(&one, remark, out, &ret->result, err);
	return fclose(out) && !e ? err_set(err, -ENOMEM, "no memory") : e;
}

static void write_all(const struct serve_options *options, const struct process_report *reports,
		      size_t count, FILE *out)
{
	if (options->format == REPORT_JSON) {
		processes_json(reports, count, out);
	} else if (options->format == REPORT_HTML) {
		html_pages(reports, count, out);
	} else {
		processes_text(reports, count, 0, out);
		processes_sums(reports, count, out);
	}
}

static int report_all(const struct serve_options *options, void (*remark)(const char *text),
		      struct each *each, struct process_report *reports, size_t count,
		      unsigned *failed, struct err *err)
{
	struct err why;
	int e = 0, incomplete = 0;

	for (size_t i = 0; i < count && !e; i++) {
		const char *path = i ? options->between.at[i - 1] : options->report;
		const struct offline_result *result = &each[i].result;

		e = report_one(options, path, remark, &each[i], &why);
		if (e)
			*err = why;
		if (e == -EPIPE) { /* it is there, but for names */
			incomplete = e;
			e = 0;
		}
		*failed += result->failed;
		reports[i] = (struct process_report){result->pid,    result->name, result->bytes,
						     result->blocks, false, each[i].text, each[i].len};
	}
	return e ? e : incomplete;
}

static int print_each(const struct serve_options *options, void (*remark)(const char *text),
		      FILE *out, unsigned *failed, struct err *err)
{
	size_t count = options->between.len + 1;
	struct process_report *reports = calloc(count, sizeof(*reports));
	struct each *each = calloc(count, sizeof(*each));
	int e = reports && each ? report_all(options, remark, each, reports, count, failed, err)
				: err_set(err, -ENOMEM, "no memory");

	if (!e || e == -EPIPE) {
		write_all(options, reports, count, out);
		e = fflush(out) ? err_sys(err, -errno, "writing") : e;
	}
	for (size_t i = 0; each && i < count; i++)
		free(each[i].text);
	free(each);
	free(reports);
	return e;
}

int offline_all(const struct serve_options *options, void (*remark)(const char *text), FILE *out,
		unsigned *failed, struct err *err)
{
	struct serve_options text = *options;
	struct offline_result result;
	int e;

	*failed = 0;
	if (!options->each) {
		e = offline_report(options, remark, out, &result, err);
		*failed = result.failed;
		return e;
	}
	if (text.format == ITS_FORMAT)
		text.format = REPORT_TEXT;
	return print_each(&text, remark, out, failed, err);
}
