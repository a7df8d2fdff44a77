/* memtrace offers itself to the kernel where memory runs out. */
#ifndef MEMTRACE_OOM_VICTIM_H
#define MEMTRACE_OOM_VICTIM_H

#include <stdbool.h>

struct oom_victim { /* zero: not offered */
	bool offered;
	int before; /* our oom_score_adj, -1000..1000 */
};

/* Where /proc does not let us, all stays as it is. */
void oom_victim_offer(struct oom_victim *victim);
void oom_victim_withdraw(struct oom_victim *victim);

#endif
