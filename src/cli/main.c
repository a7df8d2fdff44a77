/* The program memtrace. */
#include <stdio.h>

int main(void)
{
	printf("memtrace %s\n", MEMTRACE_VERSION);
	return 0;
}
