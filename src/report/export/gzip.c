/*
 * gzip, RFC 1952, by a deflate of our own (RFC 1951): a library would be one more on the device.
 *
 * Each 32 KB are one block with the fixed codes of section 3.2.6.  What comes a second time in the
 * block is a length and a distance back: where three bytes were seen last is kept by their hash,
 * and the first that is found is taken.  Text of call stacks is a third to a fifth of itself then;
 * what gains nothing grows by an eighth at most.
 *
 *   literal 0-143: 8 bits from 0x30, 144-255: 9 bits from 0x190;  length codes 256-279: 7 bits,
 *   280-287: 8 bits from 0xc0;  distance codes: 5 bits.  Codes are written from their first bit,
 *   everything else from its last.
 */
#include "report/export/gzip.h"

#include <string.h>

enum { MATCH_LEAST = 4, MATCH_MOST = 258, END_OF_BLOCK = 256, LENGTHS = 257 };

static void put_bits(struct gzip *g, uint32_t value, unsigned count)
{
	g->bits |= (uint64_t)value << g->bit_count;
	for (g->bit_count += count; g->bit_count >= 8; g->bit_count -= 8) {
		putc((int)(g->bits & 0xff), g->out);
		g->bits >>= 8;
	}
}

static void put_code(struct gzip *g, uint32_t code, unsigned count)
{
	uint32_t turned = 0;

	for (unsigned i = 0; i < count; i++)
		turned |= (code >> i & 1) << (count - 1 - i);
	put_bits(g, turned, count);
}

static void put_symbol(struct gzip *g, unsigned symbol)
{
	if (symbol < 144)
		put_code(g, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(g, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(g, symbol - 256, 7);
	else
		put_code(g, 0xc0 + symbol - 280, 8);
}

/*
 * Code and further bits of a value from 0 on: the first 2 * `step` values have a code each, then
 * `step` codes to each doubling (the tables of section 3.2.5; 4 for lengths, 2 for distances).
 */
static unsigned code_of(unsigned value, unsigned step, unsigned *extra, unsigned *rest)
{
	unsigned bits = 0;

	while (value >> bits >= 2 * step)
		bits++;
	*extra = bits;
	*rest = value & ((1u << bits) - 1);
	return bits * step + (value >> bits);
}

static void put_match(struct gzip *g, unsigned length, unsigned distance)
{
	unsigned extra, rest, code = code_of(length - 3, 4, &extra, &rest);

	if (length == MATCH_MOST) {
		code = 28; /* one of its own */
		extra = rest = 0;
	}
	put_symbol(g, LENGTHS + code);
	put_bits(g, rest, extra);
	code = code_of(distance - 1, 2, &extra, &rest);
	put_code(g, code, 5);
	put_bits(g, rest, extra);
}

/* How much of [at, end) is as what lies from `before` on. */
static unsigned match_length(const uint8_t *before, const uint8_t *at, const uint8_t *end)
{
	unsigned length = 0;

	while (length < MATCH_MOST && at + length < end && before[length] == at[length])
		length++;
	return length;
}

/* Where the bytes at `at` were last, or NULL; and now they are here. */
static const uint8_t *last_seen(struct gzip *g, const uint8_t *at)
{
	uint32_t word, hash;
	uint16_t before;

	memcpy(&word, at, sizeof(word));
	hash = word * 2654435761u >> (32 - GZIP_HASH_BITS);
	before = g->seen[hash];
	g->seen[hash] = (uint16_t)(at - g->block + 1);
	return before ? g->block + before - 1 : NULL;
}

static void deflate(struct gzip *g, const uint8_t *end)
{
	const uint8_t *at = g->block;

	memset(g->seen, 0, sizeof(g->seen));
	while (at < end) {
		const uint8_t *before = end - at >= MATCH_LEAST ? last_seen(g, at) : NULL;
		unsigned length = before ? match_length(before, at, end) : 0;

		if (length < MATCH_LEAST) {
			put_symbol(g, *at++);
			continue;
		}
		put_match(g, length, (unsigned)(at - before));
		for (at++; --length; at++)
			if (end - at >= MATCH_LEAST)
				last_seen(g, at);
	}
	put_symbol(g, END_OF_BLOCK);
}

static void write_block(struct gzip *g, bool last)
{
	size_t len = g->chunks.used;

	put_bits(g, last, 1);
	put_bits(g, 1, 2); /* fixed codes */
	deflate(g, g->block + len);
	g->crc = layout_crc_add(&g->crc_table, g->crc, g->block, len);
	g->len += (uint32_t)len;
	g->chunks.used = 0;
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
	gzip->bits = gzip->bit_count = 0;
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
	put_bits(gzip, 0, -gzip->bit_count % 8);
	put_bits(gzip, gzip->crc, 32);
	put_bits(gzip, gzip->len, 32);
}

/* ---- as a stream ------------------------------------------------------------------------ */

static ssize_t stream_write(void *gzip, const char *bytes, size_t len)
{
	struct gzip *g = gzip;

	gzip_put(g, bytes, len);
	return ferror(g->out) ? 0 : (ssize_t)len; /* (0: an error of the stream, too) */
}

static int stream_close(void *gzip)
{
	gzip_end(gzip);
	return 0;
}

FILE *gzip_stream(struct gzip *gzip, FILE *out)
{
	const cookie_io_functions_t functions = {.write = stream_write, .close = stream_close};

	gzip_begin(gzip, out);
	return fopencookie(gzip, "w", functions);
}
