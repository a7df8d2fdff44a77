/* A process that looks for leaks in a client's: see looker.c. */
#ifndef MEMTRACE_LOOKER_H
#define MEMTRACE_LOOKER_H

#include <stdint.h>

/* In a child.  socket: the client's, of which LOOK is answered, and that alone; alive: held open
 * until the end; limit: bytes that it may take.  Ends with 0 where the client may go on. */
_Noreturn void looker_main(int socket, int alive, uint32_t request, uint64_t length, uint64_t limit);

#endif
