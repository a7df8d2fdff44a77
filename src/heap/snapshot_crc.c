/* CRC-32 by bytes: 12 MB take some 30 ms, and the table 1 KB of whoever needs it. */
#include "heap/snapshot_layout.h"

void layout_crc_init(struct layout_crc *crc)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;

		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? 0xedb88320 ^ (value >> 1) : value >> 1;
		crc->table[i] = value;
	}
}

uint32_t layout_crc_add(const struct layout_crc *crc, uint32_t before, const uint8_t *bytes,
			size_t len)
{
	uint32_t value = ~before;

	for (size_t i = 0; i < len; i++)
		value = crc->table[(value ^ bytes[i]) & 0xff] ^ (value >> 8);
	return ~value;
}
