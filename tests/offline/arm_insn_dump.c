/* Reads "address thumb bytes" a line (hexadecimal); prints length, kind and target. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arch/arm/insn.h"

int main(void)
{
	uint64_t at;
	unsigned thumb;
	char hex[32];

	while (scanf("%" SCNx64 " %u %31s", &at, &thumb, hex) == 3) {
		uint8_t code[8];
		size_t len = strlen(hex) / 2;
		struct insn insn;

		for (size_t i = 0; i < len && i < sizeof(code); i++) {
			unsigned byte;

			sscanf(hex + 2 * i, "%2x", &byte);
			code[i] = (uint8_t)byte;
		}
		if (arm_insn_decode(code, len, at | thumb, &insn))
			printf("bad\n");
		else
			printf("%u %u %u %" PRIx64 "\n", insn.len, insn.kind, insn.condition,
			       insn.target);
	}
	return 0;
}
