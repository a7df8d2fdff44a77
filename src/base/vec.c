/* Growth of the arrays of vec.h: by doubling, checked for overflow. */
#include "base/vec.h"

#include <stdlib.h>

bool vec_reserve_(void **at, size_t *cap, size_t want, size_t size)
{
	size_t grown = *cap ? *cap : 8;
	void *bytes;

	if (want <= *cap)
		return true;
	while (grown < want) {
		if (grown > SIZE_MAX / 2)
			return false;
		grown *= 2;
	}
	if (grown > SIZE_MAX / size)
		return false;
	bytes = realloc(*at, grown * size);
	if (!bytes)
		return false;
	*at = bytes;
	*cap = grown;
	return true;
}
