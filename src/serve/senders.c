/* A sender has the client's socket, and the directories; its exit status says how it went. */
#include "serve/senders.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/file_index.h"
#include "serve/process_end.h"

_Noreturn static void send_it(int client, const uint8_t *bytes, size_t len,
			      const struct search_dirs *dirs, const struct http_place *place)
{
	file_index_keep_only(dirs->index, client);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(http_send(client, bytes, len, dirs, place) ? 0 : 1);
}

bool senders_begin(struct senders *senders, int client, const uint8_t *bytes, size_t len,
		   const struct search_dirs *dirs, const struct http_place *place)
{
	unsigned at = 0;
	int status;

	while (at < SENDERS_MAX && senders->list[at].pid)
		at++;
	if (at == SENDERS_MAX) {
		at = senders->next++ % SENDERS_MAX;
		process_end(senders->list[at].pid, &status);
	}
	senders->list[at].pid = fork();
	if (senders->list[at].pid == 0)
		send_it(client, bytes, len, dirs, place);
	if (senders->list[at].pid < 0) {
		senders->list[at].pid = 0;
		return false;
	}
	http_line(bytes, len, senders->list[at].line);
	return true;
}

unsigned senders_count(const struct senders *senders)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SENDERS_MAX; i++)
		count += senders->list[i].pid != 0;
	return count;
}

void senders_reap(struct senders *senders, void (*log)(void *arg, const char *text), void *arg)
{
	for (unsigned i = 0; i < SENDERS_MAX; i++) {
		char text[HTTP_LINE + 40];
		int status;

		if (!senders->list[i].pid ||
		    waitpid(senders->list[i].pid, &status, WNOHANG) != senders->list[i].pid)
			continue;
		senders->list[i].pid = 0;
		snprintf(text, sizeof(text), "http: %s: %s", senders->list[i].line,
			 status ? "not all was sent" : "200 OK");
		if (log)
			log(arg, text);
	}
}

void senders_end(struct senders *senders)
{
	int status;

	for (unsigned i = 0; i < SENDERS_MAX; i++)
		if (senders->list[i].pid)
			process_end(senders->list[i].pid, &status);
}
