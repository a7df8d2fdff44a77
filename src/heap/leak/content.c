/*
 * What is in a block that nobody saw allocated.  An object with virtual functions begins with a
 * pointer to its class' table, in front of which there is a pointer to its type_info, whose
 * second word is the class' name (Itanium C++ ABI, 2.5.2, 2.9.4): that works in a stripped
 * program, too. Without run-time types there may be the table's symbol, _ZTV...
 */
#include <elf.h>
#include <string.h>

#include "heap/leak/parts.h"

/* ---- classes -------------------------------------------------------------------------- */

/* Memory of a file's that nobody writes once it is relocated. */
static bool is_constant(const struct leak *leak, taddr_t addr)
{
	const struct mapping *mapping = maps_find(leak->in.maps, addr);

	return mapping && mapping->read && mapping->path[0] == '/' &&
	       modules_find(leak->in.modules, addr);
}

static bool is_code(const struct leak *leak, taddr_t addr)
{
	const struct mapping *mapping = maps_find(leak->in.maps, addr);

	return mapping && mapping->exec;
}

/* A mangled name: printable, without blanks, and begins as types do. */
static bool name_read(struct leak *leak, taddr_t at, char *ret, size_t room)
{
	size_t len = 0;
	const uint8_t *c;

	for (; len + 1 < room && (c = reader_bytes(&leak->jump, at + len, 1)); len++) {
		if (*c <= ' ' || *c > '~')
			break;
		ret[len] = (char)*c;
	}
	c = reader_bytes(&leak->jump, at + len, 1);
	ret[len] = '\0';
	if (!len || !c || (*c && len + 1 < room))
		return false;
	if (ret[0] == '*') /* compared by its address: a type of one file's */
		memmove(ret, ret + 1, len);
	return strchr("0123456789NSZI", ret[0]) && ret[0];
}

static bool class_by_type(struct leak *leak, taddr_t table, char *ret, size_t room)
{
	unsigned word = leak->in.cpu.word;
	taddr_t top, type = reader_word_or_0(&leak->jump, table - word), name;

	if (!reader_word(&leak->jump, table - 2 * word, &top) || top || !type ||
	    !is_constant(leak, type))
		return false;
	name = reader_word_or_0(&leak->jump, type + word);
	return name && is_constant(leak, name) &&
	       is_constant(leak, reader_word_or_0(&leak->jump, type)) &&
	       name_read(leak, name, ret, room);
}

struct table_search {
	uint64_t value;
	char *ret;
	size_t room;
	bool found;
};

static bool is_table(void *arg, const struct image_symbol *symbol)
{
	struct table_search *search = arg;
	size_t len;

	if (symbol->type != STT_OBJECT || symbol->value != search->value ||
	    strncmp(symbol->name, "_ZTV", 4))
		return false;
	len = strnlen(symbol->name + 4, search->room - 1);
	memcpy(search->ret, symbol->name + 4, len);
	search->ret[len] = '\0';
	return search->found = true;
}

static bool class_by_symbol(struct leak *leak, taddr_t table, char *ret, size_t room)
{
	const struct module *module = modules_find(leak->in.modules, table);
	struct table_search search = {.ret = ret, .room = room};

	if (!module || !module->image)
		return false;
	search.value = table - 2 * leak->in.cpu.word - module->bias;
	image_for_each_symbol(module->image, is_table, &search);
	return search.found;
}

static bool class_of(struct leak *leak, uint32_t block, char *ret, size_t room)
{
	unsigned word = leak->in.cpu.word;
	taddr_t table, function;

	if (leak_size(leak, block) < word ||
	    !reader_word(&leak->jump, index_addr(&leak->index, block), &table) ||
	    table % word || !is_constant(leak, table) ||
	    !reader_word(&leak->jump, table, &function) || !is_code(leak, function))
		return false;
	return class_by_type(leak, table, ret, room) || class_by_symbol(leak, table, ret, room);
}

/* ---- anything else -------------------------------------------------------------------- */

static bool is_printable(uint8_t c)
{
	return (c >= ' ' && c <= '~') || c == '\n' || c == '\t' || c == '\r';
}

/* A pointer whose bytes happen to be printable is no text: "P.=;fU" is 0x55663b3d2e50. */
static bool begins_with_pointer(const struct leak *leak, const uint8_t *bytes, size_t len)
{
	unsigned word = leak->in.cpu.word;

	return len >= word && leak_target(leak, word_at(bytes, word)) != LEAK_NONE;
}

/* Text that goes to a zero, or to the block's end; four bytes at least. */
static bool text_of(const uint8_t *bytes, size_t len, char *ret, size_t room)
{
	size_t n = 0, k = 0;

	while (n < len && is_printable(bytes[n]))
		n++;
	if (n < 4 || (n < len && bytes[n]))
		return false;
	for (; k < n && k + 1 < room; k++)
		ret[k] = bytes[k] < ' ' ? ' ' : (char)bytes[k];
	ret[k] = '\0';
	return true;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static bool owner_of(struct leak *leak, uint32_t block, char *ret, size_t room)
{
	uint32_t owner = leak->parent[block];

	if (leak->state[block] & STATE_HELD && owner & PARENT_ROOT)
		return false;
	return owner != block && class_of(leak, owner, ret, room);
}

void leak_content(struct leak *leak, uint32_t index, struct leak_content *ret)
{
	struct leak_place head;
	uint8_t bytes[256];
	uint64_t size = leak_size(leak, index);
	size_t len = size < sizeof(bytes) ? (size_t)size : sizeof(bytes);

	*ret = (struct leak_content){.kind = LEAK_UNKNOWN};
	for (uint32_t e = leak->first[index]; e < leak->first[index + 1]; e++)
		ret->pointers += (leak->edges.at[e] & ~LEAK_INTERIOR) != index;
	if (!len || !reader_copy(&leak->jump, index_addr(&leak->index, index), bytes, len))
		return;
	if (class_of(leak, index, ret->text, sizeof(ret->text)))
		ret->kind = LEAK_CLASS;
	else if (!begins_with_pointer(leak, bytes, len) &&
		 text_of(bytes, len, ret->text, sizeof(ret->text)))
		ret->kind = LEAK_TEXT;
	else if (owner_of(leak, index, ret->text, sizeof(ret->text)))
		ret->kind = LEAK_OWNED;
	else if (leak_list_head(leak, index, &head))
		ret->kind = LEAK_LIST_NODE;
	else if (ret->pointers)
		ret->kind = LEAK_NODE;
	else if (is_zero(bytes, len))
		ret->kind = LEAK_ZERO;
}
