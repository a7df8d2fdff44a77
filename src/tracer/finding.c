/* Findings, and the first that failed: what an attach is refused with. */
#include "tracer/finding.h"

#include <stdarg.h>
#include <stdio.h>

struct finding *findings_add(struct doctor_findings *findings, const char *id,
			     enum finding_level verdict, int code, const char *format, ...)
{
	size_t last = findings->count < FINDINGS_MAX ? findings->count++ : FINDINGS_MAX - 1;
	struct finding *finding = &findings->at[last];
	va_list args;

	*finding = (struct finding){.id = id, .verdict = verdict};
	finding->code = verdict == FINDING_FAIL ? code : 0;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	return finding;
}

void finding_remedy(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->remedy, sizeof(finding->remedy), format, args);
	va_end(args);
}

const struct finding *findings_failed(const struct doctor_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->at[i].verdict == FINDING_FAIL)
			return &findings->at[i];
	return NULL;
}

int finding_err(const struct finding *finding, struct err *err)
{
	return err_set(err, finding->code, "%s%s%s", finding->text,
		       finding->remedy[0] ? ": " : "", finding->remedy);
}
