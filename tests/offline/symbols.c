/*
 * What src/elf reads of a file, as text for test_symbols.py:
 *
 *     build-id HEX | build-id -
 *     d|s VALUE SIZE TYPE BIND NAME       one line per symbol: .dynsym, .symtab
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "elf/image.h"

static bool print_symbol(void *arg, const struct image_symbol *s)
{
	(void)arg;
	printf("%c %" PRIx64 " %" PRIu64 " %u %u %s\n", s->dynamic ? 'd' : 's', s->value,
	       s->size, s->type, s->bind, s->name);
	return false;
}

int main(int argc, char **argv)
{
	struct memory_file file;
	struct image *image;
	struct err err;
	const uint8_t *id;
	size_t len;

	if (argc != 2)
		return 2;
	memory_file_init(&file, open(argv[1], O_RDONLY));
	if (image_open(&file.memory, &image, &err)) {
		fprintf(stderr, "%s: %s\n", argv[1], err.text);
		return 1;
	}
	id = image_build_id(image, &len);
	printf("build-id %s", id ? "" : "-");
	for (size_t i = 0; i < len; i++)
		printf("%02x", id[i]);
	printf("\n");
	image_for_each_symbol(image, print_symbol, NULL);
	image_close(image);
	return 0;
}
