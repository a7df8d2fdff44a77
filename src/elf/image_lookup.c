/*
 * Symbols by name and by address.
 *
 * By name: DT_GNU_HASH is a bloom filter and a hash table over .dynsym; most files
 * don't define the name, and are left after one word of the filter.  A name may have
 * several versions; the default one (not "hidden" in .gnu.version) is preferred.
 * What is not in .dynsym is searched in .symtab from front to back.
 *
 * By address: an index built once, sorted by address, one entry per address (of
 * aliases the name a user would know).  Functions may nest (assembler labels), so an
 * entry also knows how far any entry before it reaches: the search backwards from
 * the nearest entry stops where nothing can reach the address any more.  A symbol without
 * a size (assembler code) reaches to the next one, if .symtab is there: it names all code.
 * .dynsym does not: there such a symbol names its one address.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "elf/image.h"
#include "elf/image_symbols.h"

void image_for_each_symbol(struct image *image,
			   bool (*visit)(void *arg, const struct image_symbol *), void *arg)
{
	const struct image_table *tables[] = {image_dynamic_table(image),
					      image_static_table(image)};
	struct image_symbol symbol;

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (size_t i = 0; i < tables[t]->count; i++) {
			if (image_table_symbol(image, tables[t], i, &symbol) &&
			    visit(arg, &symbol))
				return;
		}
	}
}

/* ---- by name --------------------------------------------------------------------- */

/* The best symbol found so far: default versions before hidden ones, functions
 * before untyped labels, global before local. */
struct search {
	struct image *image;
	const struct image_table *table;
	const char *name;
	int rank; /* 0: nothing found */
	struct image_symbol best;
};

static bool is_hidden(const struct image *image, const struct image_table *t, size_t index)
{
	return t->versions && (t->versions[index * 2 + !image->big] & 0x80);
}

static void consider(struct search *search, size_t index)
{
	struct image_symbol symbol;
	int rank = 1;

	if (!image_table_is_named(search->image, search->table, index, search->name) ||
	    !image_table_symbol(search->image, search->table, index, &symbol) ||
	    !image_symbol_is_function(search->image, &symbol))
		return;
	rank += is_hidden(search->image, search->table, index) ? 0 : 4;
	rank += symbol.bind == STB_LOCAL ? 0 : 2;
	rank += symbol.type == STT_NOTYPE ? 0 : 1;
	if (rank > search->rank) {
		search->rank = rank;
		search->best = symbol;
	}
}

static uint32_t gnu_hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (uint8_t)*name;
	return hash;
}

static uint64_t table_word(const struct image *image, uint64_t at, unsigned width)
{
	struct cursor c =
		image_cursor(image, image->symbols.gnu_hash, image->symbols.gnu_hash_len);

	cursor_bytes(&c, at);
	return cursor_uint(&c, width);
}

static void search_gnu_hash(struct search *search)
{
	size_t len = search->image->symbols.gnu_hash_len;
	unsigned width = search->image->class == ELFCLASS32 ? 4 : 8, bits = width * 8;
	uint32_t buckets = (uint32_t)table_word(search->image, 0, 4);
	uint32_t first = (uint32_t)table_word(search->image, 4, 4);
	uint32_t words = (uint32_t)table_word(search->image, 8, 4);
	uint32_t shift = (uint32_t)table_word(search->image, 12, 4);
	uint32_t hash = gnu_hash_of(search->name);
	uint64_t chains = 16 + (uint64_t)words * width + (uint64_t)buckets * 4, filter, index;

	if (!buckets) /* a process may have changed it since it was looked at */
		return;
	if (words) {
		filter = table_word(search->image, 16 + (uint64_t)(hash / bits % words) * width,
				    width);
		if (!(filter >> (hash % bits) & filter >> ((hash >> (shift & 31)) % bits) & 1))
			return;
	}
	index = table_word(search->image, 16 + (uint64_t)words * width + hash % buckets * 4ull,
			   4);
	for (; index >= first && chains + (index - first) * 4 + 4 <= len; index++) {
		uint32_t other =
			(uint32_t)table_word(search->image, chains + (index - first) * 4, 4);

		if ((other | 1) == (hash | 1))
			consider(search, index);
		if (other & 1)
			return;
	}
}

bool image_symbol_find(struct image *image, const char *name, struct image_symbol *ret)
{
	struct search search = {
		.image = image, .table = image_dynamic_table(image), .name = name};

	if (image->symbols.gnu_hash) {
		search_gnu_hash(&search);
	} else {
		for (size_t i = 0; i < search.table->count; i++)
			consider(&search, i);
	}
	if (!search.rank) {
		search.table = image_static_table(image);
		for (size_t i = 0; i < search.table->count; i++)
			consider(&search, i);
	}
	if (search.rank)
		*ret = search.best;
	return search.rank != 0;
}

/* ---- by address ------------------------------------------------------------------ */

/* How many may begin within a function, before vaddr: no function of known size has more.
 */
enum { LIMIT_NEST = 1000 };

static bool is_local(const struct image_symbol *symbol)
{
	return symbol->bind == STB_LOCAL || symbol->hidden;
}

/* Which of two names of one address a user knows: negative: a, positive: b. */
static int compare_names(const struct image_symbol *a, const struct image_symbol *b)
{
	size_t a_underscores = strspn(a->name, "_"), b_underscores = strspn(b->name, "_");

	if (!a->size != !b->size)
		return a->size ? -1 : 1;
	if ((a->type == STT_NOTYPE) != (b->type == STT_NOTYPE))
		return b->type == STT_NOTYPE ? -1 : 1;
	if (is_local(a) != is_local(b))
		return is_local(b) ? -1 : 1;
	if (a->dynamic != b->dynamic)
		return a->dynamic ? -1 : 1;
	if (a_underscores != b_underscores)
		return a_underscores < b_underscores ? -1 : 1;
	return strcmp(a->name, b->name);
}

static bool symbol_of(struct image *image, const struct image_function *f,
		      struct image_symbol *ret)
{
	return image_table_symbol(image,
				  f->dynamic ? &image->symbols.dynamic : &image->symbols.fixed,
				  f->index, ret);
}

static int by_value(const void *a, const void *b, void *arg)
{
	const struct image_function *left = a, *right = b;
	struct image_symbol left_symbol, right_symbol;

	if (left->value != right->value)
		return left->value < right->value ? -1 : 1;
	if (left->dynamic == right->dynamic && left->index == right->index)
		return 0;
	if (!symbol_of(arg, left, &left_symbol) || !symbol_of(arg, right, &right_symbol))
		return 0;
	return compare_names(&left_symbol, &right_symbol);
}

static void add_functions(struct image *image, const struct image_table *t)
{
	struct image_symbol symbol;

	for (size_t i = 0; i < t->count && i < UINT32_MAX; i++) {
		struct image_function f = {.index = (uint32_t)i, .dynamic = t->dynamic};

		if (!image_table_symbol(image, t, i, &symbol) ||
		    !image_symbol_is_function(image, &symbol))
			continue;
		f.value = symbol.value;
		f.end = symbol.size > UINT64_MAX - f.value ? UINT64_MAX : f.value + symbol.size;
		if (!vec_push(&image->symbols.index, f))
			return;
	}
}

static void build_index(struct image *image)
{
	struct image_symbols *s = &image->symbols;
	size_t kept = 0;

	if (s->asked_index)
		return;
	s->asked_index = true;
	add_functions(image, image_dynamic_table(image));
	add_functions(image, image_static_table(image));
	if (s->index.len)
		qsort_r(s->index.at, s->index.len, sizeof(s->index.at[0]), by_value, image);
	for (size_t i = 0; i < s->index.len; i++) {
		struct image_function f = s->index.at[i];

		if (kept && s->index.at[kept - 1].value == f.value)
			continue;
		f.max_end = f.end;
		if (kept && s->index.at[kept - 1].max_end > f.max_end)
			f.max_end = s->index.at[kept - 1].max_end;
		s->index.at[kept++] = f;
	}
	s->index.len = kept;
}

static bool same_segment(const struct image *image, uint64_t a, uint64_t b)
{
	for (size_t i = 0; i < image->segments.len; i++) {
		const struct image_segment *s = &image->segments.at[i];

		if (a >= s->vaddr && a - s->vaddr < s->mem_size)
			return b >= s->vaddr && b - s->vaddr < s->mem_size;
	}
	return false;
}

bool image_symbol_at(struct image *image, uint64_t vaddr, struct image_symbol *ret)
{
	const struct image_function *index;
	size_t low;

	build_index(image);
	index = image->symbols.index.at;
	low = order_count(image->symbols.index.len, i, index[i].value <= vaddr);
	for (size_t i = low; i > 0 && low - i < LIMIT_NEST && index[i - 1].max_end > vaddr;
	     i--) {
		if (index[i - 1].end > vaddr)
			return symbol_of(image, &index[i - 1], ret);
	}
	if (!low || index[low - 1].end != index[low - 1].value ||
	    !same_segment(image, index[low - 1].value, vaddr))
		return false;
	if (index[low - 1].value != vaddr && !image_static_table(image)->count)
		return false;
	return symbol_of(image, &index[low - 1], ret);
}
