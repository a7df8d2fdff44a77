/*
 * Sources are served to debuginfod's clients: those of a program, and nothing else that lies
 * in the directories.  What belongs to a program is what the file tables of its units name,
 * the directories of compilation put in front (DWARF 5, 6.2.4).
 */
#include "serve/sources.h"

#include <stdlib.h>
#include <string.h>

#include <elfutils/libdw.h>

#include "serve/packed.h"

void sources_tidy(char *path)
{
	char *to = path;

	for (const char *at = path; *at;) {
		size_t len;
		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (len == 2 && !memcmp(at, "..", 2)) {
			while (to > path && *--to != '/')
				;
		} else if (len && !(len == 1 && *at == '.')) {
			*to++ = '/';
			memmove(to, at, len);
			to += len;
		}
		at += len;
	}
	*to = '\0';
}

static bool unit_has(Dwarf_Die *unit, const char *path)
{
	Dwarf_Files *files;
	size_t count;
	bool found = false;

	if (dwarf_getsrcfiles(unit, &files, &count))
		return false;
	for (size_t i = 0; i < count && !found; i++) {
		const char *name = dwarf_filesrc(files, i, NULL, NULL);
		char *tidy = name && *name == '/' ? strdup(name) : NULL;

		if (tidy)
			sources_tidy(tidy);
		found = tidy && !strcmp(tidy, path);
		free(tidy);
	}
	return found;
}

bool sources_has(struct elffile *debug, char *path)
{
	Elf *elf = packed_debug(debug, NULL);
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit;
	bool found = false;

	sources_tidy(path);
	while (dwarf && !found && dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &unit, NULL) == 0)
		found = unit_has(&unit, path);
	dwarf_end(dwarf);
	return found;
}
