/*
 * /proc/PID/smaps_rollup (proc(5), since Linux 4.14): the kernel walks all page tables for it, so
 * it takes the longer the more is resident, and the process' mmap() waits meanwhile for a moment.
 */
#include "tracer/pss.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pss pss_read(pid_t pid)
{
	char path[64], line[256];
	struct pss ret = {0, 0};
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, "Pss:", 4))
			ret.all = strtoull(line + 4, NULL, 10) << 10;
		else if (!strncmp(line, "Pss_Shmem:", 10))
			ret.shared = strtoull(line + 10, NULL, 10) << 10;
	if (in)
		fclose(in);
	return ret;
}
