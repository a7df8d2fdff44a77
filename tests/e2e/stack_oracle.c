/*
 * stack_oracle [-v] FILE: judges recorded stacks (record.h) by elfutils' libdwfl.
 *
 * libdwfl unwinds from the recorded registers and stack bytes and the modules' files;
 * every frame must be the recorded one.  What can't be judged is counted apart:
 *
 *   behind a frame without CFI    libdwfl guesses there, and so does memtrace; but
 *                                 memtrace has to mark its guesses
 *   behind the recorded stack     the bytes libdwfl asked for were not recorded
 *   behind a stub                 the slack of a text segment: one allocation function
 *                                 called another; memtrace leaves its stub's frame out,
 *                                 libdwfl can't know it
 *
 * The last line is JSON: samples, frames, compared, guessed, unrecorded, stubs, deepest,
 * differences (per sample, by the first one), and causes.  Exit 0: no difference.
 */
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record.h"

enum { MAX_FRAMES = 4096, MAX_CAUSES = 64, SHOWN = 10 };

struct walk { /* what libdwfl found */
	uint64_t pcs[MAX_FRAMES];
	bool exact[MAX_FRAMES]; /* the pc is the instruction, not a return address */
	uint32_t count;
	bool complete;	 /* it ended at the outermost frame */
	bool unrecorded; /* it asked for memory that was not recorded */
	const char *error;
};

static struct {
	unsigned long samples, frames, compared, guessed, unrecorded, stubs, deepest;
	unsigned long differences;
	struct {
		char text[200];
		unsigned long count;
	} causes[MAX_CAUSES];
	int cause_count;
} sums;

static const struct record_sample *sample;
static const uint64_t *sample_pcs;
static const uint8_t *sample_stack;
static struct walk walk;
static bool verbose;

/* ---- libdwfl's view of the sample ---------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread)
{
	(void)dwfl;
	(void)arg;
	if (*thread)
		return 0;
	*thread = &walk;
	return 1;
}

static bool find_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread)
{
	(void)dwfl;
	(void)arg;
	*thread = &walk;
	return tid == 1;
}

static bool read_file(Dwfl *dwfl, uint64_t addr, uint64_t *ret)
{
	GElf_Addr bias;
	Dwfl_Module *module = dwfl_addrmodule(dwfl, addr);
	Elf *elf = module ? dwfl_module_getelf(module, &bias) : NULL;
	size_t count, size;
	if (!elf || elf_getphdrnum(elf, &count))
		return false;
	const char *bytes = elf_rawfile(elf, &size);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, i, &header) || header.p_type != PT_LOAD)
			continue;
		uint64_t at = addr - bias - header.p_vaddr;
		if (at + 8 > header.p_filesz || header.p_offset + at + 8 > size)
			continue;
		memcpy(ret, bytes + header.p_offset + at, 8);
		return true;
	}
	return false;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *ret, void *arg)
{
	(void)arg;
	uint64_t at = addr - sample->regs[RSP];
	if (at < sample->stack_len && sample->stack_len - at >= 8) {
		memcpy(ret, sample_stack + at, 8);
		return true;
	}
	if (read_file(dwfl, addr, ret))
		return true;
	walk.unrecorded = true;
	return false;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	(void)arg;
	return dwfl_thread_state_registers(thread, 0, RECORD_REGS, sample->regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = find_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_registers,
};

static int no_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **ret)
{
	/* the unwind data of what is mapped, as memtrace uses it; no debug files */
	(void)module, (void)data, (void)name, (void)base;
	(void)file, (void)link, (void)crc, (void)ret;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = no_debuginfo,
	.section_address = dwfl_offline_section_address,
};

/* The vdso has no file; ours is the same kernel's. */
static void report_vdso(Dwfl *dwfl, const char *maps)
{
	const char *line = strstr(maps, "[vdso]");
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	if (!line || !image)
		return;
	while (line > maps && line[-1] != '\n')
		line--;
	unsigned long begin = 0, end = 0;
	if (sscanf(line, "%lx-%lx", &begin, &end) != 2)
		return;
	int fd = memfd_create("vdso", 0);
	if (fd >= 0 && write(fd, image, end - begin) > 0)
		dwfl_report_elf(dwfl, "[vdso]", "[vdso]", fd, begin, false);
}

static Dwfl *open_modules(const char *maps, size_t len)
{
	char *text = strndup(maps, len);
	FILE *file = fmemopen(text, len, "r");
	Dwfl *dwfl = dwfl_begin(&callbacks);
	dwfl_report_begin(dwfl);
	if (!file || dwfl_linux_proc_maps_report(dwfl, file)) {
		fprintf(stderr, "maps: %s\n", dwfl_errmsg(-1));
		exit(2);
	}
	report_vdso(dwfl, text);
	dwfl_report_end(dwfl, NULL, NULL);
	fclose(file);
	free(text);
	if (!dwfl_attach_state(dwfl, NULL, 1, &thread_callbacks, NULL)) {
		fprintf(stderr, "dwfl_attach_state: %s\n", dwfl_errmsg(-1));
		exit(2);
	}
	return dwfl;
}

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	(void)arg;
	Dwarf_Addr pc;
	bool exact;
	if (walk.count == MAX_FRAMES || !dwfl_frame_pc(frame, &pc, &exact))
		return DWARF_CB_ABORT;
	if (pc == 0)
		return DWARF_CB_OK;
	walk.exact[walk.count] = exact;
	walk.pcs[walk.count++] = pc;
	return DWARF_CB_OK;
}

static void walk_sample(Dwfl *dwfl)
{
	walk.count = 0;
	walk.unrecorded = false;
	walk.error = NULL;
	walk.complete = dwfl_getthread_frames(dwfl, 1, on_frame, NULL) == 0;
	if (!walk.complete)
		walk.error = dwfl_errmsg(-1);
}

static bool has_cfi(Dwfl *dwfl, uint64_t pc, bool exact)
{
	uint64_t at = pc - !exact;
	Dwfl_Module *module = dwfl_addrmodule(dwfl, at);
	GElf_Addr bias = 0;
	Dwarf_CFI *cfi = module ? dwfl_module_eh_cfi(module, &bias) : NULL;
	Dwarf_Frame *frame = NULL;
	bool found = cfi && dwarf_cfi_addrframe(cfi, at - bias, &frame) == 0;
	free(frame);
	if (!found && module && (cfi = dwfl_module_dwarf_cfi(module, &bias))) {
		frame = NULL;
		found = dwarf_cfi_addrframe(cfi, at - bias, &frame) == 0;
		free(frame);
	}
	return found;
}

/* The code at a file's entry point, which nobody has called: the dynamic linker's has no CFI. */
static bool in_entry(Dwfl *dwfl, uint64_t pc)
{
	Dwfl_Module *module = dwfl_addrmodule(dwfl, pc);
	GElf_Addr bias = 0;
	Elf *elf = module ? dwfl_module_getelf(module, &bias) : NULL;
	GElf_Ehdr header;
	return elf && gelf_getehdr(elf, &header) && header.e_entry &&
	       pc - (header.e_entry + bias) < 64;
}

/* Behind the file bytes of executable code, up to the page's end. */
static bool in_slack(Dwfl *dwfl, uint64_t pc)
{
	GElf_Addr bias;
	Dwfl_Module *module = dwfl_addrmodule(dwfl, pc);
	Elf *elf = module ? dwfl_module_getelf(module, &bias) : NULL;
	size_t count;
	if (!elf || elf_getphdrnum(elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, i, &header) || header.p_type != PT_LOAD ||
		    !(header.p_flags & PF_X))
			continue;
		uint64_t end = header.p_vaddr + header.p_filesz;
		if (pc - bias >= end && pc - bias < ((end + 4095) & ~4095ull))
			return true;
	}
	return false;
}

/* ---- comparing ------------------------------------------------------------ */

static void count_cause(const char *text)
{
	int i = 0;
	while (i < sums.cause_count && strcmp(sums.causes[i].text, text))
		i++;
	if (i == MAX_CAUSES)
		return;
	if (i == sums.cause_count) {
		snprintf(sums.causes[i].text, sizeof(sums.causes[i].text), "%s", text);
		sums.cause_count++;
	}
	sums.causes[i].count++;
}

static void describe(Dwfl *dwfl, uint64_t pc, char *ret, size_t size)
{
	pc &= ~RECORD_GUESSED;
	Dwfl_Module *module = pc ? dwfl_addrmodule(dwfl, pc) : NULL;
	const char *path = "nowhere";
	Dwarf_Addr start = 0;
	if (module)
		dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, &path, NULL);
	const char *name = module ? dwfl_module_addrname(module, pc - 1) : NULL;
	const char *file = path ? strrchr(path, '/') : NULL;
	snprintf(ret, size, "%s+0x%lx %s",
		 file	? file + 1
		 : path ? path
			: "?",
		 (unsigned long)(pc - start), name ? name : "");
}

static void show(Dwfl *dwfl)
{
	uint32_t most = walk.count > sample->frames ? walk.count : sample->frames;
	fprintf(stderr, "sample %lu, thread %u: recorded %u frames, end %u; libdwfl %u, %s\n",
		sums.samples, sample->tid, sample->frames, sample->end, walk.count,
		walk.complete ? "complete" : walk.error);
	for (uint32_t i = 0; i < most; i++) {
		char one[200] = "-", other[200] = "-";
		if (i < sample->frames)
			describe(dwfl, sample_pcs[i], one, sizeof(one));
		if (i < walk.count)
			describe(dwfl, walk.pcs[i], other, sizeof(other));
		bool same = i < sample->frames && i < walk.count &&
			    (sample_pcs[i] & ~RECORD_GUESSED) == walk.pcs[i];
		fprintf(stderr, "  %2u %c %s%-46s %s\n", i, same ? ' ' : '*',
			i < sample->frames && sample_pcs[i] & RECORD_GUESSED ? "? " : "", one,
			other);
	}
}

static void differ(Dwfl *dwfl, const char *what, uint32_t frame)
{
	char cause[200], where[120] = "";
	uint32_t callee = frame ? frame - 1 : 0;
	if (callee < walk.count)
		describe(dwfl, walk.pcs[callee], where, sizeof(where));
	snprintf(cause, sizeof(cause), "%s, called from or in %s", what, where);
	count_cause(cause);
	if (sums.differences++ < SHOWN || verbose)
		show(dwfl);
}

static void compare(Dwfl *dwfl)
{
	uint32_t i;
	sums.frames += sample->frames;
	if (sample->frames > sums.deepest)
		sums.deepest = sample->frames;
	for (i = 0; i < walk.count && i < sample->frames; i++) {
		uint64_t pc = sample_pcs[i] & ~RECORD_GUESSED;
		if (i > 0 && !has_cfi(dwfl, walk.pcs[i - 1], walk.exact[i - 1])) {
			/* both guess from here on */
			if (!(sample_pcs[i] & RECORD_GUESSED))
				return differ(dwfl, "a guess that is not marked", i);
			sums.guessed++;
			return;
		}
		if (pc != walk.pcs[i] && in_slack(dwfl, walk.pcs[i])) {
			sums.stubs++;
			return;
		}
		if (pc != walk.pcs[i])
			return differ(dwfl, "another frame", i);
		if (sample_pcs[i] & RECORD_GUESSED)
			return differ(dwfl, "marked as a guess, though there is CFI", i);
		sums.compared++;
	}
	if (i == walk.count && i == sample->frames) {
		if (walk.complete && sample->end != END_ROOT && sample->end != END_DEPTH &&
		    has_cfi(dwfl, walk.pcs[i - 1], walk.exact[i - 1]))
			differ(dwfl, "whole, but said to be cut", i);
		else if (!walk.complete && !walk.unrecorded && sample->end == END_ROOT &&
			 !in_entry(dwfl, walk.pcs[i - 1]))
			differ(dwfl, "cut, but said to be whole", i);
		return;
	}
	if (i == sample->frames) { /* libdwfl goes on */
		if (sample->end == END_DEPTH)
			return;
		if (!has_cfi(dwfl, walk.pcs[i - 1], walk.exact[i - 1])) {
			sums.guessed++;
			if (sample->end == END_ROOT && !in_entry(dwfl, walk.pcs[i - 1]))
				differ(dwfl, "cut for want of CFI, but said to be whole", i);
			return;
		}
		return differ(dwfl, "frames are missing", i);
	}
	if (walk.unrecorded) {
		sums.unrecorded++;
		return;
	}
	if (i && !has_cfi(dwfl, walk.pcs[i - 1], walk.exact[i - 1])) {
		sums.guessed++;
		if (!(sample_pcs[i] & RECORD_GUESSED))
			differ(dwfl, "a guess that is not marked", i);
		return;
	}
	differ(dwfl, walk.complete ? "frames behind the outermost" : "libdwfl stopped", i);
}

static bool parse_sample(const uint8_t *payload, size_t len)
{
	if (len < sizeof(*sample))
		return false;
	sample = (const struct record_sample *)payload;
	uint64_t want = sizeof(*sample) + sample->frames * 8ull + sample->stack_len;
	if (want != len || !sample->frames)
		return false;
	sample_pcs = (const uint64_t *)(payload + sizeof(*sample));
	sample_stack = payload + sizeof(*sample) + sample->frames * 8ull;
	return true;
}

static int judge(const uint8_t *bytes, size_t size)
{
	Dwfl *dwfl = NULL;
	for (size_t at = 0; at < size;) {
		struct record_head head;
		if (size - at < sizeof(head)) {
			fprintf(stderr, "the file ends within a record\n");
			return 2;
		}
		memcpy(&head, bytes + at, sizeof(head));
		const uint8_t *payload = bytes + at + sizeof(head);
		if (size - at - sizeof(head) < head.length) {
			fprintf(stderr, "the file ends within a record\n");
			return 2;
		}
		if (head.type == RECORD_MAPS) {
			dwfl_end(dwfl);
			dwfl = open_modules((const char *)payload, head.length);
		} else if (head.type != RECORD_SAMPLE || !dwfl ||
			   !parse_sample(payload, head.length)) {
			fprintf(stderr, "a broken record at %zu\n", at);
			return 2;
		} else {
			walk_sample(dwfl);
			compare(dwfl);
			sums.samples++;
		}
		at += sizeof(head) + head.length;
	}
	dwfl_end(dwfl);
	return 0;
}

int main(int argc, char **argv)
{
	verbose = argc > 2 && !strcmp(argv[1], "-v");
	const char *path = argc > 1 ? argv[argc - 1] : "";
	int fd = open(path, O_RDONLY);
	struct stat file;
	if (fd < 0 || fstat(fd, &file) || !file.st_size) {
		fprintf(stderr, "%s: %s\n", path, fd < 0 ? strerror(errno) : "empty");
		return 2;
	}
	const uint8_t *bytes = mmap(NULL, file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED || judge(bytes, file.st_size))
		return 2;
	printf("{\"samples\": %lu, \"frames\": %lu, \"compared\": %lu, \"guessed\": %lu, "
	       "\"unrecorded\": %lu, \"stubs\": %lu, \"deepest\": %lu, \"differences\": %lu, "
	       "\"causes\": {",
	       sums.samples, sums.frames, sums.compared, sums.guessed, sums.unrecorded,
	       sums.stubs, sums.deepest, sums.differences);
	for (int i = 0; i < sums.cause_count; i++)
		printf("%s\"%s\": %lu", i ? ", " : "", sums.causes[i].text,
		       sums.causes[i].count);
	printf("}}\n");
	return sums.differences ? 1 : 0;
}
