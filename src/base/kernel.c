/* Versions by uname(2): "5.10.0-28-amd64".  (By strtoul(), as scanf() would be a thirtieth of a
 * static memtrace.) */
#include "base/kernel.h"

#include <stdlib.h>
#include <sys/utsname.h>

bool kernel_is_since(unsigned major, unsigned minor)
{
	struct utsname name;
	unsigned long its_major, its_minor;
	char *end;

	if (uname(&name))
		return true;
	its_major = strtoul(name.release, &end, 10);
	if (end == name.release || *end != '.')
		return true;
	its_minor = strtoul(end + 1, NULL, 10);
	return its_major > major || (its_major == major && its_minor >= minor);
}
