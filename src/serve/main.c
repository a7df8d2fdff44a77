/* The program memtrace-fs. */
#include <stdio.h>

int main(void)
{
	printf("memtrace-fs %s\n", MEMTRACE_VERSION);
	return 0;
}
