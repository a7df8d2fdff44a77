/*
 * untouched PID: is every executable segment of a process what its file says, and does
 * every thread run without a tracer?  Says what is not, and exits with how much that is.
 * Behind a segment, in its last page, anything may stand; the vdso, with what is behind it, is
 * this process' own.
 */
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static int complaints;

static int compare(int mem, int file, uint64_t addr, uint64_t offset, uint64_t len,
		   const char *path)
{
	static unsigned char now[65536], then[65536];

	for (uint64_t done = 0; done < len; done += sizeof(now)) {
		size_t n = len - done < sizeof(now) ? (size_t)(len - done) : sizeof(now);

		if (pread(mem, now, n, (off_t)(addr + done)) != (ssize_t)n ||
		    pread(file, then, n, (off_t)(offset + done)) != (ssize_t)n)
			return printf("%s: cannot be read at %" PRIx64 "\n", path, addr + done);
		for (size_t i = 0; i < n; i++)
			if (now[i] != then[i])
				return printf("%s: %02x for %02x at offset %" PRIx64 "\n", path,
					      now[i], then[i], offset + done + i);
	}
	return 0;
}

/* (That of a program of another size of words is another one.) */
static void check_vdso(int mem, uint64_t begin, uint64_t end)
{
	const unsigned char *own = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
	unsigned char now[4 * 4096];
	size_t len = end - begin;

	if (len > sizeof(now) || pread(mem, now, len, (off_t)begin) != (ssize_t)len)
		complaints += printf("[vdso] cannot be read\n") > 0;
	else if (own && now[EI_CLASS] == own[EI_CLASS] && memcmp(now, own, len))
		complaints += printf("[vdso] has changed\n") > 0;
}

static void check_mapping(int mem, const char *line)
{
	uint64_t begin, end, offset;
	char rights[8], path[512];
	ElfW(Ehdr) ehdr;
	int file;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %511[^\n]", &begin,
		   &end, rights, &offset, path) != 5)
		return;
	if (!strcmp(path, "[vdso]"))
		check_vdso(mem, begin, end);
	if (rights[2] != 'x' || path[0] != '/')
		return;
	file = open(path, O_RDONLY);
	if (pread(file, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr)) {
		complaints += printf("%s: cannot be read\n", path) > 0;
		return;
	}
	for (int i = 0; i < ehdr.e_phnum; i++) {
		ElfW(Phdr) phdr;
		off_t at = (off_t)(ehdr.e_phoff + (size_t)i * ehdr.e_phentsize);

		if (pread(file, &phdr, sizeof(phdr), at) != sizeof(phdr) ||
		    phdr.p_type != PT_LOAD || !(phdr.p_flags & PF_X) ||
		    offset > phdr.p_offset || phdr.p_offset - offset >= end - begin)
			continue;
		complaints += compare(mem, file, begin + phdr.p_offset - offset, phdr.p_offset,
				      phdr.p_filesz, path) > 0;
	}
	close(file);
}

static void check_thread(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		if ((!strncmp(line, "State:\t", 7) && strchr("Tt", line[7])) ||
		    (!strncmp(line, "TracerPid:\t", 11) && line[11] != '0'))
			complaints += printf("%s: %s", path, line) > 0;
	}
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	char path[64], line[1024];
	glob_t threads;
	FILE *maps;
	int mem;

	if (argc != 2)
		return 127;
	snprintf(path, sizeof(path), "/proc/%s/mem", argv[1]);
	mem = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%s/maps", argv[1]);
	maps = fopen(path, "r");
	if (mem < 0 || !maps)
		return printf("no process %s\n", argv[1]) > 0 ? 127 : 0;
	while (fgets(line, sizeof(line), maps))
		check_mapping(mem, line);
	snprintf(path, sizeof(path), "/proc/%s/task/*/status", argv[1]);
	if (glob(path, 0, NULL, &threads) == 0)
		for (size_t i = 0; i < threads.gl_pathc; i++)
			check_thread(threads.gl_pathv[i]);
	return complaints < 100 ? complaints : 100;
}
