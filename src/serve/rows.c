/* Unwind rows are compiled by unwind/cfi.h, which reads files its own way: by their bytes,
 * not by libelf.  Only what is compressed (Debian's debug files are) it is given. */
#include "serve/rows.h"

#include <errno.h>
#include <stdlib.h>

#include "unwind/cfi.h"

struct rows {
	struct memory_file file;
	struct image *image;
	struct cfi *cfi;
};

static bool give_debug_frame(struct rows *rows, const struct elffile *file)
{
	size_t len;
	const uint8_t *bytes = elffile_section_plain(file->debug ? file->debug : file->elf,
						     ".debug_frame", &len);

	return !bytes || image_debug_frame_give(rows->image, bytes, len);
}

int rows_create(const struct elffile *file, struct rows **ret, struct err *err)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	const struct arch *arch;
	int e;

	if (!rows)
		return err_set(err, -ENOMEM, "%s: no memory for unwind data", file->path);
	memory_file_init(&rows->file, file->fd);
	e = image_open(&rows->file.memory, &rows->image, err);
	if (!e && !give_debug_frame(rows, file))
		e = err_set(err, -ENOMEM, "%s: no memory for unwind data", file->path);
	if (!e) {
		arch = arch_find(image_machine(rows->image), image_class(rows->image),
				 image_is_big_endian(rows->image));
		e = arch ? cfi_open(rows->image, arch, &rows->cfi, err)
			 : err_set(err, -ENOENT, "%s: unknown CPU", file->path);
	}
	if (e) {
		rows_destroy(rows);
		return e;
	}
	*ret = rows;
	return 0;
}

void rows_destroy(struct rows *rows)
{
	if (!rows)
		return;
	cfi_close(rows->cfi);
	image_close(rows->image);
	free(rows);
}

void rows_for_each(struct rows *rows, uint64_t begin, uint64_t end,
		   bool (*visit)(void *arg, uint64_t vaddr, const struct row *row), void *arg)
{
	cfi_rows(rows->cfi, begin, end, visit, arg);
}

void rows_copy(struct rows *rows, uint64_t begin, uint64_t end, size_t max,
	       struct cfi_bytes *ret)
{
	cfi_copy(rows->cfi, begin, end, max, ret);
}
