/*
 * ELF files and their identity.
 *
 * Two files are one build when their build-ids are equal.  Where one has none (Buildroot's
 * reproducible builds, OpenWrt), everything that stripping leaves alone must agree: the
 * segments that are loaded, the dynamic symbols, the bytes of .text.  A pure debug file
 * has the latter as empty shells (SHT_NOBITS): then their addresses and sizes must agree.
 */
#include "serve/elffile.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <unistd.h>

#include <elfutils/libdwelf.h>

#include "base/text.h"

enum {
	MAX_PLAIN = 256 << 20, /* of a section that says how large it is decompressed */
	MAX_UNPACKED = 128 << 20,
};

static int build_id_read(struct elffile *file)
{
	const void *id;
	ssize_t len = dwelf_elf_gnu_build_id(file->elf, &id);

	if (len > 0 && len <= ELFFILE_MAX_BUILD_ID) {
		memcpy(file->build_id, id, (size_t)len);
		file->build_id_len = (uint8_t)len;
	}
	return 0;
}

/* Takes fd and elf over, also on failure. */
static int create(int fd, Elf *elf, const char *name, struct elffile **ret, struct err *err)
{
	struct elffile *file = calloc(1, sizeof(*file));
	bool is_elf = elf && elf_kind(elf) == ELF_K_ELF;
	struct stat st = {};

	if (file)
		file->path = strdup(name);
	if (!is_elf || !file || !file->path) {
		elf_end(elf);
		close(fd);
		free(file ? file->path : NULL);
		free(file);
		return is_elf ? err_set(err, -ENOMEM, "%s: no memory", name)
			      : err_set(err, -ENOEXEC, "%s: not an ELF file", name);
	}
	file->fd = fd;
	file->elf = elf;
	if (fstat(fd, &st) == 0) {
		file->device = st.st_dev;
		file->inode = st.st_ino;
	}
	build_id_read(file);
	*ret = file;
	return 0;
}

int elffile_open(const struct search_dirs *dirs, struct files_where where, const char *path,
		 const char *name, struct elffile **ret, struct err *err)
{
	int fd = files_open(dirs, where, path);

	name = name ? name : path;
	if (fd == -ENOEXEC)
		return err_set(err, fd, "%s: not an ELF file", name);
	if (fd < 0)
		return err_sys(err, fd, "%s", name);
	return elffile_open_fd(fd, where, path, name, ret, err);
}

int elffile_open_fd(int fd, struct files_where where, const char *path, const char *name,
		    struct elffile **ret, struct err *err)
{
	struct elffile *file;
	int e;

	elf_version(EV_CURRENT);
	e = create(fd, elf_begin(fd, ELF_C_READ, NULL), name, &file, err);
	if (e)
		return e;
	file->where = where;
	file->at = strdup(path);
	if (!file->at) {
		elffile_close(file);
		return err_set(err, -ENOMEM, "%s: no memory", name);
	}
	*ret = file;
	return 0;
}

/* Bytes of our address space; 0: not to be known.  The file stays open: a process that gives
 * its rights up can't open it later. */
static size_t address_space(void)
{
	static int fd = -1;
	char text[64] = "";

	if (fd < 0)
		fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

void elffile_prepare(void)
{
	address_space();
}

/* libdw unpacks whatever it becomes, of 144 KB 800 MB: memory has a limit meanwhile. */
static Elf *unpack(int fd)
{
	struct rlimit before = {0}, limit;
	size_t now = address_space();
	bool limited = now && getrlimit(RLIMIT_AS, &before) == 0;
	Elf *elf;

	limit = before;
	if (limited && limit.rlim_cur > now + MAX_UNPACKED)
		limit.rlim_cur = now + MAX_UNPACKED;
	limited = limited && setrlimit(RLIMIT_AS, &limit) == 0;
	elf = dwelf_elf_begin(fd);
	if (limited)
		setrlimit(RLIMIT_AS, &before);
	return elf;
}

int elffile_open_minidebug(const struct elffile *file, struct elffile **ret, struct err *err)
{
	size_t len, done = 0;
	const uint8_t *bytes = elffile_section(file, ".gnu_debugdata", &len);
	char name[512];
	int fd;

	if (!bytes)
		return err_set(err, -ENOENT, "%s: no .gnu_debugdata", file->path);
	fd = memfd_create("gnu_debugdata", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "%s: .gnu_debugdata", file->path);
	while (done < len) {
		ssize_t n = write(fd, bytes + done, len - done);
		if (n <= 0) {
			close(fd);
			return err_sys(err, -errno, "%s: .gnu_debugdata", file->path);
		}
		done += (size_t)n;
	}
	snprintf(name, sizeof(name), "%s (.gnu_debugdata)", file->path);
	return create(fd, unpack(fd), name, ret, err);
}

void elffile_close(struct elffile *file)
{
	if (!file)
		return;
	elf_end(file->debug);
	free(file->debug_image);
	elf_end(file->elf);
	close(file->fd);
	free(file->at);
	free(file->path);
	free(file);
}

static Elf_Scn *section_find(Elf *elf, const char *name, GElf_Shdr *shdr)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *found;
		if (!gelf_getshdr(scn, shdr))
			continue;
		found = elf_strptr(elf, names, shdr->sh_name);
		if (found && !strcmp(found, name))
			return scn;
	}
	return NULL;
}

bool elffile_has(const struct elffile *file, const char *section)
{
	GElf_Shdr shdr;

	return section_find(file->elf, section, &shdr) && shdr.sh_type != SHT_NOBITS &&
	       shdr.sh_size;
}

bool elffile_has_code(const struct elffile *file)
{
	GElf_Shdr shdr;
	size_t sections;

	/* Without section headers (sstrip) it is no debug file. */
	if (elf_getshdrnum(file->elf, &sections) == 0 && !sections)
		return true;
	return elffile_has(file, ".text") ||
	       (!section_find(file->elf, ".text", &shdr) && !elffile_has(file, ".debug_info"));
}

static const uint8_t *bytes_of(Elf_Scn *scn, const GElf_Shdr *shdr, size_t *len)
{
	Elf_Data *data = scn && shdr->sh_type != SHT_NOBITS ? elf_rawdata(scn, NULL) : NULL;

	if (!data || !data->d_buf || !data->d_size)
		return NULL;
	*len = data->d_size;
	return data->d_buf;
}

const uint8_t *elffile_section(const struct elffile *file, const char *section, size_t *len)
{
	GElf_Shdr shdr;
	Elf_Scn *scn = section_find(file->elf, section, &shdr);

	return bytes_of(scn, &shdr, len);
}

const uint8_t *elffile_section_plain(Elf *elf, const char *section, size_t *len)
{
	GElf_Shdr shdr;
	GElf_Chdr chdr;
	Elf_Scn *scn = section_find(elf, section, &shdr);

	/* Where libdw was here before, it is plain already. */
	if (scn && (shdr.sh_flags & SHF_COMPRESSED) &&
	    (!gelf_getchdr(scn, &chdr) || chdr.ch_size > MAX_PLAIN ||
	     elf_compress(scn, 0, 0) < 0))
		return NULL;
	return bytes_of(scn, &shdr, len);
}

bool elffile_section_place(const struct elffile *file, const char *section, off_t *begin,
			   off_t *end)
{
	GElf_Shdr shdr;

	if (!section_find(file->elf, section, &shdr) || shdr.sh_type == SHT_NOBITS ||
	    shdr.sh_offset > INT64_MAX / 2 || shdr.sh_size > INT64_MAX / 2)
		return false;
	*begin = (off_t)shdr.sh_offset;
	*end = (off_t)(shdr.sh_offset + shdr.sh_size);
	return true;
}

const char *elffile_debuglink(const struct elffile *file, uint32_t *crc)
{
	const char *name = dwelf_elf_gnu_debuglink(file->elf, crc);

	/* The name is joined to directories: it must not lead out of them. */
	return name && *name && !strchr(name, '/') ? name : NULL;
}

const char *elffile_debugaltlink(const struct elffile *file, const uint8_t **build_id,
				 size_t *build_id_len)
{
	size_t len, name_len;
	const uint8_t *bytes = elffile_section(file, ".gnu_debugaltlink", &len);

	name_len = bytes ? strnlen((const char *)bytes, len) : 0;
	if (!name_len || name_len >= len)
		return NULL;
	*build_id = bytes + name_len + 1;
	*build_id_len = len - name_len - 1;
	return (const char *)bytes;
}

int elffile_crc(const struct elffile *file, uint32_t *ret)
{
	static const size_t step = 1 << 16;
	uint32_t table[256], crc = ~0u;
	uint8_t *bytes = malloc(step);
	off_t at = 0;
	ssize_t n = -1;

	for (uint32_t i = 0; i < 256; i++) { /* CRC-32, reflected, 0xedb88320 */
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	}
	while (bytes && (n = pread(file->fd, bytes, step, at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
		at += n;
	}
	free(bytes);
	if (n < 0)
		return bytes ? -errno : -ENOMEM;
	*ret = ~crc;
	return 0;
}

/* ---- identity -------------------------------------------------------------------------- */

bool elffile_has_build_id(const struct elffile *file, const uint8_t *build_id, size_t len,
			  struct err *why)
{
	char mine[2 * ELFFILE_MAX_BUILD_ID + 1], wanted[2 * ELFFILE_MAX_BUILD_ID + 1];

	if (file->build_id_len == len && !memcmp(file->build_id, build_id, len))
		return true;
	text_hex(mine, file->build_id, file->build_id_len);
	text_hex(wanted, build_id, len < ELFFILE_MAX_BUILD_ID ? len : ELFFILE_MAX_BUILD_ID);
	if (!len)
		err_set(why, -ESTALE,
			"%s: does not match: it has a build-id, what is mapped has none",
			file->path);
	else if (!file->build_id_len)
		err_set(why, -ESTALE, "%s: does not match: it has no build-id", file->path);
	else
		err_set(why, -ESTALE, "%s: does not match: its build-id is %s, not %s",
			file->path, mine, wanted);
	return false;
}

/* The next PT_LOAD from *index on; false: no more. */
static bool next_load(Elf *elf, size_t *index, GElf_Phdr *ret)
{
	size_t count;

	if (elf_getphdrnum(elf, &count) < 0)
		return false;
	while (*index < count && gelf_getphdr(elf, (int)*index, ret)) {
		(*index)++;
		if (ret->p_type == PT_LOAD)
			return true;
	}
	return false;
}

static bool same_segments(Elf *a, Elf *b)
{
	size_t i = 0, k = 0;
	GElf_Phdr pa, pb;

	for (;;) {
		bool more_a = next_load(a, &i, &pa), more_b = next_load(b, &k, &pb);
		if (more_a != more_b)
			return false;
		if (!more_a)
			return i > 0;
		if (pa.p_vaddr != pb.p_vaddr || pa.p_memsz != pb.p_memsz ||
		    pa.p_flags != pb.p_flags)
			return false;
	}
}

/* Whether a section is in both and the same, or in one of them only (stripped away, or a
 * file without section headers). */
static bool same_section(const struct elffile *a, const struct elffile *b, const char *name)
{
	GElf_Shdr sa, sb;
	Elf_Scn *in_a = section_find(a->elf, name, &sa),
		*in_b = section_find(b->elf, name, &sb);
	Elf_Data *da, *db;

	if (!in_a || !in_b)
		return true;
	if (sa.sh_addr != sb.sh_addr || sa.sh_size != sb.sh_size)
		return false;
	if (sa.sh_type == SHT_NOBITS || sb.sh_type == SHT_NOBITS)
		return true;
	da = elf_rawdata(in_a, NULL);
	db = elf_rawdata(in_b, NULL);
	return da && db && da->d_size == db->d_size && da->d_buf && db->d_buf &&
	       !memcmp(da->d_buf, db->d_buf, da->d_size);
}

bool elffile_matches(const struct elffile *file, const struct elffile *debug, struct err *why)
{
	static const char *const kept[] = {".text", ".dynsym", ".dynstr", ".rodata"};
	GElf_Ehdr a, b;

	if (file->build_id_len && debug->build_id_len)
		return elffile_has_build_id(debug, file->build_id, file->build_id_len, why);
	if (!gelf_getehdr(file->elf, &a) || !gelf_getehdr(debug->elf, &b) ||
	    a.e_machine != b.e_machine || a.e_type != b.e_type || a.e_entry != b.e_entry) {
		err_set(why, -ESTALE, "%s: does not match: another ELF header", debug->path);
		return false;
	}
	if (!same_segments(file->elf, debug->elf)) {
		err_set(why, -ESTALE, "%s: does not match: other segments", debug->path);
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (!same_section(file, debug, kept[i])) {
			err_set(why, -ESTALE, "%s: does not match: another %s", debug->path,
				kept[i]);
			return false;
		}
	return true;
}
