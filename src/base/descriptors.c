/* Closing ranges at once where the kernel can, else one by one. */
#include "base/descriptors.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/syscalls.h"

enum { USUAL = 65536 };

/* [first, last]; false: the kernel can't. */
static bool close_range_of(unsigned first, unsigned last)
{
	return first > last || syscall(SYS_close_range, first, last, 0) == 0;
}

void descriptors_close_but(int one, int two)
{
	int low = one < two ? one : two, high = one < two ? two : one;
	long most = sysconf(_SC_OPEN_MAX);

	if ((low <= 0 || close_range_of(0, (unsigned)low - 1)) &&
	    (high - low <= 1 || close_range_of((unsigned)(low + 1), (unsigned)high - 1)) &&
	    close_range_of((unsigned)high + 1, ~0u))
		return;
	for (int fd = (int)(most < 0 || most > USUAL ? USUAL : most); fd >= 0; fd--)
		if (fd != one && fd != two)
			close(fd);
}
