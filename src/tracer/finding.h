/* Findings of --doctor, in words: also what a refused attach says (attach.h). */
#ifndef MEMTRACE_FINDING_H
#define MEMTRACE_FINDING_H

#include <stddef.h>

#include "base/err.h"

enum finding_level { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct finding {
	const char *id; /* "tracer", "ptrace_scope", ...: stable */
	enum finding_level verdict;
	int code; /* FINDING_FAIL: -errno */
	char text[256];
	char remedy[384]; /* a command, or what to do; "" when nothing is to be mended */
};

enum { FINDINGS_MAX = 32 };

struct doctor_findings {
	struct finding at[FINDINGS_MAX];
	size_t count;
};

/* Adds one; what is beyond FINDINGS_MAX is dropped.  `code` is for FINDING_FAIL. */
struct finding *findings_add(struct doctor_findings *findings, const char *id,
			     enum finding_level verdict, int code, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void finding_remedy(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The first that failed, or NULL. */
const struct finding *findings_failed(const struct doctor_findings *findings);
/* "text: remedy" into err.  Returns the finding's code. */
int finding_err(const struct finding *finding, struct err *err);

#endif
