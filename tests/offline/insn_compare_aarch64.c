/*
 * Holds the A64 decoder to objdump: reads `objdump -d` on stdin, decodes every line's
 * instruction, and prints the lines where kind or target differ:
 *
 *     KIND TARGET\tobjdump's line       (TARGET -: none)
 *
 * and at the end "= INSTRUCTIONS RELATIVE".
 *
 *    "   26e44:\t97ffff2f \tbl\t26b00 <name+0x8>\n"
 *        address  code        mnemonic, operands with the target last
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/aarch64/insn.h"

static const struct {
	const char *mnemonic; /* a '.' at the end: whatever follows */
	uint8_t kind;
} kinds[] = {
	{"b", A64_B},		{"bl", A64_BL},	      {"b.", A64_BCOND},  {"bc.", A64_BCOND},
	{"cbz", A64_CBZ},	{"cbnz", A64_CBZ},    {"tbz", A64_TBZ},	  {"tbnz", A64_TBZ},
	{"adr", A64_ADR},	{"adrp", A64_ADRP},   {"br", A64_BR},	  {"blr", A64_BLR},
	{"ret", A64_RET},	{"retaa", A64_RET},   {"retab", A64_RET}, {"nop", A64_NOP},
	{"bti", A64_BTI},	{"brk", A64_BREAK},   {"hlt", A64_BREAK}, {"paciasp", A64_PAC},
	{"udf", A64_UNDEFINED}, {"pacibsp", A64_PAC}, {"braa", A64_BR},	  {"blraa", A64_BLR},
	{"eret", A64_RET},
};

/* A load's target is an address of its own, not [x1, ...]. */
static bool is_literal(const char *mnemonic, const char *operands)
{
	return (!strncmp(mnemonic, "ldr", 3) || !strcmp(mnemonic, "prfm")) &&
	       !strchr(operands, '[') && strchr(operands, '<');
}

static uint8_t kind_of(const char *mnemonic, const char *operands)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].mnemonic);

		if (kinds[i].mnemonic[len - 1] == '.'
			    ? !strncmp(mnemonic, kinds[i].mnemonic, len)
			    : !strcmp(mnemonic, kinds[i].mnemonic))
			return kinds[i].kind;
	}
	return is_literal(mnemonic, operands) ? A64_LITERAL : A64_PLAIN;
}

static bool has_target(uint8_t kind)
{
	return (kind >= A64_B && kind <= A64_LITERAL);
}

/* "x0, x1, #3, 26b00 <name>": the number in front of the '<'. */
static uint64_t target_of(const char *operands)
{
	const char *at = strchr(operands, '<');

	if (!at || at == operands)
		return strtoull(operands, NULL, 16);
	for (at--; at > operands && (at[-1] != ' ' && at[-1] != '\t'); at--)
		;
	return strtoull(at, NULL, 16);
}

int main(void)
{
	unsigned long instructions = 0, relative = 0;
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		char mnemonic[32], operands[512] = "";
		uint64_t address, found;
		struct a64_insn insn;
		uint32_t code;
		uint8_t kind;

		if (sscanf(line, " %" SCNx64 ":\t%" SCNx32 " \t%31[^\t\n]\t%511[^\n]", &address,
			   &code, mnemonic, operands) < 3)
			continue;
		instructions++;
		insn = a64_decode(code);
		kind = kind_of(mnemonic, operands);
		found = (insn.kind == A64_ADRP ? address & ~4095ull : address) +
			(uint64_t)insn.rel;
		relative += has_target(kind);
		if (insn.kind != kind || (has_target(kind) && found != target_of(operands)))
			printf("%u %" PRIx64 "\t%s", insn.kind, found, line);
	}
	printf("= %lu %lu\n", instructions, relative);
	return 0;
}
