/* A looker has one end of a pipe, of which nothing is written: its end is the pipe's. */
#include "serve/lookers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/looker.h"
#include "serve/process_end.h"

bool lookers_begin(struct lookers *lookers, int client, uint32_t request, uint64_t length,
		   struct looker_process *ret)
{
	int ends[2];

	if (lookers->count >= LOOKERS_MAX || pipe2(ends, O_CLOEXEC))
		return false;
	ret->pid = fork();
	if (ret->pid == 0)
		looker_main(client, ends[1], request, length, lookers->limit);
	close(ends[1]);
	ret->fd = ends[0];
	if (ret->pid > 0) {
		lookers->count++;
		return true;
	}
	close(ret->fd);
	ret->pid = 0;
	return false;
}

const char *lookers_end(struct lookers *lookers, struct looker_process *process)
{
	int status = 0;
	bool ended = process_end(process->pid, &status);

	close(process->fd);
	process->pid = 0;
	lookers->count--;
	if (!ended)
		return "it does not end";
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	return WEXITSTATUS(status) ? "the client has gone, or does not keep to the protocol" : NULL;
}
