/* as_user UID PROGRAM [ARG]...: the program, of that user, without any of root's rights. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned id = argc > 2 ? (unsigned)atoi(argv[1]) : 0;

	if (!id || setgroups(0, NULL) || setgid(id) || setuid(id)) {
		perror("as_user");
		return 1;
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
