/* Opening the unwind data of one image: which sections there are. */
#include "unwind/cfi.h"

#include <errno.h>
#include <stdlib.h>

#include "unwind/cfi_parts.h"

static struct cfi *create(struct image *image, const struct arch *arch)
{
	struct cfi *cfi = calloc(1, sizeof(*cfi));

	if (!cfi)
		return NULL;
	cfi->image = image;
	cfi->arch = arch;
	cfi->mask = arch->word_size == 4 ? UINT32_MAX : UINT64_MAX;
	return cfi;
}

int cfi_open_bytes(const uint8_t *bytes, size_t len, uint64_t vaddr, uint64_t text, bool eh,
		   const struct arch *arch, struct cfi **ret, struct err *err)
{
	struct cfi *cfi = create(NULL, arch);

	if (!cfi)
		return err_sys(err, -ENOMEM, "reading unwind data");
	*(eh ? &cfi->eh_frame : &cfi->debug_frame) =
		(struct cfi_section){.data = {bytes, len, vaddr}, .eh = eh};
	cfi->text = text;
	*ret = cfi;
	return 0;
}

int cfi_open_copy(const uint8_t *bytes, size_t len, const struct arch *arch, struct cfi **ret,
		  struct err *err)
{
	return cfi_open_bytes(bytes, len, 0, 0, false, arch, ret, err);
}

bool cfi_is_for(const struct image *image, const struct arch *arch)
{
	return image_machine(image) == arch->elf_machine && !image_is_other_abi(image) &&
	       image_class(image) == arch->elf_class &&
	       image_is_big_endian(image) == arch->big_endian;
}

int cfi_open(struct image *image, const struct arch *arch, struct cfi **ret, struct err *err)
{
	struct cfi *cfi;

	if (!cfi_is_for(image, arch))
		return err_set(err, -EINVAL, "the file is for another CPU than %s", arch->name);
	cfi = create(image, arch);
	if (!cfi)
		return err_sys(err, -ENOMEM, "reading unwind data");
	cfi->eh_frame = (struct cfi_section){.data = *image_eh_frame(image), .eh = true};
	cfi->debug_frame = (struct cfi_section){.data = *image_debug_frame(image)};
	if (!cfi->eh_frame.data.bytes && !cfi->debug_frame.data.bytes) {
		cfi_close(cfi);
		return err_set(err, -ENOENT,
			       "the file has no unwind data (.eh_frame, .debug_frame)");
	}
	cfi_table_open(cfi);
	cfi_switch_open(cfi);
	*ret = cfi;
	return 0;
}

void cfi_close(struct cfi *cfi)
{
	if (!cfi)
		return;
	cfi_table_close(cfi);
	free(cfi);
}
