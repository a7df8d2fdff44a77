/*
 * Every entry of .ARM.exidx as `readelf -u` of binutils prints it: one line of
 * function, `;` and the instructions, for a comparison line by line.
 *
 *     exidx_dump FILE
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unwind/exidx_parts.h"

/* D8, D8-D9. */
static void print_registers(const char *prefix, unsigned first, unsigned count)
{
	printf("pop {%s%u", prefix, first);
	if (count > 1)
		printf("-%s%u", prefix, first + count - 1);
	printf("}");
}

static void print_mask(const char *prefix, unsigned mask)
{
	const char *separator = "";

	printf("pop {");
	for (unsigned i = 0; i < 16; i++) {
		if (mask >> i & 1) {
			printf("%s%s%u", separator, prefix, i);
			separator = ", ";
		}
	}
	printf("}");
}

static void print_op(const struct exidx_op *op)
{
	switch ((enum exidx_kind)op->kind) {
	case EXIDX_FINISH:
		printf("finish");
		break;
	case EXIDX_ADD:
		printf("vsp = vsp %c %" PRId64, op->number < 0 ? '-' : '+',
		       op->number < 0 ? -op->number : op->number);
		break;
	case EXIDX_SET:
		printf("vsp = r%" PRId64, op->number);
		break;
	case EXIDX_POP:
		print_mask("r", op->mask);
		break;
	case EXIDX_VFP:
	case EXIDX_VFP_X:
		print_registers("D", op->first, (unsigned)op->number / 8);
		break;
	case EXIDX_WMMX:
		if (op->mask)
			print_mask("wCGR", op->mask);
		else
			print_registers("wR", op->first, (unsigned)op->number / 8);
		break;
	case EXIDX_AUTH:
		printf("pop {ra_auth_code}");
		break;
	case EXIDX_AUTH_VSP:
		printf("vsp as modifier for PAC validation");
		break;
	case EXIDX_REFUSE:
		printf("Refuse to unwind");
		break;
	case EXIDX_SPARE:
		printf("[Spare]");
		break;
	}
}

static void dump(const struct exidx *exidx, size_t index)
{
	struct exidx_entry entry;
	struct exidx_ops ops;
	struct exidx_op op;

	if (!exidx_entry(exidx, index, &entry)) {
		printf("broken\n");
		return;
	}
	printf("%" PRIx64, entry.begin);
	if (entry.cantunwind) {
		printf(";cantunwind\n");
		return;
	}
	if (exidx_ops_begin(exidx, &entry, &ops)) {
		printf(";broken\n");
		return;
	}
	/* Also behind a "finish": all bytes there are. */
	while (ops.left || ops.words) {
		if (exidx_ops_next(&ops, &op)) {
			printf(";broken");
			break;
		}
		printf(";");
		print_op(&op);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	struct memory_file file;
	struct image *image;
	struct exidx *exidx;
	struct err err;

	if (argc != 2)
		return 2;
	memory_file_init(&file, open(argv[1], O_RDONLY | O_CLOEXEC));
	if (file.fd < 0 || image_open(&file.memory, &image, &err) ||
	    exidx_open(image, &exidx, &err)) {
		fprintf(stderr, "%s: cannot be read\n", argv[1]);
		return 2;
	}
	for (size_t i = 0; i < exidx_count(exidx); i++)
		dump(exidx, i);
	exidx_close(exidx);
	image_close(image);
	close(file.fd);
	return 0;
}
