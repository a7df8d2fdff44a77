/*
 * Who points to whom: one pass over all blocks in the order of their addresses, which is the
 * order of memory; every aligned word that is an address within a block makes an edge.  Kept as
 * rows of targets one behind the other (compressed sparse rows): 4 bytes an edge, 4 a block.
 */
#include <errno.h>

#include "heap/leak/parts.h"

enum { BATCH = 64 };

/*
 * Words that may be addresses are looked up some dozens at a time, so that the CPU fetches what
 * the index says of one while it works at another: with many small blocks that is most of the
 * time.
 */
struct pass {
	taddr_t low, high; /* addresses that may be a block's */
	uint32_t block;	   /* whose words they are */
	uint32_t begun;	   /* blocks of which first[] is set */
	unsigned count;
	taddr_t values[BATCH];
	uint32_t owners[BATCH];
};

static void begin_until(struct leak *leak, struct pass *pass, uint32_t block)
{
	while (pass->begun <= block)
		leak->first[pass->begun++] = (uint32_t)leak->edges.len;
}

static int resolve(struct leak *leak, struct pass *pass)
{
	unsigned count = pass->count;

	pass->count = 0;
	for (unsigned i = 0; i < count; i++)
		index_prefetch(&leak->index, pass->values[i]);
	for (unsigned i = 0; i < count; i++) {
		uint32_t target = leak_target(leak, pass->values[i]);

		if (target == LEAK_NONE)
			continue;
		begin_until(leak, pass, pass->owners[i]);
		if (leak->edges.len < leak->edges.cap)
			leak->edges.at[leak->edges.len++] = target;
		else if (!leak_push(leak, &leak->edges, target))
			return -ENOMEM;
	}
	return 0;
}

/* The words of a piece of a block.  Inlined for each size of a word. */
static inline __attribute__((always_inline)) int
words(struct leak *leak, struct pass *pass, const uint8_t *bytes, size_t len, unsigned word)
{
	taddr_t low = pass->low, span = pass->high - pass->low, mask = leak->tag_mask;

	for (size_t i = 0; i < len; i += word) {
		taddr_t value = word_at(bytes + i, word) & mask;

		if (value - low >= span)
			continue;
		pass->values[pass->count] = value;
		pass->owners[pass->count] = pass->block;
		if (++pass->count == BATCH && resolve(leak, pass))
			return -ENOMEM;
	}
	return 0;
}

static int piece(struct leak *leak, struct pass *pass, const uint8_t *bytes, size_t len)
{
	leak->totals.scanned_bytes += len;
	return leak->in.cpu.word == 8 ? words(leak, pass, bytes, len, 8)
				      : words(leak, pass, bytes, len, 4);
}

static int visit(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	(void)at;
	return piece(leak, arg, bytes, len);
}

/* One that lies in the window of the stream is taken from it, else it is read by itself. */
static int block_edges(struct leak *leak, struct pass *pass, taddr_t addr, uint64_t size)
{
	unsigned word = leak->in.cpu.word;
	const uint8_t *bytes = NULL;

	size &= ~(uint64_t)(word - 1);
	if (!size)
		return 0;
	if (size < leak->stream.size / 4)
		bytes = reader_bytes(&leak->stream, addr, (size_t)size);
	if (bytes)
		return piece(leak, pass, bytes, (size_t)size);
	return leak_scan(leak, addr, addr + size, visit, pass, &leak->totals.unread_bytes);
}

static int all_edges(struct leak *leak)
{
	uint64_t total = 0, done = 0;
	struct index_walk walk;
	struct pass pass = {.low = leak->index.low, .high = leak->index.high};
	taddr_t addr;

	if (leak->count)
		pass.high += leak_size(leak, leak->count - 1) + 1;
	for (size_t i = 0; i < leak->heaps.len; i++)
		total += leak->heaps.at[i].end - leak->heaps.at[i].begin;
	for (index_walk_init(&walk, &leak->index); index_walk_next(&walk, &addr);
	     pass.block++) {
		uint64_t size = leak_size(leak, pass.block);
		int code;

		code = block_edges(leak, &pass, addr, size);
		if (!code)
			code = leak_tick(leak, LEAK_STEP_EDGES, done += size, total);
		if (code)
			return code;
		if (leak->edges.len >= UINT32_MAX)
			return -EOVERFLOW;
	}
	if (resolve(leak, &pass))
		return -ENOMEM;
	begin_until(leak, &pass, leak->count);
	leak_trim_(leak, (void **)&leak->edges.at, &leak->edges.cap, leak->edges.len,
		   sizeof(*leak->edges.at));
	return 0;
}

int leak_find_edges(struct leak *leak, struct err *err)
{
	int code;

	leak->first = leak_take(leak, (uint64_t)leak->count + 1, sizeof(*leak->first));
	if (!leak->first)
		return leak_no_memory(leak, err);
	code = all_edges(leak);
	leak->totals.edges = leak->edges.len;
	if (code == -EOVERFLOW)
		return err_set(err, -ENOTSUP, "there are more than 2^32 pointers");
	if (code == -ECANCELED)
		return err_set(err, code, "given up");
	return code ? leak_no_memory(leak, err) : 0;
}
