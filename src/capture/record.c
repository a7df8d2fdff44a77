/* Samples of stacks for an independent unwinder; see record.h. */
#include "capture/record.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { RECORD_MAPS = 1, RECORD_SAMPLE = 2, STACK_MAX = 256 * 1024, RECORD_REGS = 17 };

int recorder_open(struct recorder *ret, const char *path, unsigned every, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	if (!path)
		return 0;
	ret->every = every ? every : 1;
	ret->file = fopen(path, "we");
	return ret->file ? 0 : err_sys(err, -errno, "cannot write %s", path);
}

void recorder_close(struct recorder *recorder)
{
	if (recorder->file)
		fclose(recorder->file);
	recorder->file = NULL;
}

void recorder_maps_changed(struct recorder *recorder)
{
	recorder->maps_written = false;
}

static void record(struct recorder *recorder, uint32_t type, const void *payload, size_t len)
{
	uint32_t head[2] = {type, (uint32_t)len};

	fwrite(head, sizeof(head), 1, recorder->file);
	fwrite(payload, len, 1, recorder->file);
}

static void record_maps(struct recorder *recorder, const struct maps *maps)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	for (size_t i = 0; out && i < maps->list.len; i++) {
		const struct mapping *m = &maps->list.at[i];
		fprintf(out,
			"%" PRIx64 "-%" PRIx64 " %c%c%c%c %08" PRIx64 " %02x:%02x %" PRIu64
			" %s\n",
			m->begin, m->end, m->read ? 'r' : '-', m->write ? 'w' : '-',
			m->exec ? 'x' : '-', m->shared ? 's' : 'p', m->offset,
			(unsigned)(m->dev >> 8) & 0xfff, (unsigned)m->dev & 0xff, m->inode,
			m->path);
	}
	if (out) {
		fclose(out);
		record(recorder, RECORD_MAPS, text, len);
	}
	free(text);
	recorder->maps_written = true;
}

static uint64_t frame_pc(const struct modules *modules, frame_t frame)
{
	const struct module *module = modules_by_instance(modules, frame_instance(frame));
	uint64_t pc = frame_offset(frame) + (module ? module->bias : 0);

	return frame & FRAME_GUESS ? pc | 1ull << 63 : pc;
}

void recorder_sample(struct recorder *recorder, struct walker *live, pid_t tid,
		     const struct walked *walked)
{
	const struct arch *arch = live->tracee->arch;
	const size_t count = walked->count;
	uint64_t value[RECORD_REGS] = {0};
	uint8_t *payload;
	uint32_t head[4];
	size_t used = sizeof(head) + sizeof(value) + count * sizeof(uint64_t);
	ssize_t stack;

	if (!recorder->file || recorder->skipped++ % recorder->every)
		return;
	if (!recorder->maps_written)
		record_maps(recorder, live->maps);
	payload = malloc(used + STACK_MAX);
	if (!payload)
		return;
	for (int reg = 0; reg < RECORD_REGS; reg++)
		value[reg] = regs_read(arch, walked->regs, reg);
	value[arch->reg_sp] = walked->slot;
	value[arch->reg_pc] = frame_pc(live->modules, walked->frames[0]);
	for (size_t i = 0; i < count; i++) {
		uint64_t pc = frame_pc(live->modules, walked->frames[i]);
		memcpy(payload + sizeof(head) + sizeof(value) + i * sizeof(pc), &pc,
		       sizeof(pc));
	}
	stack = target_read_some(&live->tracee->target, walked->slot, payload + used, STACK_MAX);
	head[0] = (uint32_t)tid;
	head[1] = walked->end;
	head[2] = (uint32_t)count;
	head[3] = stack > 0 ? (uint32_t)stack : 0;
	memcpy(payload, head, sizeof(head));
	memcpy(payload + sizeof(head), value, sizeof(value));
	record(recorder, RECORD_SAMPLE, payload, used + head[3]);
	free(payload);
}
