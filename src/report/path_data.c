/* Places in modules' data, in words; see path_data.h. */
#include "report/path_data.h"

#include <elf.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "elf/image.h"
#include "report/cxx_name.h"
#include "report/utf8.h"

struct looking {
	uint64_t vaddr;
	const char *name;
	uint64_t value, size;
};

static bool covers(void *arg, const struct image_symbol *symbol)
{
	struct looking *l = arg;

	if (symbol->type != STT_OBJECT || l->vaddr < symbol->value ||
	    l->vaddr - symbol->value >= (symbol->size ? symbol->size : 1))
		return false;
	l->name = symbol->name;
	l->value = symbol->value;
	l->size = symbol->size ? symbol->size : 1;
	return true;
}

static struct looking look_up(const struct leak_place *place)
{
	struct looking l = {.vaddr = place->offset};

	if (place->module && place->module->image)
		image_for_each_symbol(place->module->image, covers, &l);
	return l;
}

/* "_ZN3app5cacheE", "_ZL5cache" (static in its file). */
static void print_symbol(FILE *out, const char *name)
{
	const char *mangled = strncmp(name, "_Z", 2) ? "" : name + 2;

	if (!cxx_name_print(out, mangled + (*mangled == 'L'), SIZE_MAX))
		utf8_print(out, name);
}

static void print_section(FILE *out, const struct leak_place *place)
{
	const char *path = place->module ? place->module->id.path : "?";
	const char *slash = strrchr(path, '/');

	utf8_print(out, slash ? slash + 1 : path);
	fprintf(out, " %s", place->section ? place->section : "data");
}

void path_data_place(FILE *out, const struct leak_place *place)
{
	struct looking l = look_up(place);

	if (l.name) {
		print_symbol(out, l.name);
		if (l.vaddr != l.value)
			fprintf(out, "+0x%" PRIx64, l.vaddr - l.value);
		fputs(" (", out);
	}
	print_section(out, place);
	fprintf(out, " 0x%" PRIx64, place->offset);
	if (l.name)
		putc(')', out);
}

bool path_data_area(const struct leak_place *place, taddr_t *begin, taddr_t *end)
{
	struct looking l = look_up(place);
	const struct image_segment *segments;
	size_t count = 0;

	if (place->kind != LEAK_IN_DATA || !place->module || !place->module->image)
		return false;
	if (l.name) {
		*begin = place->at - (l.vaddr - l.value);
		*end = *begin + l.size;
		return true;
	}
	segments = image_segments(place->module->image, &count);
	for (size_t i = 0; i < count; i++) {
		const struct image_segment *s = &segments[i];
		uint64_t in = place->offset - s->vaddr;

		if (in >= s->mem_size)
			continue;
		*begin = place->at - in + (in < s->file_size ? 0 : s->file_size);
		*end = place->at - in + (in < s->file_size ? s->file_size : s->mem_size);
		return true;
	}
	return false;
}

void path_data_area_name(FILE *out, const struct leak_place *place)
{
	struct looking l = look_up(place);

	if (l.name)
		print_symbol(out, l.name);
	else
		print_section(out, place);
}
