/*
 * Stored blocks, RFC 1951 section 3.2.4: 5 bytes before each 16 KB.  Compression would be a
 * library on the device, or 10 KB of code; what is written once and carried away is compressed
 * by whoever carries it.
 */
#include "report/export/gzip.h"

static void put_le(FILE *out, uint32_t value, unsigned width)
{
	while (width--) {
		putc((int)(value & 0xff), out);
		value >>= 8;
	}
}

static void write_block(struct gzip *gzip, bool last)
{
	uint32_t len = (uint32_t)gzip->chunks.used;

	putc(last, gzip->out);
	put_le(gzip->out, len, 2);
	put_le(gzip->out, ~len, 2);
	fwrite(gzip->block, 1, len, gzip->out);
	gzip->crc = layout_crc_add(&gzip->crc_table, gzip->crc, gzip->block, len);
	gzip->len += len;
	gzip->chunks.used = 0;
}

static void write_full(void *gzip)
{
	write_block(gzip, false);
}

void gzip_begin(struct gzip *gzip, FILE *out)
{
	/* magic, method deflate, no flags, no time, no hints, unknown system */
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

	gzip->out = out;
	gzip->crc = gzip->len = 0;
	gzip->chunks = (struct chunks){.at = gzip->block,
				       .size = sizeof(gzip->block),
				       .full = write_full,
				       .arg = gzip};
	layout_crc_init(&gzip->crc_table);
	fwrite(head, 1, sizeof(head), out);
}

void gzip_put(struct gzip *gzip, const void *bytes, size_t len)
{
	chunks_put(&gzip->chunks, bytes, len);
}

void gzip_end(struct gzip *gzip)
{
	write_block(gzip, true);
	put_le(gzip->out, gzip->crc, 4);
	put_le(gzip->out, gzip->len, 4);
}
