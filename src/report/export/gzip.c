/*
 * Stored blocks, RFC 1951 section 3.2.4: 5 bytes before each 16 KB.  Compression would be a
 * library on the device, or 10 KB of code; what is written once and carried away is compressed
 * by whoever carries it.
 */
#include "report/export/gzip.h"

#include <string.h>

static void put_le(FILE *out, uint32_t value, unsigned width)
{
	while (width--) {
		putc((int)(value & 0xff), out);
		value >>= 8;
	}
}

void gzip_begin(struct gzip *gzip, FILE *out)
{
	/* magic, method deflate, no flags, no time, no hints, unknown system */
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

	gzip->out = out;
	gzip->crc = gzip->len = 0;
	gzip->used = 0;
	layout_crc_init(&gzip->crc_table);
	fwrite(head, 1, sizeof(head), out);
}

static void write_block(struct gzip *gzip, bool last)
{
	uint32_t len = (uint32_t)gzip->used;

	putc(last, gzip->out);
	put_le(gzip->out, len, 2);
	put_le(gzip->out, ~len, 2);
	fwrite(gzip->block, 1, len, gzip->out);
	gzip->crc = layout_crc_add(&gzip->crc_table, gzip->crc, gzip->block, len);
	gzip->len += len;
	gzip->used = 0;
}

void gzip_put(struct gzip *gzip, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len) {
		size_t n = sizeof(gzip->block) - gzip->used;

		n = len < n ? len : n;
		memcpy(gzip->block + gzip->used, at, n);
		gzip->used += n;
		at += n;
		len -= n;
		if (gzip->used == sizeof(gzip->block))
			write_block(gzip, false);
	}
}

void gzip_end(struct gzip *gzip)
{
	write_block(gzip, true);
	put_le(gzip->out, gzip->crc, 4);
	put_le(gzip->out, gzip->len, 4);
}
