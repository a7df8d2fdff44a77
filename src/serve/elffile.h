/*
 * One ELF file on the server's disk, by libelf: what it is, and whether two files come
 * from one build.  Read by pread, never mapped: a file that is cut short under our hands
 * is an error, not a SIGBUS.
 */
#ifndef MEMTRACE_ELFFILE_H
#define MEMTRACE_ELFFILE_H

#include <libelf.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/types.h"
#include "serve/files.h"

enum { ELFFILE_MAX_BUILD_ID = 64 };

struct elffile {
	char *path;		  /* in words: where it was found */
	struct files_where where; /* whose path that is */
	char *at;		  /* the path there; or NULL */
	int fd;
	/* As it was when it was opened: its file system may not answer later. */
	dev_t device;
	ino_t inode;
	Elf *elf;
	Elf *debug; /* of packed_debug(), when that is another one; or NULL */
	uint8_t *debug_image;
	uint8_t build_id[ELFFILE_MAX_BUILD_ID];
	uint8_t build_id_len; /* 0: none */
};

/* path is what is opened by files_open(), name what it is called in words (NULL: the same).
 * Its errors; -ENOEXEC: not an ELF file. */
int elffile_open(const struct search_dirs *dirs, struct files_where where, const char *path,
		 const char *name, struct elffile **ret, struct err *err) MUST_CHECK;
/* The same with a descriptor of files_open(), which is taken over, also on failure. */
int elffile_open_fd(int fd, struct files_where where, const char *path, const char *name,
		    struct elffile **ret, struct err *err) MUST_CHECK;
/* What an ELF file has packed into its .gnu_debugdata (xz), as an ELF file of its own.
 * -ENOENT: there is none. */
int elffile_open_minidebug(const struct elffile *file, struct elffile **ret, struct err *err) MUST_CHECK;
/* To be called before a process gives the right to open files up. */
void elffile_prepare(void);
void elffile_close(struct elffile *file); /* NULL is allowed */

/* Whether it has the code itself: false for a file that only describes another one. */
bool elffile_has_code(const struct elffile *file);
/* Whether it has a section of this name with bytes in the file. */
bool elffile_has(const struct elffile *file, const char *section);
/* The bytes of a section as they stand in the file, in libelf's memory; NULL: none. */
const uint8_t *elffile_section(const struct elffile *file, const char *section, size_t *len);
/* The same, decompressed where they are compressed. */
const uint8_t *elffile_section_plain(Elf *elf, const char *section, size_t *len);

/* Where they are: [begin, end) of the file.  False: none. */
bool elffile_section_place(const struct elffile *file, const char *section, off_t *begin,
			   off_t *end);

/* .gnu_debuglink: a file name without "/", and the CRC of that file; NULL: none. */
const char *elffile_debuglink(const struct elffile *file, uint32_t *crc);
/* .gnu_debugaltlink: the path of what dwz moved out, and its build-id; NULL: none. */
const char *elffile_debugaltlink(const struct elffile *file, const uint8_t **build_id,
				 size_t *build_id_len);
/* The CRC that .gnu_debuglink uses, over the whole file.  0, or -errno. */
int elffile_crc(const struct elffile *file, uint32_t *ret);

/*
 * Whether debug belongs to file: by build-id where both have one; else program headers,
 * dynamic symbols and text must agree as far as debug still has them.  False: `why`
 * says in words what differs.
 */
bool elffile_matches(const struct elffile *file, const struct elffile *debug, struct err *why);
/* The same by a build-id alone. */
bool elffile_has_build_id(const struct elffile *file, const uint8_t *build_id, size_t len,
			  struct err *why);

#endif
