/* Where areas of stubs are; see area.h.  A header lies at a multiple of 16 bytes. */
#include "hook/area.h"

#include <string.h>

enum { ALIGN = 16, HEAD = 16 };

void area_visit(struct tracee *tracee, const struct space *space,
		bool (*visit)(void *arg, taddr_t begin, taddr_t end), void *arg)
{
	const struct arch *arch = tracee->arch;
	uint8_t *bytes = malloc(space->len);
	uint32_t len;

	for (uint32_t at = 0; bytes && at + HEAD <= space->len; at += ALIGN) {
		if (at == 0 && target_read(&tracee->target, space->base, bytes, space->len))
			break;
		memcpy(&len, bytes + at + arch->trap->magic_len, sizeof(len));
		if (memcmp(bytes + at, arch->trap->magic, arch->trap->magic_len) || len < HEAD ||
		    len > space->len - at)
			continue;
		if (visit(arg, space->base + at, space->base + at + len))
			break;
	}
	free(bytes);
}
