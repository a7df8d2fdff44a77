/*
 * Mangled names of C++, of the process' memory and its files' symbols: the first byte says whether
 * it may have been cut off.
 *
 * What is held: nothing outside of it is read; what is printed is no longer than it may be, or, of
 * what is no name, nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "report/cxx_name.h"
#include "report/cxx_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = size ? malloc(size) : NULL, *text = NULL;
	size_t len = 0;
	FILE *out = name ? open_memstream(&text, &len) : NULL;
	bool is_name;

	if (out) {
		memcpy(name, data + 1, size - 1);
		name[size - 1] = '\0';
		is_name = cxx_name_print(out, name, data[0] & 1 ? strlen(name) + 1 : SIZE_MAX);
		fclose(out);
		assert(is_name ? len && len <= 4 * CXX_MAX_TEXT + 3 : !len); /* (bytes as \\xNN) */
	}
	free(text);
	free(name);
	return 0;
}
