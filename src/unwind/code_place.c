/* Which code around a place is its function's; see code_frame.h. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "unwind/code_frame.h"

enum {
	START_LEN = 128, /* of a program's first function without a symbol */
	FUNCTION_MAX = 1 << 17,
	GAP = 1 << 14, /* as far back as a function may begin */
};

bool code_function_begin(const struct code_place *code, uint64_t vaddr, bool known,
			 uint64_t *begin, struct image_symbol *symbol)
{
	if (image_symbol_at(code->image, vaddr, symbol) && symbol->type == STT_FUNC &&
	    symbol->size) {
		*begin = symbol->value;
		return true;
	}
	*symbol = (struct image_symbol){0};
	return known;
}

bool code_is_start(const struct code_place *code, uint64_t vaddr, bool known, uint64_t begin)
{
	uint64_t entry = image_entry(code->image);

	if (known && begin >= entry)
		return entry && begin == entry;
	return entry && vaddr >= entry && vaddr - entry < START_LEN;
}

int code_scan(const struct code_place *code, uint64_t vaddr, bool known, uint64_t begin,
	      struct code_frame *ret)
{
	int64_t from = 0;
	uint8_t *bytes;
	int rc;

	if (!known)
		begin = vaddr > GAP ? vaddr - GAP : 4;
	if (vaddr - begin > FUNCTION_MAX)
		return -ENOENT;
	bytes = malloc(vaddr - begin + 1);
	if (!bytes)
		return -ENOENT;
	rc = image_read(code->image, begin, bytes, vaddr - begin);
	for (; rc && !known && begin < vaddr;
	     rc = image_read(code->image, begin, bytes, vaddr - begin))
		begin += (vaddr - begin + 7) / 8 * 4; /* the segment begins later */
	if (!rc && !known)
		from = code->reader->begin(code->arch, bytes, vaddr - begin);
	if (!rc)
		rc = from < 0 ? -ENOENT
			      : code->reader->scan(code->arch, bytes + from,
						   vaddr - begin - (uint64_t)from, ret);
	free(bytes);
	return rc ? -ENOENT : 0;
}
