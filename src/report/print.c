/*
 * What is rounded is rounded down: "100%" is all, "1.0 GiB" no less than that.  Exact numbers
 * stand beside it.
 */
#include "report/print.h"

#include <inttypes.h>
#include <string.h>

#include "report/utf8.h"

enum { COLUMNS = 80 };

void print_count(FILE *out, uint64_t count, const char *what)
{
	fprintf(out, "%" PRIu64 " %s%s", count, what, count == 1 ? "" : "s");
}

bool print_size(FILE *out, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	uint64_t unit = 1024;
	size_t i = 0;

	if (bytes < unit)
		return false;
	for (; bytes / unit >= 1024; i++)
		unit *= 1024;
	fprintf(out, "%" PRIu64 ".%" PRIu64 " %ciB", bytes / unit,
		bytes % unit / (unit / 1024) * 10 / 1024, units[i]);
	return true;
}

void print_size_beside(FILE *out, uint64_t bytes)
{
	if (bytes < 1024)
		return;
	fputs(" (", out);
	print_size(out, bytes);
	putc(')', out);
}

void print_percent(FILE *out, uint64_t part, uint64_t whole)
{
	/* in tenths; what is lost of huge numbers is far below that */
	uint64_t tenths = !whole		      ? 0
			  : whole > UINT64_MAX / 1000 ? part / (whole / 1000)
						      : part * 1000 / whole;

	if (!tenths && part && whole)
		fputs("less than 0.1%", out);
	else if (tenths >= 1000 && part < whole)
		fputs("99.9%", out);
	else if (tenths < 100 || (tenths > 990 && tenths < 1000))
		fprintf(out, "%" PRIu64 ".%" PRIu64 "%%", tenths / 10, tenths % 10);
	else
		fprintf(out, "%" PRIu64 "%%", tenths / 10);
}

void print_duration(FILE *out, double seconds)
{
	uint64_t whole = (uint64_t)seconds;

	if (whole < 60)
		fprintf(out, "%.1f s", seconds);
	else if (whole < 3600)
		fprintf(out, "%" PRIu64 " min %" PRIu64 " s", whole / 60, whole % 60);
	else
		fprintf(out, "%" PRIu64 " h %" PRIu64 " min", whole / 3600, whole / 60 % 60);
}

const char *print_short_text(uint64_t bytes, char ret[PRINT_SHORT_SIZE])
{
	static const char units[] = "KMGTPE";
	uint64_t unit = 1;
	int i = -1;

	for (; bytes / unit >= 1024; i++)
		unit *= 1024;
	if (i < 0)
		snprintf(ret, PRINT_SHORT_SIZE, "%" PRIu64, bytes);
	else
		snprintf(ret, PRINT_SHORT_SIZE, "%" PRIu64 ".%" PRIu64 "%c", bytes / unit,
			 bytes % unit / (unit / 1024) * 10 / 1024, units[i]);
	return ret;
}

void print_short(FILE *out, uint64_t bytes)
{
	char text[PRINT_SHORT_SIZE];

	fprintf(out, " %9s", print_short_text(bytes, text));
}

void print_short_known(FILE *out, uint64_t bytes)
{
	if (bytes)
		print_short(out, bytes);
	else
		fputs("         -", out);
}

void print_wrapped(FILE *out, const char *text)
{
	print_indented(out, text, 0);
}

void print_indented(FILE *out, const char *text, int columns_in)
{
	const size_t begin = (size_t)columns_in;
	size_t used = 0;

	while (*text) {
		size_t len = strcspn(text, " "), columns = 0;
		uint32_t code;

		for (size_t i = 0; i < len; columns++) {
			size_t step = utf8_next(text + i, &code);
			i += step ? step : 1;
		}
		if (used && begin + used + 1 + columns > COLUMNS) {
			putc('\n', out);
			used = 0;
		} else if (used) {
			putc(' ', out);
			used++;
		}
		fprintf(out, "%*s", used ? 0 : columns_in, "");
		fwrite(text, 1, len, out);
		used += columns;
		text += len + (text[len] == ' ');
	}
	putc('\n', out);
}
