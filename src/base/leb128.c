/* Seven bits a byte, the lowest first; the eighth says that more follow. */
#include "base/leb128.h"

uint8_t *leb128_put(uint8_t *at, uint64_t value)
{
	for (; value >= 128; value >>= 7)
		*at++ = (uint8_t)(value | 128);
	*at++ = (uint8_t)value;
	return at;
}

bool leb128_take(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		uint64_t bits = **at & 127;

		if (shift == 63 && bits > 1)
			return false;
		value |= bits << shift;
		if (!(*(*at)++ & 128)) {
			*ret = value;
			return true;
		}
	}
	return false;
}
