/*
 * What a verdict rests on, in a line: numbers, and never more certain than they are.
 */
#include <inttypes.h>

#include "report/evidence.h"
#include "report/print.h"
#include "report/utf8.h"

enum { MAX_DAYS = 3650 }; /* farther nobody looks */

static void print_bytes(FILE *out, double bytes)
{
	bool less = bytes < 0;
	uint64_t size = (uint64_t)(less ? -bytes : bytes);

	if (less && size)
		putc('-', out);
	if (!print_size(out, size))
		print_count(out, size, "byte");
}

static void print_rate(FILE *out, const struct verdict *v)
{
	print_bytes(out, v->per_hour);
	fputs(" an hour (", out);
	print_bytes(out, v->lowest);
	fputs(" to ", out);
	print_bytes(out, v->highest);
	putc(')', out);
	if (v->seconds < VERDICT_MIN_SECONDS)
		fprintf(out, ", if it goes on as in these %.0f s", v->seconds);
}

/* "; 512.0 MiB limit in 11 days" */
static void print_limit(FILE *out, const struct verdict *v)
{
	double hours = v->per_hour > 0 ? (double)v->left / v->per_hour : 0;

	if (!v->limit || v->per_hour <= 0 || hours > MAX_DAYS * 24)
		return;
	fputs("; ", out);
	print_bytes(out, (double)v->limit);
	fputs(" limit in ", out);
	if (hours >= 48)
		fprintf(out, "%.0f days", hours / 24);
	else if (hours >= 2)
		fprintf(out, "%.0f hours", hours);
	else
		fprintf(out, "%.0f min", hours * 60);
}

static void print_leak(FILE *out, const struct verdict *v)
{
	if (v->contexts) {
		print_count(out, v->contexts, "call stack");
	} else if (v->scanned) {
		print_count(out, v->alive, "block");
		fprintf(out, " (%" PRIu64 " bytes) lost: nothing in reach leads to %s", v->grown,
			v->alive == 1 ? "it" : "them");
	} else {
		fprintf(out, "%" PRIu32 " of %" PRIu32 " generations kept ", v->kept,
			v->generations);
		print_percent(out, v->alive, v->born);
		fputs(" of their blocks", out);
	}
	if (v->per_hour > 0) {
		fputs(v->contexts ? ", " : "; ", out);
		print_rate(out, v);
	}
}

static void print_growth(FILE *out, const struct verdict *v)
{
	if (v->contexts) {
		print_count(out, v->contexts, "call stack");
		fputs(", ", out);
	}
	print_rate(out, v);
	if (v->scanned)
		fputs("; it is held, not lost", out);
}

static void print_too_early(FILE *out, const struct verdict *v)
{
	if (v->step) {
		print_bytes(out, (double)v->step);
		fputs(" of the growth came in one step", out);
	} else if (v->generations) {
		fputs("only ", out);
		print_count(out, v->generations, "generation");
		fputs(", of ", out);
		print_count(out, v->born, "block");
		fputs("; 8 are needed", out);
	} else if (v->seconds < VERDICT_MIN_SECONDS) {
		fprintf(out, "%.0f s are too short to tell; %d are needed", v->seconds,
			VERDICT_MIN_SECONDS);
	} else {
		fputs("too few samples to tell", out);
	}
}

static void print_cache(FILE *out, const struct verdict *v)
{
	if (v->age > 0)
		fprintf(out, "hardly a block is older than %.0f s", v->age);
	else
		fputs("blocks stay long, but fewer of each generation the older it is", out);
}

void evidence_print(FILE *out, const struct verdict *v)
{
	if (v->said) {
		utf8_print(out, v->said);
		return;
	}
	switch (v->word) {
	case VERDICT_TOO_EARLY:
	case VERDICT_WORDS:
		print_too_early(out, v);
		break;
	case VERDICT_STEADY:
		fputs("what is in use does not grow", out);
		break;
	case VERDICT_CACHE:
		print_cache(out, v);
		break;
	case VERDICT_LEVELLING_OFF:
		fputs("what is in use grew by ", out);
		print_bytes(out, (double)v->grown);
		fputs(", and hardly any more", out);
		break;
	case VERDICT_FRAGMENTATION:
		fputs("RSS grew by ", out);
		print_bytes(out, (double)v->grown);
		fputs(", and what is in use did not; `heap` shows what the allocator keeps",
		      out);
		break;
	case VERDICT_GROWS:
		print_growth(out, v);
		print_limit(out, v);
		break;
	case VERDICT_LEAKS:
		print_leak(out, v);
		print_limit(out, v);
		break;
	}
}
