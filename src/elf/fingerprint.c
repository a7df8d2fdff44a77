/*
 * Stripping, sstrip and objcopy change the ELF header's section fields and what lies
 * behind the last segment; what is loaded stays.  So three hashes are taken:
 *
 *    segments  {vaddr, size in memory, flags} of each PT_LOAD, in order
 *    dynamic   {name, value, size} of each global dynamic symbol that is defined here;
 *              a sum, as the order depends on the table that they are found by
 *    code      bytes of the executable segments: all up to CODE_WHOLE, of larger ones
 *              CODE_PIECES pieces of PIECE bytes evenly spread.  In a segment that begins
 *              the file, the first HEADERS bytes are passed over.
 */
#include "elf/fingerprint.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

enum {
	PIECE = 4096,
	CODE_WHOLE = 1 << 20,
	CODE_PIECES = CODE_WHOLE / PIECE,
	HEADERS = 1024,
	SEED = 0x6d74,
	LIMIT_NAMES = 1 << 28, /* bytes of all names; of the largest libraries they are some 10 MB,
				* but one string may be the end of many names */
};

/* One step of the hash: a 64-bit word into the state. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* Bytes as little-endian words, the last one filled with zeroes; then their count. */
static uint64_t mix_bytes(uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = 0;
		for (size_t i = 0; i < 8 && at + i < len; i++)
			word |= (uint64_t)bytes[at + i] << (8 * i);
		hash = mix(hash, word);
	}
	return mix(hash, len);
}

uint64_t fingerprint_segments(const struct image *image)
{
	size_t count;
	const struct image_segment *s = image_segments(image, &count);
	uint64_t hash = SEED;

	for (size_t i = 0; i < count; i++) {
		hash = mix(hash, s[i].vaddr);
		hash = mix(hash, s[i].mem_size);
		hash = mix(hash, s[i].flags);
	}
	return hash;
}

struct names {
	uint64_t sum;
	size_t left; /* of LIMIT_NAMES */
};

/* True: too much. */
static bool add_symbol(void *arg, const struct image_symbol *symbol)
{
	struct names *names = arg;
	uint64_t hash;
	size_t len;

	if (!symbol->dynamic || symbol->bind == STB_LOCAL || !*symbol->name)
		return false;
	len = strnlen(symbol->name, names->left);
	names->left -= len;
	if (!names->left)
		return true;
	hash = mix_bytes(SEED, (const uint8_t *)symbol->name, len);
	hash = mix(hash, symbol->value);
	names->sum += mix(hash, symbol->size);
	return false;
}

static int hash_segment_code(struct image *image, const struct image_segment *s, uint64_t *hash)
{
	uint64_t skip = s->offset ? 0 : HEADERS;
	uint64_t len = s->file_size > skip ? s->file_size - skip : 0;
	uint64_t pieces = len > CODE_WHOLE ? CODE_PIECES : (len + PIECE - 1) / PIECE;
	uint8_t bytes[PIECE];

	for (uint64_t i = 0; i < pieces; i++) {
		uint64_t at =
			len > CODE_WHOLE ? i * ((len - PIECE) / (CODE_PIECES - 1)) : i * PIECE;
		size_t n = len - at < PIECE ? (size_t)(len - at) : PIECE;

		if (image_read(image, s->vaddr + skip + at, bytes, n))
			return -EFAULT;
		*hash = mix_bytes(*hash, bytes, n);
	}
	return 0;
}

static int hash_code(struct image *image, uint64_t *ret)
{
	size_t count, found = 0;
	const struct image_segment *s = image_segments(image, &count);
	uint64_t hash = SEED;

	for (size_t i = 0; i < count; i++) {
		if (!(s[i].flags & PF_X) || !s[i].file_size)
			continue;
		found++;
		if (hash_segment_code(image, &s[i], &hash))
			return -EFAULT;
	}
	*ret = hash;
	return found ? 0 : -EFAULT;
}

static void put(struct fingerprint *f, size_t at, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		f->bytes[at + i] = (uint8_t)(value >> (8 * i));
}

int fingerprint_make(struct image *image, struct fingerprint *ret)
{
	struct fingerprint f = {{FINGERPRINT_VERSION, image_class(image)}};
	struct names names = {.left = LIMIT_NAMES};
	uint64_t code;

	if (hash_code(image, &code))
		return -EFAULT;
	image_for_each_symbol(image, add_symbol, &names);
	if (!names.left)
		return -EFAULT;
	put(&f, 2, image_machine(image), 2);
	put(&f, 4, image_type(image), 2);
	put(&f, 8, image_entry(image), 8);
	put(&f, FINGERPRINT_SEGMENTS, fingerprint_segments(image), 8);
	put(&f, 24, names.sum, 8);
	put(&f, 32, code, 8);
	*ret = f;
	return 0;
}

const char *fingerprint_difference(const uint8_t *mine, size_t mine_len, const uint8_t *other,
				   size_t other_len)
{
	static const struct {
		size_t begin, end;
		const char *words;
	} parts[] = {
		{0, 1, "another version of fingerprints"},
		{1, 4, "another CPU"},
		{4, 6, "another type of ELF file"},
		{16, 24, "other program headers"},
		{24, 32, "other dynamic symbols"},
		{32, 40, "other code"},
		{6, 16, "another entry point"},
	};

	if (mine_len != FINGERPRINT_BYTES || other_len != FINGERPRINT_BYTES)
		return "no fingerprint to compare";
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (memcmp(mine + parts[i].begin, other + parts[i].begin,
			   parts[i].end - parts[i].begin))
			return parts[i].words;
	return NULL;
}
