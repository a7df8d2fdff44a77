/*
 * Compressed sections, and sections by other names.
 *
 * libdw unpacks every compressed debug section of a file when it is opened, whatever it grows
 * to, so their sizes are added up before (ELF, "Section Compression": they stand in front of
 * the bytes, and unpacking stops there).  zlib makes at most 1032 bytes of one, debug
 * information of compilers five to ten.
 *
 * zstd (ELFCOMPRESS_ZSTD, 2022) is unknown to libelf before 0.189 and wherever it was built
 * without; libzstd is loaded when the first such file is met.  What was unpacked is then given
 * to libdw as the sections of an ELF file in memory:
 *
 *     header | bytes of each section, from 16 to 16 | names | section headers
 *
 * of 64 bits whatever the program is: DWARF says the size of an address itself.
 */
#include "serve/packed.h"

#include <dlfcn.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	ZSTD = 2, /* ELFCOMPRESS_ZSTD */
	MAX_PIECES = 32,
	FREE_BYTES = 64 << 20,
	MAX_RATIO = 64, /* of all that a file unpacks to, beyond the free bytes */
};
#define MAX_BYTES (16ull << 30)

typedef size_t zstd_decompress_fn(void *to, size_t room, const void *from, size_t len);

static zstd_decompress_fn *zstd(void)
{
	static void *library;
	zstd_decompress_fn *decompress = NULL;

	if (!library)
		library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
	if (library)
		*(void **)&decompress = dlsym(library, "ZSTD_decompress");
	return decompress;
}

void packed_prepare(void)
{
	zstd();
}

/* ---- an ELF file in memory -------------------------------------------------------------- */

static size_t size_of(const struct packed_piece *piece)
{
	return piece->zstd ? piece->plain : piece->len;
}

static size_t aligned(size_t at)
{
	return (at + 15) & ~(size_t)15;
}

static int fill(const struct packed_piece *piece, uint8_t *to)
{
	zstd_decompress_fn *decompress;

	if (!piece->zstd) {
		memcpy(to, piece->bytes, piece->len);
		return 0;
	}
	decompress = zstd();
	if (!decompress)
		return -ENOSYS;
	return decompress(to, piece->plain, piece->bytes, piece->len) == piece->plain ? 0
										      : -EINVAL;
}

/* The headers around the pieces, which begin behind the ELF header. */
static void write_headers(const struct packed_piece *pieces, size_t count, uint8_t *image,
			  size_t names, size_t headers)
{
	Elf64_Ehdr *ehdr = (Elf64_Ehdr *)image;
	Elf64_Shdr *shdr = (Elf64_Shdr *)(image + headers);
	size_t at = sizeof(*ehdr), name = 1;

	memcpy(ehdr->e_ident, ELFMAG, SELFMAG);
	ehdr->e_ident[EI_CLASS] = ELFCLASS64;
	ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
	ehdr->e_ident[EI_VERSION] = EV_CURRENT;
	ehdr->e_type = ET_EXEC;
	ehdr->e_version = EV_CURRENT;
	ehdr->e_ehsize = sizeof(*ehdr);
	ehdr->e_shentsize = sizeof(*shdr);
	ehdr->e_shoff = headers;
	ehdr->e_shnum = (Elf64_Half)(count + 2);
	ehdr->e_shstrndx = (Elf64_Half)(count + 1);
	for (size_t i = 0; i <= count; i++) {
		const char *text = i < count ? pieces[i].name : ".shstrtab";
		size_t size = i < count ? size_of(&pieces[i]) : headers - names;
		shdr[i + 1] = (Elf64_Shdr){.sh_name = (Elf64_Word)name,
					   .sh_type = i < count ? SHT_PROGBITS : SHT_STRTAB,
					   .sh_offset = i < count ? at : names,
					   .sh_size = size,
					   .sh_addralign = 1};
		strcpy((char *)image + names + name, text);
		name += strlen(text) + 1;
		at = aligned(at + size);
	}
}

int packed_create(const struct packed_piece *pieces, size_t count, struct packed *ret)
{
	size_t names = sizeof(Elf64_Ehdr), headers, len, at = names;
	uint8_t *image;
	int e = 0;

	for (size_t i = 0; i < count; i++)
		names = aligned(names + size_of(&pieces[i]));
	headers = names + 1 + sizeof(".shstrtab");
	for (size_t i = 0; i < count; i++)
		headers += strlen(pieces[i].name) + 1;
	headers = aligned(headers);
	len = headers + (count + 2) * sizeof(Elf64_Shdr);
	image = calloc(1, len);
	if (!image)
		return -ENOMEM;
	for (size_t i = 0; i < count && !e; i++) {
		e = fill(&pieces[i], image + at);
		at = aligned(at + size_of(&pieces[i]));
	}
	write_headers(pieces, count, image, names, headers);
	elf_version(EV_CURRENT);
	*ret = (struct packed){e ? NULL : elf_memory((char *)image, len), image};
	if (!e && !ret->elf)
		e = -ENOMEM;
	if (e)
		packed_deinit(ret);
	return e;
}

void packed_deinit(struct packed *packed)
{
	elf_end(packed->elf);
	free(packed->image);
	*packed = (struct packed){};
}

/* ---- compressed sections ---------------------------------------------------------------- */

/* The bytes a section says that it has when unpacked; 0: it is not compressed. */
static uint64_t plain_size(Elf_Scn *scn, const GElf_Shdr *shdr, const char *name)
{
	Elf_Data *data;
	GElf_Chdr chdr;
	uint64_t size = 0;

	if (shdr->sh_flags & SHF_COMPRESSED)
		return gelf_getchdr(scn, &chdr) ? chdr.ch_size : 0;
	/* The older form, of GNU: "ZLIB" and the size, big-endian. */
	data = name && !strncmp(name, ".zdebug", 7) ? elf_rawdata(scn, NULL) : NULL;
	if (data && data->d_buf && data->d_size >= 12 && !memcmp(data->d_buf, "ZLIB", 4))
		for (int i = 4; i < 12; i++)
			size = size << 8 | ((const uint8_t *)data->d_buf)[i];
	return size;
}

int packed_check(const struct elffile *file, struct err *err)
{
	uint64_t sum = 0;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	struct stat st;
	size_t names;

	if (fstat(file->fd, &st) < 0 || elf_getshdrstrndx(file->elf, &names) < 0)
		return 0;
	while ((scn = elf_nextscn(file->elf, scn))) {
		uint64_t size;
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS)
			continue;
		size = plain_size(scn, &shdr, elf_strptr(file->elf, names, shdr.sh_name));
		sum = size > UINT64_MAX - sum ? UINT64_MAX : sum + size;
	}
	if (sum <= FREE_BYTES || (sum <= MAX_BYTES && sum / MAX_RATIO <= (uint64_t)st.st_size))
		return 0;
	return err_set(err, -EFBIG,
		       "%s: is not read: its compressed sections would take %llu MB, and the "
		       "file has %llu KB",
		       file->path, (unsigned long long)(sum >> 20),
		       (unsigned long long)st.st_size >> 10);
}

/* Takes a debug section; false: it can't be had. */
static bool take_piece(Elf_Scn *scn, const GElf_Shdr *shdr, const char *name, size_t head,
		       struct packed_piece *ret)
{
	bool compressed = shdr->sh_flags & SHF_COMPRESSED;
	GElf_Chdr chdr = {};
	Elf_Data *data;

	if (compressed && !gelf_getchdr(scn, &chdr))
		return false;
	if (compressed && elf_compress(scn, 0, 0) >= 0) /* this libelf can */
		compressed = false;
	data = elf_rawdata(scn, NULL);
	if (!data || !data->d_buf || (compressed && data->d_size < head))
		return false;
	*ret = (struct packed_piece){.name = name, .bytes = data->d_buf, .len = data->d_size};
	if (compressed) {
		ret->bytes += head;
		ret->len -= head;
		ret->plain = chdr.ch_size;
		ret->zstd = true;
	}
	return !compressed || chdr.ch_type == ZSTD;
}

static bool has_zstd(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Chdr chdr;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &shdr) && (shdr.sh_flags & SHF_COMPRESSED) &&
		    gelf_getchdr(scn, &chdr) && chdr.ch_type == ZSTD)
			return true;
	return false;
}

/* Puts the debug sections into file->debug.  0, or why not. */
static int unpack(struct elffile *file, struct err *err)
{
	size_t head = gelf_getclass(file->elf) == ELFCLASS32 ? sizeof(Elf32_Chdr)
							     : sizeof(Elf64_Chdr);
	struct packed_piece pieces[MAX_PIECES];
	struct packed packed;
	size_t count = 0, names;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	int e = elf_getshdrstrndx(file->elf, &names) < 0 ? -EINVAL : 0;

	while (!e && count < MAX_PIECES && (scn = elf_nextscn(file->elf, scn))) {
		const char *name = gelf_getshdr(scn, &shdr)
					   ? elf_strptr(file->elf, names, shdr.sh_name)
					   : NULL;
		if (name && !strncmp(name, ".debug_", 7) && shdr.sh_type != SHT_NOBITS &&
		    take_piece(scn, &shdr, name, head, &pieces[count]))
			count++;
	}
	if (!e)
		e = packed_create(pieces, count, &packed);
	if (e == -ENOSYS)
		return err_set(
			err, e,
			"%s: has no lines: zstd has compressed its debug information, and "
			"libzstd.so.1 is not installed",
			file->path);
	if (e)
		return err_sys(err, e, "%s: its compressed debug information", file->path);
	file->debug = packed.elf;
	file->debug_image = packed.image;
	return 0;
}

Elf *packed_debug(struct elffile *file, struct err *err)
{
	if (packed_check(file, err))
		return NULL;
	if (!file->debug && has_zstd(file->elf) && unpack(file, err))
		return NULL;
	return file->debug ? file->debug : file->elf;
}
