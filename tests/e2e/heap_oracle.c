/*
 * Looks at the heap of a live process with heap/leak/, and holds it against what is known from
 * elsewhere.
 *
 *   heap_oracle PID [-b] [-w ADDR] [-o ADDR] [-c] [-t] [-r FILE]
 *
 * Stops all threads by ptrace, reads the process itself (no clone: nothing of memtrace but the
 * library is needed), and writes lines:
 *
 *   allocator NAME VERSION read|refused ... | block ADDR SIZE CLASS LEADER | group ... | link
 * ... truth live N found N missed N false N      where recorder_preload.so was preloaded
 *
 *   -b  every block    -w  why ADDR is held    -o  who points to ADDR    -c  contents of what
 * is lost    -t  times    -r  record it in FILE (heap_image.h), with blocks
 * as heap_list says them on the standard input
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../targets/heap_image.h"
#include "../targets/recorder.h"
#include "heap/leak/leak.h"

enum { THREADS = 4096, EXTRA = 8192 };

struct process {
	struct memory memory;
	int pid, mem, pages;
	struct maps maps;
	struct modules modules;
	struct leak_thread threads[THREADS];
	size_t thread_count;
};
static struct process process;

/* CPU time: other programs run, too. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- threads ------------------------------------------------------------------------ */

static int knows(int tid)
{
	for (size_t i = 0; i < process.thread_count; i++)
		if (process.threads[i].tid == tid)
			return 1;
	return 0;
}

static int stop(int tid)
{
	int status;

	if (process.thread_count == THREADS || ptrace(PTRACE_SEIZE, tid, 0, 0) ||
	    ptrace(PTRACE_INTERRUPT, tid, 0, 0) || waitpid(tid, &status, __WALL) != tid ||
	    !WIFSTOPPED(status))
		return 0;
	process.threads[process.thread_count++] = (struct leak_thread){.tid = tid};
	return 1;
}

static void stop_all(void)
{
	char path[64];
	int added;

	snprintf(path, sizeof(path), "/proc/%d/task", process.pid);
	do {
		DIR *dir = opendir(path);
		struct dirent *entry;

		added = 0;
		while (dir && (entry = readdir(dir))) {
			int tid = atoi(entry->d_name);

			if (tid && !knows(tid))
				added += stop(tid);
		}
		if (dir)
			closedir(dir);
	} while (added);
}

static void set_registers(struct leak_thread *thread)
{
	static uint64_t regs[THREADS][64];
	static uint8_t extra[THREADS][EXTRA];
	size_t n = (size_t)(thread - process.threads);
	uint8_t bytes[512];
	struct iovec v = {bytes, sizeof(bytes)}, x = {extra[n], EXTRA};

	if (ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_PRSTATUS, &v))
		return;
	thread->reg_count = v.iov_len / sizeof(long);
	for (size_t i = 0; i < thread->reg_count; i++)
		regs[n][i] = ((unsigned long *)(void *)bytes)[i];
	thread->regs = regs[n];
#ifdef __x86_64__
	struct user_regs_struct *r = (void *)bytes;

	thread->sp = r->rsp;
	thread->tp = r->fs_base;
	thread->in_syscall = (long)r->orig_rax >= 0;
	if (!ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_X86_XSTATE, &x))
		thread->extra_len = x.iov_len;
#elif defined(__aarch64__)
	struct iovec t = {&thread->tp, sizeof(thread->tp)};

	thread->sp = regs[n][31];
	ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_ARM_TLS, &t);
	if (!ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_PRFPREG, &x))
		thread->extra_len = x.iov_len;
#else
	unsigned long tp = 0;

	thread->sp = regs[n][13];
	ptrace(22 /* PTRACE_GET_THREAD_AREA */, thread->tid, 0, &tp);
	thread->tp = tp;
	if (!ptrace(PTRACE_GETREGSET, thread->tid, (void *)0x400 /* NT_ARM_VFP */, &x))
		thread->extra_len = x.iov_len;
#endif
	thread->extra = extra[n];
}

/* ---- memory ------------------------------------------------------------------------- */

static int read_process(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	(void)memory;
	return pread(process.mem, buf, len, (off_t)addr) == (ssize_t)len ? 0 : -EIO;
}

/* Pages that are there or swapped out, of anonymous memory. */
static bool present(void *arg, taddr_t addr, taddr_t end, struct range *ret)
{
	const struct mapping *mapping = maps_find(&process.maps, addr);
	uint64_t entries[512];

	(void)arg;
	if (!mapping || mapping->path[0]) {
		*ret = (struct range){addr, end};
		return true;
	}
	*ret = (struct range){0, 0};
	for (taddr_t page = addr / 4096; page * 4096 < end;) {
		taddr_t n = (end + 4095) / 4096 - page;

		if (n > 512)
			n = 512;
		if (pread(process.pages, entries, n * 8, (off_t)(page * 8)) !=
		    (ssize_t)(n * 8)) {
			*ret = (struct range){addr, end};
			return true;
		}
		for (taddr_t i = 0; i < n; i++) {
			if (entries[i] >> 62 && !ret->end)
				ret->begin = (page + i) * 4096;
			if (entries[i] >> 62)
				ret->end = (page + i + 1) * 4096;
			else if (ret->end)
				return true;
		}
		page += n;
	}
	return ret->end;
}

/* The recorder's table is no root: it is taken out of the list. */
static void forget_recorder(void)
{
	struct maps *maps = &process.maps;
	size_t kept = 0;

	for (size_t i = 0; i < maps->list.len; i++)
		if (maps->list.at[i].begin != RECORDER_AT)
			maps->list.at[kept++] = maps->list.at[i];
	maps->list.len = kept;
}

static int open_process(int pid, struct err *err)
{
	char path[64];

	process.pid = pid;
	process.memory.read = read_process;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	process.mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	process.pages = open(path, O_RDONLY | O_CLOEXEC);
	stop_all();
	if (process.mem < 0 || !process.thread_count)
		return err_set(err, -EPERM, "no way to look at %d", pid);
	for (size_t i = 0; i < process.thread_count; i++)
		set_registers(&process.threads[i]);
	modules_init(&process.modules, NULL);
	int code = maps_read(pid, &process.maps, err);

	return code ? code
		    : modules_update(&process.modules, pid, &process.maps, &process.memory,
				     NULL, err);
}

/* ---- against the recorder ----------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void judge(struct leak *leak)
{
	struct recorder *r = malloc(sizeof(*r));
	uint64_t *live = NULL, found = 0, count = 0, short_ones = 0;

	if (!r || read_process(NULL, RECORDER_AT, r, sizeof(*r)) || r->full) {
		printf("truth none\n");
		free(r);
		return;
	}
	live = malloc(sizeof(*live) * RECORDER_SHARDS * RECORDER_SLOTS);
	for (size_t s = 0; s < RECORDER_SHARDS; s++) {
		for (size_t i = 0; i < RECORDER_SLOTS; i++) {
			struct recorder_entry *entry = &r->shards[s].at[i];
			struct leak_block block;
			uint32_t index;

			if (!entry->addr)
				continue;
			live[count++] = entry->addr;
			index = leak_find(leak, entry->addr);
			if (index == LEAK_NONE)
				continue;
			leak_block(leak, index, &block);
			found += block.addr == entry->addr;
			short_ones += block.addr == entry->addr && block.size < entry->size;
		}
	}
	qsort(live, count, sizeof(*live), compare);
	for (uint32_t i = 0, said = 0; i < leak_count(leak); i++) {
		struct leak_block block;

		leak_block(leak, i, &block);
		if (!bsearch(&block.addr, live, count, sizeof(*live), compare) && said++ < 8)
			printf("false 0x%" PRIx64 " %" PRIu64 "\n", block.addr, block.size);
	}
	for (uint64_t i = 0, said = 0; i < count; i++) {
		uint32_t index = leak_find(leak, live[i]);

		if (index == LEAK_NONE && said++ < 8)
			printf("missed 0x%" PRIx64 "\n", live[i]);
	}
	printf("truth live %" PRIu64 " found %" PRIu64 " missed %" PRIu64 " false %" PRIu64
	       " short %" PRIu64 "\n",
	       count, found, count - found, leak_count(leak) - found, short_ones);
	free(live);
	free(r);
}

/* ---- what is said -------------------------------------------------------------------- */

static const char *const classes[] = {"lost", "through", "held"};

static uint64_t doubted(const struct leak *leak)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < leak_count(leak); i++) {
		struct leak_block block;

		leak_block(leak, i, &block);
		count += block.doubted;
	}
	return count;
}

static void say_all(struct leak *leak)
{
	const struct leak_totals *t = leak_totals(leak);
	size_t count;
	const struct leak_allocator *a = leak_allocators(leak, &count);
	const struct leak_arena *arenas;
	struct leak_sum mapped;

	for (size_t i = 0; i < count; i++)
		printf("allocator %s %s %s blocks %" PRIu64 " bytes %" PRIu64 " cached %" PRIu64
		       " arenas %u flight %u %s\n",
		       a[i].name, a[i].version[0] ? a[i].version : "-",
		       a[i].read ? "read" : "refused", a[i].used.blocks, a[i].used.bytes,
		       a[i].cached.blocks, a[i].arenas, a[i].in_flight, a[i].why);
	arenas = leak_arenas(leak, &count, &mapped);
	for (size_t i = 0; i < count && i < 64; i++)
		printf("arena 0x%" PRIx64 " main %d system %" PRIu64 " used %" PRIu64
		       " free %" PRIu64 " top %" PRIu64 " trimmable %" PRIu64 "\n",
		       arenas[i].addr, arenas[i].main, arenas[i].system, arenas[i].used.bytes,
		       arenas[i].free.bytes, arenas[i].top, arenas[i].trimmable);
	printf("mapped %" PRIu64 " %" PRIu64 "\n", mapped.blocks, mapped.bytes);
	printf("doubted %" PRIu64 "\n", doubted(leak));
	for (unsigned c = 0; c < LEAK_CLASSES; c++)
		printf("class %s %" PRIu64 " %" PRIu64 "\n", classes[c], t->classes[c].blocks,
		       t->classes[c].bytes);
	printf("interior %" PRIu64 " scanned %" PRIu64 " roots %" PRIu64 " unread %" PRIu64
	       " edges %" PRIu64 " root_edges %" PRIu64 " own %" PRIu64 "\n",
	       t->interior.blocks, t->scanned_bytes, t->root_bytes, t->unread_bytes, t->edges,
	       t->root_edges, t->own_bytes);
}

static void say_blocks(struct leak *leak)
{
	for (uint32_t i = 0; i < leak_count(leak); i++) {
		struct leak_block b, leader = {0};

		leak_block(leak, i, &b);
		if (b.leader != LEAK_NONE)
			leak_block(leak, b.leader, &leader);
		printf("block 0x%" PRIx64 " %" PRIu64 " %s 0x%" PRIx64 "\n", b.addr, b.size,
		       classes[b.class], leader.addr);
	}
}

/* ---- a recorded image ---------------------------------------------------------------- */

static FILE *image;

static void put(uint64_t value)
{
	for (; value > 127; value >>= 7)
		putc((int)(value & 127) | 128, image);
	putc((int)value, image);
}

static void put_bytes(const void *bytes, size_t len)
{
	put(len);
	fwrite(bytes, 1, len, image);
}

static void put_module(const struct module *module)
{
	enum { ELF_MAX = 1024 };
	uint8_t elf[ELF_MAX] = {0};
	size_t len = 0;

	if (module->image && !read_process(NULL, module->begin, elf, sizeof(elf))) {
#if __SIZEOF_POINTER__ == 8
		Elf64_Ehdr *e = (void *)elf;
#else
		Elf32_Ehdr *e = (void *)elf;
#endif
		len = e->e_phoff + (size_t)e->e_phnum * e->e_phentsize;
		e->e_shoff = e->e_shnum = e->e_shstrndx = 0;
	}
	put(module->begin);
	put(module->end);
	put(module->bias);
	put_bytes(module->id.path, strlen(module->id.path));
	put_bytes(elf, len > ELF_MAX ? 0 : len);
}

/* Is a byte of [i, i + 4) of a page another than zero? */
static bool is_word(const uint8_t *page, size_t i)
{
	uint32_t word;

	memcpy(&word, page + i, 4);
	return word != 0;
}

static void put_page(const uint8_t *page)
{
	for (size_t i = 0; i < HEAP_IMAGE_PAGE;) {
		size_t zeros = i, end;

		while (zeros < HEAP_IMAGE_PAGE && !is_word(page, zeros))
			zeros += 4;
		for (end = zeros; end < HEAP_IMAGE_PAGE && is_word(page, end);)
			end += 4;
		put(zeros - i);
		put_bytes(page + zeros, end - zeros);
		i = end;
	}
}

/* Of a stack what is in use alone. */
static bool below_sp(const struct mapping *mapping, taddr_t page)
{
	for (size_t i = 0; i < process.thread_count; i++) {
		taddr_t sp = process.threads[i].sp;

		if (sp >= mapping->begin && sp < mapping->end && page + HEAP_IMAGE_PAGE <= sp - 128)
			return true;
	}
	return false;
}

static uint64_t put_pages(const struct mapping *mapping, bool count_only)
{
	uint8_t page[HEAP_IMAGE_PAGE], zeros[HEAP_IMAGE_PAGE] = {0};
	uint64_t count = 0;
	struct range range;

	if (!mapping->read || !mapping->write || mapping->shared)
		return 0;
	for (taddr_t at = mapping->begin; at < mapping->end && present(NULL, at, mapping->end, &range);
	     at = range.end)
		for (taddr_t p = range.begin; p < range.end; p += sizeof(page)) {
			if (below_sp(mapping, p) || read_process(NULL, p, page, sizeof(page)) ||
			    !memcmp(page, zeros, sizeof(page)))
				continue;
			count++;
			if (count_only)
				continue;
			put(p);
			put_page(page);
		}
	return count;
}

static void put_truth(void)
{
	char kinds[3000], addr[32];
	struct { uint64_t addr, size; uint8_t class; } blocks[3000];
	unsigned count = 0;
	unsigned long long size;

	while (count < 3000 && scanf("%15s %31s %llu", kinds, addr, &size) == 3) {
		blocks[count].addr = strtoull(addr, NULL, 16);
		blocks[count].size = size;
		blocks[count++].class = kinds[0] == 'l' ? LEAK_LOST : kinds[0] == 't' ? LEAK_LOST_THROUGH : LEAK_HELD;
	}
	put(count);
	for (unsigned i = 0; i < count; i++) {
		put(blocks[i].addr);
		put(blocks[i].size);
		put(blocks[i].class);
	}
}

static void record(const struct leak_input *in, const char *path)
{
	uint64_t pages = 0;

	image = fopen(path, "we");
	if (!image)
		exit(3);
	fputs(HEAP_IMAGE_MAGIC, image);
	put(in->cpu.machine);
	put(in->cpu.word);
	put(in->cpu.tag_bits);
	put(in->cpu.red_zone);
	put(process.thread_count);
	for (size_t i = 0; i < process.thread_count; i++) {
		const struct leak_thread *t = &process.threads[i];

		put((uint64_t)t->tid);
		put(t->sp);
		put(t->tp);
		put(t->in_syscall);
		put(t->reg_count);
		for (size_t r = 0; r < t->reg_count; r++)
			put(t->regs[r]);
	}
	put(process.modules.mapped.len);
	for (size_t i = 0; i < process.modules.mapped.len; i++)
		put_module(process.modules.mapped.at[i]);
	put(process.maps.list.len);
	for (size_t i = 0; i < process.maps.list.len; i++) {
		const struct mapping *m = &process.maps.list.at[i];

		put(m->begin);
		put(m->end);
		put(m->read | m->write << 1 | m->exec << 2 | m->shared << 3);
		put_bytes(m->path, strlen(m->path));
		pages += put_pages(m, true);
	}
	put(pages);
	for (size_t i = 0; i < process.maps.list.len; i++)
		put_pages(&process.maps.list.at[i], false);
	put_truth();
	if (fclose(image))
		exit(3);
}

static double marks[8];
static bool progress(void *arg, enum leak_step step, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	if (!marks[step])
		marks[step] = now();
	return true;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct leak *leak = NULL;
	bool blocks = false, times = false;
	const char *file = NULL;
	int option;
	double began = now(), stood;

	while ((option = getopt(argc, argv, "btr:")) > 0) {
		if (option == 'r')
			file = optarg;
		blocks |= option == 'b';
		times |= option == 't';
	}
	if (optind >= argc || open_process(atoi(argv[optind]), &err)) {
		fprintf(stderr, "heap_oracle: %s\n", err.text);
		return 2;
	}
	stood = now();
	/* (while it stands: names of modules are not needed for that) */
	forget_recorder();
	struct leak_input in = {.memory = &process.memory,
				.present = present,
				.maps = &process.maps,
				.modules = &process.modules,
				.cpu = {.word = sizeof(long)},
				.threads = process.threads,
				.thread_count = process.thread_count,
				.progress = progress};
#ifdef __x86_64__
	in.cpu.machine = EM_X86_64;
	in.cpu.red_zone = 128;
#elif defined(__aarch64__)
	in.cpu.machine = EM_AARCH64;
	in.cpu.tag_bits = 8;
#else
	in.cpu.machine = EM_ARM;
#endif
	if (file)
		record(&in, file);
	if (leak_create(&in, &leak, &err)) {
		printf("refused %d %s\n", -err.code, err.text);
		return 1;
	}
	if (times)
		printf("times stop %.1f all %.1f roots at %.1f edges at %.1f mark at %.1f ms\n",
		       stood - began, now() - stood, marks[1] - stood, marks[2] - stood,
		       marks[3] - stood);
	say_all(leak);
	judge(leak);
	if (blocks)
		say_blocks(leak);
	leak_destroy(leak);
	return 0;
}
