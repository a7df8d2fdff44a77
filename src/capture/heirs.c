/* Children that another memtrace follows; see heirs.h. */
#include "capture/heirs.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/vec.h"
#include "capture/engine.h"
#include "capture/parts.h"
#include "capture/share.h"
#include "tracer/runners.h"

VEC_TYPE(inherited_list, struct inherited_block);

struct heir_head {
	struct handover given;
	pid_t parent;
	uint64_t blocks, bytes;
};

/* ---- the parent's side --------------------------------------------------------- */

struct collecting {
	struct inherited_list list;
	uint64_t bytes;
};

static void collect(void *arg, const struct region_block *block)
{
	const struct inherited_block one = {block->addr, block->size};
	struct collecting *c = arg;

	if (vec_push(&c->list, one))
		c->bytes += one.size;
}

/* What it has from its own parent still. */
static void collect_inherited(struct collecting *c, const struct inherited *inherited)
{
	for (size_t i = 0; i < inherited->capacity; i++)
		if (inherited->slots[i].addr > 1 && vec_push(&c->list, inherited->slots[i]))
			c->bytes += inherited->slots[i].size;
}

static bool write_all(int file, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t n;

	for (; len; at += n, len -= (size_t)n) {
		n = write(file, at, len);
		if (n <= 0)
			return false;
	}
	return true;
}

static int write_file(const struct heir_head *head, const struct inherited_list *list)
{
	int file = memfd_create("memtrace-heir", MFD_CLOEXEC);

	if (file >= 0 && write_all(file, head, sizeof(*head)) &&
	    write_all(file, list->at, list->len * sizeof(*list->at)))
		return file;
	if (file >= 0)
		close(file);
	return -1;
}

union rights { /* aligned as a control message is to be */
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static bool send_file(int socket, pid_t pid, int file)
{
	union rights rights = {.bytes = {0}};
	struct iovec iov = {&pid, sizeof(pid)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &rights,
				 .msg_controllen = sizeof(rights)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &file, sizeof(file));
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool take_one(_Atomic int *left)
{
	if (atomic_fetch_sub(left, 1) > 0)
		return true;
	atomic_fetch_add(left, 1);
	return false;
}

bool heirs_take_room(struct heirs_room *room)
{
	if (take_one(&room->left)) {
		if (take_one(&room->total))
			return true;
		atomic_fetch_add(&room->left, 1);
	}
	atomic_fetch_add(&room->refused, 1);
	return false;
}

void heirs_give_room_back(struct heirs_room *room)
{
	atomic_fetch_add(&room->left, 1);
	atomic_fetch_add(&room->total, 1);
}

/* child NULL: it is a runner.  False: it can't be followed, and goes on. */
static bool give(struct engine *engine, pid_t runner, struct thread *child, struct collecting *c)
{
	struct heirs *heirs = &engine->heirs;
	struct heir_head head = {.parent = engine->tracee.pid,
				 .blocks = c->list.len,
				 .bytes = c->bytes};
	bool sent;
	int file;

	if (child)
		handover_give(&engine->tracee, child, engine->undoing.undo, &head.given);
	else
		handover_give_runner(&engine->tracee, runner, engine->undoing.undo, &head.given);
	file = write_file(&head, &c->list);
	sent = file >= 0 && send_file(heirs->socket, head.given.pid, file);
	if (!sent) {
		if (!heirs->failed)
			notify_warning(&engine->notifier,
				       "pid %d can't be followed: %s; it runs on unwatched, as do others that this "
				       "happens to", (int)head.given.pid, strerror(errno));
		heirs->failed = true;
		handover_decline(&head.given);
		heirs_give_room_back(heirs->room);
	}
	if (file >= 0)
		close(file);
	return sent;
}

static bool can_give(const struct engine *engine)
{
	return parts_have(PART_several) && engine->heirs.socket >= 0;
}

bool heirs_child(struct engine *engine, struct thread *child)
{
	struct collecting c = {.bytes = 0};

	if (!can_give(engine) || !engine->heirs.forks || !heirs_take_room(engine->heirs.room))
		return false;
	share_sum(engine);
	region_for_each_block(engine->ledger.region, collect, &c);
	tally_for_each_block(&engine->ledger.tally, collect, &c);
	collect_inherited(&c, &engine->inherited);
	give(engine, 0, child, &c);
	vec_deinit(&c.list);
	return true;
}

static bool give_program(struct engine *engine, pid_t runner, struct thread *sharer)
{
	struct collecting none = {.bytes = 0};

	if (!can_give(engine) || !heirs_take_room(engine->heirs.room))
		return false;
	if (!give(engine, runner, sharer, &none))
		return true;
	engine->heirs.given++;
	if (engine->heirs.once)
		runners_leave(&engine->tracee);
	return true;
}

bool heirs_program(struct engine *engine, struct thread *sharer)
{
	return give_program(engine, 0, sharer);
}

bool heirs_runner(struct engine *engine, pid_t runner)
{
	return give_program(engine, runner, NULL);
}

/* ---- between them ------------------------------------------------------------------ */

bool heirs_receive(int socket, pid_t *pid, int *file)
{
	union rights rights;
	struct iovec iov = {pid, sizeof(*pid)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &rights,
				 .msg_controllen = sizeof(rights)};
	struct cmsghdr *head;

	if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(*pid))
		return false;
	head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_type != SCM_RIGHTS)
		return false;
	memcpy(file, CMSG_DATA(head), sizeof(*file));
	return true;
}

void heirs_decline(int file)
{
	struct heir_head head;

	if (pread(file, &head, sizeof(head), 0) == sizeof(head))
		handover_decline(&head.given);
}

/* ---- the child's side -------------------------------------------------------------- */

static size_t slot_of(const struct inherited *inherited, uint64_t addr)
{
	size_t mask = inherited->capacity - 1;
	size_t i = (size_t)((addr * 0x9e3779b97f4a7c15ull) >> 32) & mask;

	while (inherited->slots[i].addr && inherited->slots[i].addr != addr)
		i = (i + 1) & mask;
	return i;
}

static bool take_up(struct inherited *inherited, const struct inherited_block *blocks,
		    uint64_t count)
{
	inherited->capacity = 16;
	while (inherited->capacity < count * 2)
		inherited->capacity *= 2;
	inherited->slots = calloc(inherited->capacity, sizeof(*inherited->slots));
	for (uint64_t i = 0; inherited->slots && i < count; i++)
		inherited->slots[slot_of(inherited, blocks[i].addr)] = blocks[i];
	return inherited->slots;
}

int heir_open(int file, struct handover *given, struct inherited *ret, struct err *err)
{
	off_t len = lseek(file, 0, SEEK_END);
	const struct heir_head *head;
	void *map = len < (off_t)sizeof(*head)
			    ? MAP_FAILED
			    : mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, file, 0);
	bool room;

	if (map == MAP_FAILED)
		return err_set(err, -EINVAL, "what is known of a child can't be read");
	head = map;
	*given = head->given;
	*ret = (struct inherited){
		.parent = head->parent, .blocks = head->blocks, .bytes = head->bytes};
	room = (uint64_t)len == sizeof(*head) + head->blocks * sizeof(struct inherited_block) &&
	       take_up(ret, (const struct inherited_block *)(head + 1), head->blocks);
	munmap(map, (size_t)len);
	return room ? 0 : err_set(err, -ENOMEM, "memory is short");
}

bool inherited_is_freed(void *arg, uint64_t addr)
{
	struct inherited *inherited = arg;
	struct inherited_block *block;

	if (!inherited->slots || addr <= 1)
		return false;
	block = &inherited->slots[slot_of(inherited, addr)];
	if (!block->addr)
		return false;
	block->addr = 1;
	inherited->freed_blocks++;
	inherited->freed_bytes += block->size;
	return true;
}

void inherited_forget(struct inherited *inherited)
{
	free(inherited->slots);
	memset(inherited, 0, sizeof(*inherited));
}
