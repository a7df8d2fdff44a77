/*
 * Where glibc keeps its state, in a libc without symbols.
 *
 * An empty bin of main_arena points to itself: bins[2i] and bins[2i + 1] hold the address of
 * bins[2i] less two words.  Of 127 bins most are empty, and what the others lead to leads back.
 * Which release it is, `next` tells: the ring of arenas, which comes back to main_arena.  mp_
 * has the address at which main_arena's memory begins, and that is known: where it ends, less
 * its size (malloc.c, do_check_malloc_state()).
 */
#include "heap/leak/glibc_parts.h"

static const struct arena_row rows[] = {
	{"2.17-2.22", 8, 8, 88, 104, 2152, 2168, 2184},
	{"2.23-2.26", 8, 8, 88, 104, 2152, 2176, 2192},
	{"2.27-2.42", 8, 16, 96, 112, 2160, 2184, 2200},
	{"2.43", 8, 0, 8, 24, 2072, 2096, 2112},
	{"2.17-2.22", 4, 8, 48, 56, 1088, 1096, 1104},
	{"2.23-2.26", 4, 8, 48, 56, 1088, 1100, 1108},
	{"2.27-2.42", 4, 12, 52, 60, 1092, 1104, 1112},
	{"2.43", 4, 0, 8, 16, 1048, 1060, 1068},
};

static const struct cache_row cache_rows[] = {
	{8, 1, 64, false, 64, 0x250},  {8, 2, 64, false, 128, 0x290},
	{8, 2, 76, true, 152, 0x300},  {4, 1, 64, false, 64, 0x148},
	{4, 2, 64, false, 128, 0x188}, {4, 2, 76, true, 152, 0x1d0},
};

/* mp_, by its distance in front of sbrk_base: the four ints n_mmaps, n_mmaps_max, max_n_mmaps,
 * no_dyn_threshold; and mmapped_mem, max_mmapped_mem. */
static const struct {
	uint8_t word, mmaps, mmapped;
} parameter_rows[] = {
	{8, 32, 16}, /* 2.24 */
	{8, 36, 16}, /* 2.35: behind an int */
	{8, 40, 24}, /* until 2.23: max_total_mem in between */
	{4, 24, 8},  {4, 28, 12},
};

const struct cache_row *glibc_cache_row(unsigned word, uint64_t chunk, size_t *at)
{
	for (; *at < ARRAY_SIZE(cache_rows); ++*at) {
		const struct cache_row *row = &cache_rows[*at];

		if (row->word == word && row->chunk == chunk)
			return ++*at, row;
	}
	return NULL;
}

/* ---- main_arena -------------------------------------------------------------------- */

/* A bin that is not empty: its first chunk leads back to it, and its last. */
static bool bin_is_list(struct glibc *g, taddr_t bin)
{
	taddr_t fd = glibc_word(g, bin + 2 * g->word), bk = glibc_word(g, bin + 3 * g->word);

	return fd && bk && glibc_word(g, fd + 3 * g->word) == bin &&
	       glibc_word(g, bk + 2 * g->word) == bin;
}

static bool ring_closes(struct glibc *g, taddr_t arena)
{
	enum { ARENAS_MAX = 65536 };
	taddr_t at = arena;

	g->arenas.len = 0;
	do {
		if (g->arenas.len >= ARENAS_MAX || !leak_push(g->leak, &g->arenas, at))
			return false;
		at = glibc_word(g, at + g->row->next);
	} while (at && at != arena);
	return at == arena;
}

/* Is main_arena of this row at `arena`? */
static bool arena_is_at(struct glibc *g, taddr_t arena, const struct arena_row *row)
{
	taddr_t system, most, top;
	unsigned empty = 0, wrong = 0;

	g->row = row;
	/* the quick question first */
	system = glibc_word(g, arena + row->system_mem);
	most = glibc_word(g, arena + row->system_mem + row->word);
	top = glibc_word(g, arena + row->top);
	if (!glibc_word(g, arena + row->next) || system > most || system % (2 * row->word) ||
	    !top || !system != (top == arena + row->bins - 2 * row->word) ||
	    (system && system < (glibc_word(g, top + row->word) & ~(taddr_t)CHUNK_FLAGS)))
		return false;
	for (unsigned i = 0; i < ARENA_BINS; i++) {
		taddr_t bin = arena + row->bins + (taddr_t)2 * i * row->word - 2 * row->word;

		if (glibc_word(g, bin + 2 * row->word) == bin &&
		    glibc_word(g, bin + 3 * row->word) == bin)
			empty++;
		else
			wrong += !bin_is_list(g, bin);
	}
	/* (a call that is under way may hold one bin half linked) */
	return empty >= 8 && wrong <= 2 && ring_closes(g, arena);
}

bool glibc_find_arena(struct glibc *g, const struct data *data)
{
	enum { TRIES = 1024 }; /* the first one is it, where there is a main_arena */
	unsigned word = g->word, tries = 0;

	for (size_t at = 2 * word; at + 2 * word <= data->len; at += word) {
		taddr_t self = data->begin + at - 2 * word;

		if (word_at(data->bytes + at, word) != self ||
		    word_at(data->bytes + at + word, word) != self)
			continue;
		if (++tries > TRIES)
			return false;
		/* the first empty bin: it is number i of this or that row */
		for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
			if (rows[r].word != word)
				continue;
			for (unsigned i = 0; i < ARENA_BINS; i++) {
				taddr_t back = rows[r].bins + 2 * i * word;

				if (back <= at &&
				    arena_is_at(g, data->begin + at - back, &rows[r])) {
					g->main = data->begin + at - back;
					return true;
				}
			}
		}
	}
	return false;
}

/* ---- mp_ --------------------------------------------------------------------------- */

/* Do the counters in front of sbrk_base, at `at` in data, make sense as row's? */
static bool parameters_fit(struct glibc *g, const struct data *data, size_t at, size_t row)
{
	const uint8_t *mmaps, *mem;
	uint32_t n, limit, most, fixed;
	uint64_t bytes, most_bytes, unit = glibc_drifts(g) ? 2 * g->word : 4096;

	if (at < 80 / (16 / g->word) + parameter_rows[row].mmaps)
		return false;
	mmaps = data->bytes + at - parameter_rows[row].mmaps;
	mem = data->bytes + at - parameter_rows[row].mmapped;
	n = u32_at(mmaps);
	limit = u32_at(mmaps + 4);
	most = u32_at(mmaps + 8);
	fixed = u32_at(mmaps + 12);
	bytes = word_at(mem, g->word);
	most_bytes = word_at(mem + g->word, g->word);
	if (n > most || most > 1u << 24 || limit > 1u << 30 || fixed > 1 ||
	    bytes > most_bytes || bytes % unit || most_bytes % unit || (n && !bytes) ||
	    (!n && bytes && !glibc_drifts(g)) || !most != !most_bytes)
		return false;
	/* (what nothing was mapped by looks like any zeros: then by the default of the limit)
	 */
	if (!most && limit != 65536)
		return false;
	g->mmaps = n;
	g->mmapped_bytes = bytes;
	return true;
}

/* Does the memory that brk() gave end where main_arena's does, if that begins at sbrk_base? */
static bool ends_with_mapping(const struct glibc *g, taddr_t sbrk_base, taddr_t end)
{
	const struct mapping *mapping = maps_find(g->leak->in.maps, sbrk_base);

	return sbrk_base && mapping && mapping->end == end;
}

/*
 * A block is cut from the top in this order (_int_malloc(), use_top): the top is moved, the block
 * gets its size, the top gets its.  The last of them may be the first write to a page: a process
 * that grows is found at it more often than not, as that takes the kernel longer than all else.
 */
bool glibc_find_parameters(struct glibc *g, const struct data *data)
{
	taddr_t top = glibc_word(g, g->main + g->row->top);
	uint64_t size = glibc_word(g, top + g->word);
	taddr_t end = top + (size & ~(taddr_t)CHUNK_FLAGS);
	uint64_t system = glibc_word(g, g->main + g->row->system_mem);

	g->cuts = !size && system;

	for (size_t at = 0; at + g->word <= data->len; at += g->word) {
		taddr_t value = word_at(data->bytes + at, g->word);

		if (g->cuts	 ? !ends_with_mapping(g, value, value + system) || value > top
		    : system ? value != end - system
				 : value != 0)
			continue;
		for (size_t row = 0; row < ARRAY_SIZE(parameter_rows); row++) {
			if (parameter_rows[row].word == g->word &&
			    parameters_fit(g, data, at, row)) {
				g->sbrk_base = value;
				g->mmapped_at = data->begin + at - parameter_rows[row].mmapped;
				/* (behind tcache_bins and tcache_max_bytes, since 2.26) */
				if (at + 4 * g->word <= data->len)
					g->cache_most = (uint32_t)word_at(
						data->bytes + at + 3 * g->word, g->word);
				return true;
			}
		}
	}
	return false;
}
