/*
 * Holds the instruction decoder to objdump: reads `objdump -d --insn-width=16` on
 * stdin, decodes the bytes of every line by themselves, and prints each line where
 * length or pc-relative target differ, preceded by what was decoded:
 *
 *     LENGTH TARGET\tobjdump's line       (LENGTH 0: not decoded; TARGET -: none)
 *
 * and at the end "= INSTRUCTIONS RELATIVE BAD": how many lines were compared, how many
 * of them have a target, how many objdump itself calls (bad).
 *
 *    "   26000:\tff 35 ea cf 1a 00    \tpush   0x1acfea(%rip)   # 1d2ff0 <name+0xd90>\n"
 *        address  bytes                 text                       target
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/insn.h"

/* Reads the hex bytes at *at (two digits, a blank); returns how many. */
static size_t read_bytes(const char **at, uint8_t *bytes, size_t max)
{
	size_t count = 0;

	while (count < max) {
		char *end;
		unsigned long value = strtoul(*at, &end, 16);

		if (end != *at + 2)
			break;
		bytes[count++] = (uint8_t)value;
		*at = end + 1;
	}
	return count;
}

/* What objdump says an instruction refers to: behind '#' for memory, else a direct
 * branch's operand: "ADDRESS <". */
static bool read_target(const char *text, uint64_t *ret)
{
	const char *mark = strstr(text, "        # ");
	char *end;

	if (mark && !strstr(text, "(%rip)") && !strstr(text, "(%eip)"))
		mark = NULL;
	if (mark) {
		mark += 10;
	} else {
		const char *name = strstr(text, " <");

		if (!name)
			return false;
		for (mark = name; mark > text && mark[-1] != ' ' && mark[-1] != '\t';)
			mark--;
	}
	*ret = strtoull(mark, &end, 16);
	return end != mark && (*end == ' ' || *end == '\n');
}

/* Decodes the bytes of one line.  objdump takes fwait (9b) for a prefix of an x87
 * instruction behind it; to the CPU and the decoder these are two. */
static int decode_line(const uint8_t *bytes, size_t len, struct insn *ret)
{
	size_t waits = 0;
	int error;

	while (waits + 1 < len && bytes[waits] == 0x9b)
		waits++;
	error = insn_decode(bytes + waits, len - waits, ret);
	if (!error)
		ret->len = (uint8_t)(ret->len + waits);
	return error;
}

/* Where the address would wrap by size prefixes, only that many bits are compared:
 * objdump prints either all or none of the rest. */
static bool same_target(const struct insn *insn, uint64_t want, uint64_t found)
{
	if (insn->rel_len == 2)
		return (uint16_t)want == (uint16_t)found;
	if (insn->prefix67 && insn->kind == INSN_PLAIN)
		return (uint32_t)want == (uint32_t)found;
	return want == found;
}

/* Prints the line if the decoder sees it differently.  Adds 1 to *relative for a target. */
static void compare(const char *line, uint64_t address, const uint8_t *bytes, size_t len,
		    const char *text, unsigned long *relative)
{
	struct insn insn = {0};
	uint64_t want = 0, found;
	bool has_want = read_target(text, &want);
	bool same = decode_line(bytes, len, &insn) == 0 && insn.len == len;

	found = address + insn.len + (uint64_t)(int64_t)insn.rel;
	*relative += has_want;
	if (same && has_want == (insn.rel_len != 0) &&
	    (!has_want || same_target(&insn, want, found)))
		return;
	if (insn.rel_len)
		printf("%u %" PRIx64 "\t%s", insn.len, found, line);
	else
		printf("%u -\t%s", insn.len, line);
}

int main(void)
{
	unsigned long instructions = 0, relative = 0, bad = 0;
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		uint8_t bytes[16];
		char *end;
		uint64_t address = strtoull(line, &end, 16);
		const char *at = end + 2;
		size_t len;

		if (end == line || end[0] != ':' || end[1] != '\t')
			continue;
		len = read_bytes(&at, bytes, sizeof(bytes));
		instructions++;
		if (strstr(at, "(bad)"))
			bad++;
		else
			compare(line, address, bytes, len, at, &relative);
	}
	printf("= %lu %lu %lu\n", instructions, relative, bad);
	return 0;
}
