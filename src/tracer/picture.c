/* Pictures of a process; see picture.h. */
#include "tracer/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tracer/copy.h"

enum { COPY_NS_MB = 17000, COPY_NS_HUGE_MB = 1000, STAND_NS_MB = 1000000, FIXED_NS = 500000 };
enum { THREAD_NS = 30000, PIECE_MOST = 256 << 20 };

uint64_t picture_expected_ns(const struct smaps *look, size_t threads, bool copy)
{
	uint64_t mb = look->resident_bytes >> 20, huge = look->huge_bytes >> 20;
	uint64_t fixed = FIXED_NS + THREAD_NS * (uint64_t)threads;

	if (!copy)
		return fixed + mb * STAND_NS_MB;
	return fixed + (mb > huge ? mb - huge : 0) * COPY_NS_MB + huge * COPY_NS_HUGE_MB +
	       (look->absent_bytes >> 20) * STAND_NS_MB / 3;
}

/* ---- threads ----------------------------------------------------------- */

struct taking {
	struct picture *picture;
	struct tracee *tracee;
	bool moves; /* one is not stopped */
	bool failed;
};

/* (That of a thread in a system call which is no stop is at least where its stack begins.) */
static void take_place(struct taking *t, const struct thread *thread, struct picture_thread *ret)
{
	ret->in_call = true;
	t->moves |= !thread->in_vfork;
	if (status_syscall(t->tracee->pid, thread->tid, &ret->sp, &ret->pc))
		ret->sp = 0;
}

static bool take_registers(struct taking *t, struct thread *thread, struct picture_thread *ret)
{
	const struct arch *arch = t->tracee->arch;
	struct regs *regs = thread_regs(t->tracee, thread);
	if (!regs)
		return false;
	ret->register_count = regs->len / arch->word_size;
	ret->registers = calloc(ret->register_count, sizeof(*ret->registers));
	for (size_t i = 0; ret->registers && i < ret->register_count; i++)
		ret->registers[i] = arch_word(arch, regs->bytes + i * arch->word_size);
	ret->sp = regs_read(arch, regs, arch->reg_sp);
	ret->pc = regs_read(arch, regs, arch->reg_pc);
	ret->in_call = arch->syscall_number_offset >= 0 &&
		       regs_word(arch, regs, arch->syscall_number_offset) >= 0;
	ret->pointer = thread_pointer(t->tracee, thread);
	ret->vectors = thread_vectors(t->tracee, thread, &ret->vectors_len);
	t->failed |= !ret->registers;
	return true;
}

static void take_thread(void *arg, struct thread *thread)
{
	struct taking *t = arg;
	struct picture_thread taken = {.tid = thread->tid};

	if (thread->unannounced || thread->state == THREAD_GONE)
		return;
	if (thread->state != THREAD_STOPPED)
		take_place(t, thread, &taken);
	else if (!take_registers(t, thread, &taken))
		return;
	if (taken.sp && vec_push(&t->picture->threads, taken))
		return;
	t->failed |= taken.sp != 0;
	free(taken.registers);
	free(taken.vectors);
}

/* (After the pause: a name is a file to be read.) */
static void take_names(struct picture *picture)
{
	struct status status;

	for (size_t i = 0; i < picture->threads.len; i++)
		if (status_read(picture->pid, picture->threads.at[i].tid, &status) == 0)
			memcpy(picture->threads.at[i].name, status.name, sizeof(status.name));
}

/* ---- memory ------------------------------------------------------------ */

static int take_piece(struct taking *t, const struct range *range)
{
	struct picture_piece piece = {*range, NULL};
	size_t len = (size_t)(range->end - range->begin), done = 0;

	if (range->end - range->begin > PIECE_MOST)
		return -EFBIG;
	piece.bytes = calloc(1, len + 1);
	if (!piece.bytes || !vec_push(&t->picture->pieces, piece)) {
		free(piece.bytes);
		return -ENOMEM;
	}
	while (done < len) { /* (what can't be read stays zeros) */
		ssize_t n = target_read_stopped(&t->tracee->target, range->begin + done,
						piece.bytes + done, len - done);

		done += n > 0 ? (size_t)n : 4096 - (range->begin + done) % 4096;
	}
	return 0;
}

static int take_pieces(struct taking *t)
{
	int rc = 0;

	for (size_t i = 0; i < t->picture->look.absent.len && !rc; i++)
		rc = take_piece(t, &t->picture->look.absent.at[i]);
	return rc;
}

static const struct picture_piece *piece_at(const struct picture *picture, taddr_t addr)
{
	for (size_t i = 0; i < picture->pieces.len; i++)
		if (addr < picture->pieces.at[i].range.end)
			return &picture->pieces.at[i];
	return NULL;
}

static const struct range *range_at(const struct ranges *ranges, taddr_t addr)
{
	for (size_t i = 0; i < ranges->len; i++)
		if (addr < ranges->at[i].end)
			return &ranges->at[i];
	return NULL;
}

static int picture_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct picture *p = (struct picture *)memory;

	while (len) {
		const struct picture_piece *piece = piece_at(p, addr);
		const struct range *device = range_at(&p->look.device, addr);
		size_t n = len;
		int rc = 0;

		if (device && device->begin <= addr)
			return -EIO;
		if (device && device->begin - addr < n)
			n = (size_t)(device->begin - addr);
		if (piece && piece->range.begin <= addr) {
			if (piece->range.end - addr < n)
				n = (size_t)(piece->range.end - addr);
			memcpy(buf, piece->bytes + (addr - piece->range.begin), n);
		} else {
			if (piece && piece->range.begin - addr < n)
				n = (size_t)(piece->range.begin - addr);
			rc = target_read(&p->target, addr, buf, n);
		}
		if (rc)
			return rc;
		addr += n;
		buf = (char *)buf + n;
		len -= n;
	}
	return 0;
}

/* ---- what is there ------------------------------------------------------ */

#define PAGE_HAS_CONTENT (3ull << 62) /* present or swapped: admin-guide/mm/pagemap.rst */

static bool pagemap_open(struct target *target)
{
	char path[64];

	if (target->pages < 0) {
		snprintf(path, sizeof(path), "/proc/%d/pagemap", target->pid);
		target->pages = open(path, O_RDONLY | O_CLOEXEC);
	}
	return target->pages >= 0;
}

/* The first run of pages of [addr, end) that have content.  False: there are none. */
static bool next_pages(struct target *target, taddr_t addr, taddr_t end, struct range *ret)
{
	taddr_t size = (taddr_t)sysconf(_SC_PAGESIZE), page = addr / size;
	uint64_t words[512];
	bool found = false;

	while (page * size < end) {
		taddr_t want = (end - page * size + size - 1) / size;
		ssize_t n = pread(target->pages, words,
				  (want < 512 ? (size_t)want : 512) * sizeof(*words),
				  (off_t)(page * sizeof(*words)));

		if (n < (ssize_t)sizeof(*words))
			break;
		for (size_t i = 0; i < (size_t)n / sizeof(*words); i++, page++) {
			bool has = words[i] & PAGE_HAS_CONTENT;

			if (has && !found)
				ret->begin = page * size > addr ? page * size : addr;
			if (has)
				ret->end = (page + 1) * size < end ? (page + 1) * size : end;
			if (found && !has)
				return true;
			found |= has;
		}
	}
	return found;
}

/* The whole of a private mapping of a file may have content; of other ones what was used. */
static bool present_in(struct picture *p, const struct mapping *mapping, taddr_t addr,
		       taddr_t end, struct range *ret)
{
	const struct range *far = range_at(&p->far, addr);
	bool is_far = far && far->begin <= addr;
	struct target *target = mapping->shared ? &p->shared : &p->target;

	*ret = (struct range){addr, end};
	if ((mapping->inode && !mapping->shared && !is_far) || !pagemap_open(target))
		return true;
	return next_pages(target, addr, end, ret);
}

bool picture_present(void *arg, taddr_t addr, taddr_t end, struct range *ret)
{
	struct picture *p = arg;

	while (addr < end) {
		const struct picture_piece *piece = piece_at(p, addr);
		const struct range *device = range_at(&p->look.device, addr);
		const struct mapping *mapping = maps_find(&p->maps, addr);
		taddr_t stop = mapping && mapping->end < end ? mapping->end : end;

		if (device && device->begin <= addr) {
			addr = device->end;
			continue;
		}
		if (device && device->begin < stop)
			stop = device->begin;
		if (piece && piece->range.begin <= addr) {
			*ret = (struct range){addr, piece->range.end < end ? piece->range.end
									   : end};
			return true;
		}
		if (piece && piece->range.begin < stop)
			stop = piece->range.begin;
		if (!mapping)
			return false;
		if (present_in(p, mapping, addr, stop, ret))
			return true;
		addr = stop;
	}
	return false;
}

/* ---- all --------------------------------------------------------------- */

/* Why no copy is to be tried; NULL: it is. */
static const char *forbids(const struct taking *t)
{
	const struct smaps *look = &t->picture->look;
	struct status status;

	if (t->moves)
		return "a thread waits in the kernel and does not stop";
	if (look->lazy)
		return "it brings pages of its own by userfaultfd";
	if (look->direct)
		return "before Linux 6.5 its asynchronous input could be lost";
	if (status_read(t->tracee->pid, tracee_alive(t->tracee), &status))
		return "its status can't be read";
	if (status.init)
		return "it is the first process of its namespace, whose child the copy would be";
	return NULL;
}

/* 0, with or without a copy; -EAGAIN. */
static int take_copy(struct taking *t, struct undo *undo, const char *no_copy, struct err *ret)
{
	struct picture *picture = t->picture;
	struct undo_place place;
	struct err err;
	const char *why = no_copy ? no_copy : forbids(t);
	bool adopts = false;
	int rc;

	if (!why && t->failed)
		why = "memory is short";
	if (why) {
		snprintf(picture->why, sizeof(picture->why), "%s", why);
		return 0;
	}
	rc = copy_place(t->tracee, &picture->maps, &place, &err);
	if (!rc)
		rc = copy_is_reaper(t->tracee, undo, &place, &picture->maps, &adopts, &err);
	if (!rc && adopts)
		rc = err_set(&err, -ENOTSUP, "it adopts orphans, and so would it the copy");
	if (!rc)
		rc = copy_make(t->tracee, undo, &place, &picture->copy, &err);
	if (rc == -EAGAIN || rc == -ETIMEDOUT) /* (one of them may run) */
		return err_set(ret, -EAGAIN, "%s", err.text);
	if (rc)
		snprintf(picture->why, sizeof(picture->why), "%s", err.text);
	return 0;
}

static int take_ranges(struct picture *picture, const struct ranges *far)
{
	for (size_t i = 0; far && i < far->len; i++)
		if (!vec_push(&picture->far, far->at[i]))
			return -ENOMEM;
	return 0;
}

/* The memory that is read from now on. */
static int open_memory(struct picture *picture, struct err *err)
{
	int rc = target_open(&picture->target, picture->copy ? picture->copy : picture->pid, err);

	if (!rc)
		rc = target_open(&picture->shared, picture->pid, err);
	picture->target.far = &picture->far;
	return rc;
}

static int take(struct taking *t, struct undo *undo, const char *no_copy, struct err *err)
{
	struct picture *picture = t->picture;
	pid_t alive = tracee_alive(t->tracee);
	int64_t since = clock_ns();
	int rc;

	tracee_for_each(t->tracee, take_thread, t);
	rc = maps_read(alive, &picture->maps, err);
	if (!rc)
		rc = take_copy(t, undo, no_copy, err);
	if (!rc)
		rc = take_ranges(picture, t->tracee->target.far);
	if (!rc && picture->copy)
		rc = take_pieces(t);
	if (!rc)
		rc = open_memory(picture, err);
	picture->copied_ns = (uint64_t)(clock_ns() - since);
	take_names(picture);
	if (t->failed && !rc)
		rc = -ENOMEM;
	return rc;
}

int picture_take(struct tracee *tracee, struct undo *undo, struct smaps *look,
		 const char *no_copy, struct picture **ret, struct err *err)
{
	struct picture *picture = calloc(1, sizeof(*picture));
	struct taking taking = {picture, tracee, false, false};
	int rc;

	if (!picture)
		return err_set(err, -ENOMEM, "memory is short");
	picture->memory.read = picture_read;
	picture->arch = tracee->arch;
	picture->pid = tracee->pid;
	target_of_file(&picture->target, -1);
	target_of_file(&picture->shared, -1);
	picture->look = *look;
	err_set(err, 0, "%s", "");
	rc = take(&taking, undo, no_copy, err);
	if (rc) {
		if (!err->code)
			err_sys(err, rc, "no picture of pid %d can be made", tracee->pid);
		memset(&picture->look, 0, sizeof(picture->look));
		picture_destroy(picture);
		return rc;
	}
	memset(look, 0, sizeof(*look));
	*ret = picture;
	return 0;
}

void picture_end(struct picture *picture)
{
	copy_end(picture->copy);
	picture->copy = 0;
	target_close(&picture->target);
	target_close(&picture->shared);
}

void picture_destroy(struct picture *picture)
{
	if (!picture)
		return;
	picture_end(picture);
	for (size_t i = 0; i < picture->threads.len; i++) {
		free(picture->threads.at[i].registers);
		free(picture->threads.at[i].vectors);
	}
	for (size_t i = 0; i < picture->pieces.len; i++)
		free(picture->pieces.at[i].bytes);
	vec_deinit(&picture->threads);
	vec_deinit(&picture->pieces);
	vec_deinit(&picture->far);
	smaps_deinit(&picture->look);
	maps_deinit(&picture->maps);
	free(picture);
}
