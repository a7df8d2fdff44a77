/*
 * Expectations: what of a capture may not be, for who runs tests.
 *
 *     used>1M               more than that many bytes in use (without a limit: any)
 *     blocks>100            more than that many blocks
 *     growth>64K            more bytes an hour than before, in the same capture
 *     verdict=grows         the verdict of the process is this (without a word: leaks)
 *     context:used>4K       the same, of any one call stack
 *
 * Growth without an earlier capture is what verdicts say.  Where there is one, only what is new or has grown since counts; what is
 * suppressed never does.
 */
#ifndef MEMTRACE_EXPECT_H
#define MEMTRACE_EXPECT_H

#include "heap/marks.h"
#include "report/suppress.h"

struct expectation {
	const char *text; /* the caller's */
	bool of_context;
	unsigned what;
	uint64_t limit;
	unsigned word; /* enum verdict_word */
};

/* -EINVAL, with what there is. */
int expect_parse(const char *text, struct expectation *ret, struct err *err) MUST_CHECK;

struct expect_capture {
	const struct snapshot *snapshot;
	const struct names *names; /* of all frames */
	const struct diff *diff;   /* to an earlier one, or NULL */
	struct suppressions *suppressions;
	/* Hears in one sentence each what is not met, what is suppressed, and which patterns
	 * are of no use. */
	void (*say)(void *arg, const char *sentence);
	void *say_arg;
};

/* A call stack that counts, and what of it does. */
struct expect_context {
	uint32_t id;
	uint64_t bytes, blocks;
	double per_hour; /* bytes, where it is judged to grow */
	unsigned word;	 /* enum verdict_word; VERDICT_WORDS: none */
};

struct expect_result {
	const struct expectation *expectation;
	bool met;
	uint64_t value;	  /* of the process, or of the call stack that has most */
	uint32_t context; /* that one; 0: there is none */
};

struct expect_results {
	struct expect_result *at; /* one for each, in their order */
	size_t count;
	unsigned failed; /* not met */
	double seconds;	 /* between the two captures; 0: growth has no rate */
	VEC(struct expect_context) contexts;
};

/* -EINVAL: growth of what can't have any; -ENOMEM.  The results hold the expectations. */
int expect_evaluate(const struct expect_capture *capture, const struct expectation *expectations,
		    size_t count, struct expect_results *ret, struct err *err) MUST_CHECK;
void expect_results_deinit(struct expect_results *results); /* leaves it empty */

/* What a call stack has of what is expected, to be compared with the limit; and what it is:
 * "bytes", "block", "bytes an hour". */
uint64_t expect_amount(const struct expect_results *results, const struct expectation *e,
		      const struct expect_context *context);
const char *expect_unit(const struct expectation *e, uint64_t amount);

/* The kinds of expectations, and what of each is not met, as "context:used"; NULL: no more. */
const char *expect_kind(unsigned i);
const char *expect_kind_text(unsigned i);
/* Which of them one is. */
unsigned expect_kind_of(const struct expectation *e);

#endif
