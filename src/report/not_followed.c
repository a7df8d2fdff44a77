/*
 * What is not followed, in both forms: a count that leaves something out says so beside it.
 *
 *     not followed: malloc in /opt/x/libfoo.so: its first instructions are too short
 */
#include "report/job.h"
#include "report/utf8.h"

void not_followed_text(const struct snapshot *snapshot, FILE *out)
{
	for (size_t i = 0; i < snapshot->missed_count; i++) {
		const struct snapshot_missed *missed = &snapshot->missed[i];

		fputs("not followed: ", out);
		if (missed->function) {
			utf8_print(out, missed->function);
			fputs(" in ", out);
		}
		utf8_print(out, missed->module);
		fputs(": ", out);
		utf8_print(out, missed->reason);
		putc('\n', out);
	}
}

/* On one line, as decode_layout.c writes what names are not put into. */
void not_followed_json(const struct snapshot *snapshot, FILE *out)
{
	fputs("  \"not_followed\": [", out);
	for (size_t i = 0; i < snapshot->missed_count; i++) {
		const struct snapshot_missed *missed = &snapshot->missed[i];

		fputs(i ? ", {\"module\": " : "{\"module\": ", out);
		json_string(out, missed->module);
		fputs(", \"function\": ", out);
		json_string(out, missed->function);
		fputs(", \"reason\": ", out);
		json_string(out, missed->reason);
		putc('}', out);
	}
	fputs("],\n", out);
}
