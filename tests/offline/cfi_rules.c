/*
 * The rules of every FDE of .eh_frame, as readelf writes them, for test_big_endian.py:
 *
 *     FDE BEGIN END
 *     BEGIN CFA REG=RULE ...        one line per place on; registers below ARCH_MAX_REGS
 *
 * CFA: r15+160, exp; rules: u, s, c-48, v+0, rN, exp, vexp.  The CPU is whatever the file says:
 * nothing is asked of an architecture but the size and the order of its words (registers are
 * s390x's, for rows that are something; of the others rows are compared with themselves).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "unwind/cfi_parts.h"

static void print_rule(const struct cfi_rule *rule)
{
	switch ((enum cfi_kind)rule->kind) {
	case CFI_UNSPECIFIED:
	case CFI_UNDEFINED:
		printf("u");
		break;
	case CFI_SAME:
		printf("s");
		break;
	case CFI_OFFSET:
		printf("c%+" PRId64, rule->offset);
		break;
	case CFI_VAL_OFFSET:
		printf("v%+" PRId64, rule->offset);
		break;
	case CFI_REGISTER:
		printf("r%u", rule->number);
		break;
	case CFI_EXPRESSION:
		printf("exp");
		break;
	case CFI_VAL_EXPRESSION:
		printf("vexp");
		break;
	}
}

static bool print_rules(void *arg, uint64_t begin, uint64_t end, const struct cfi_rules *rules)
{
	(void)arg;
	(void)end;
	printf("%" PRIx64, begin);
	if (!rules)
		printf(" broken");
	else if (rules->cfa.kind == CFI_REGISTER)
		printf(" r%u%+" PRId64, rules->cfa.number, rules->cfa.offset);
	else
		printf(" exp");
	for (int i = 0; rules && i < ARCH_MAX_REGS; i++) {
		printf(" %d=", i);
		print_rule(&rules->reg[i]);
	}
	printf("\n");
	return false;
}

/* Of each FDE, its first and its last byte by a copy, as memtrace-fs sends it. */
static void print_copy(struct cfi *cfi, const struct arch *arch, const struct cfi_index *index)
{
	struct cfi_bytes bytes = {0};
	struct cfi *copy;
	size_t different = 0;

	cfi_copy(cfi, 0, UINT64_MAX, 1 << 26, &bytes);
	if (cfi_open_copy(bytes.at, bytes.len, arch, &copy, NULL))
		return;
	for (size_t i = 0; i < index->ranges.len; i++)
		for (int last = 0; last < 2; last++) {
			const struct cfi_range *range = &index->ranges.at[i];
			uint64_t at = last ? range->end - 1 : range->begin;
			struct row a, b;
			int failed = cfi_row(cfi, at, &a);

			different += failed != cfi_row(copy, at, &b) ||
				     memcmp(&a, &b, sizeof(a)) != 0;
		}
	printf("copy %zu different %zu\n", index->ranges.len, different);
	cfi_close(copy);
	vec_deinit(&bytes);
}

static struct arch arch_of(const struct image *image)
{
	bool wide = image_class(image) == 2;

	return (struct arch){.name = "the file's",
			     .elf_machine = image_machine(image),
			     .elf_class = image_class(image),
			     .big_endian = image_is_big_endian(image),
			     .word_size = wide ? 8 : 4,
			     .reg_count = ARCH_MAX_REGS,
			     .reg_sp = 15,
			     .reg_fp = 11,
			     .reg_lr = 14};
}

int main(int argc, char **argv)
{
	const struct cfi_index *index;
	struct memory_file file;
	struct image *image;
	struct arch arch;
	struct cfi *cfi;
	struct err err;

	if (argc != 2)
		return 2;
	memory_file_init(&file, open(argv[1], O_RDONLY));
	if (image_open(&file.memory, &image, &err)) {
		fprintf(stderr, "%s: %s\n", argv[1], err.text);
		return 1;
	}
	arch = arch_of(image);
	if (cfi_open(image, &arch, &cfi, &err)) {
		fprintf(stderr, "%s: %s\n", argv[1], err.text);
		return 1;
	}
	index = cfi_table_index(cfi, &cfi->eh_frame, &cfi->eh_index);
	for (size_t i = 0; i < index->ranges.len; i++) {
		const struct cfi_range *range = &index->ranges.at[i];
		struct cfi_fde fde;

		if (cfi_entry_fde(cfi, &cfi->eh_frame, range->offset, &fde))
			return 1;
		/* The same by the file's own table, where there is one. */
		if (cfi_table_find(cfi, range->begin, &fde) || fde.begin != range->begin)
			return 1;
		printf("FDE %" PRIx64 " %" PRIx64 "\n", fde.begin, fde.end);
		cfi_program_each(cfi, &fde, fde.begin, print_rules, NULL);
	}
	print_copy(cfi, &arch, index);
	printf("hdr %zu\n", cfi->hdr_table ? cfi->hdr_count : 0);
	cfi_close(cfi);
	image_close(image);
	return 0;
}
