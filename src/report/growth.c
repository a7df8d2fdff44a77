/*
 * How the resident memory of the process grew, and what part of that the blocks explain that it
 * allocated while it was watched.  What they do not explain did not come from malloc: then who
 * is known for that, and what would show it, are named.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "report/head.h"
#include "report/print.h"

enum { WORTH_WORDS = 1 << 20, EXPLAINED_PERCENT = 50 };

/* Whose memory is not malloc's, by a part of a module's name. */
static const struct {
	const char *module, *words;
	bool may_be_off; /* by snapshot.own_heap_off */
} others[] = {
	{"libjvm.so", "a Java virtual machine maps its heap itself: ask its own tools (jcmd PID "
		      "VM.native_memory)",
	 false},
	{"python", "Python has small objects in memory of its own: started with "
		   "PYTHONMALLOC=malloc it has them from malloc",
	 true},
	{"php", "PHP has memory of its own: started with USE_ZEND_ALLOC=0 it has it from malloc",
	 true},
	{"node", "the JavaScript engine maps its heap itself: node --inspect shows it", false},
	{"libmono", "Mono maps its heap itself", false},
	{"libcoreclr.so", ".NET maps its heap itself: dotnet-gcdump shows it", false},
};

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path ? path : "";
}

const char *head_known_other(const struct snapshot *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		for (size_t k = 0; k < s->module_count; k++) {
			const char *name = base_name(s->modules[k].id.path);

			if (s->modules[k].mapped &&
			    !(others[i].may_be_off && s->own_heap_off) &&
			    (!strncmp(name, others[i].module, strlen(others[i].module)) ||
			     (!strncmp(name, "lib", 3) &&
			      !strncmp(name + 3, others[i].module, strlen(others[i].module)))))
				return others[i].words;
		}
	return NULL;
}

static void size(FILE *out, uint64_t bytes)
{
	if (!print_size(out, bytes))
		print_count(out, bytes, "byte");
}

static uint64_t mapped_bytes(const struct snapshot *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->mapping_count; i++)
		bytes += s->mappings[i].end - s->mappings[i].begin;
	return bytes;
}

static void write_obtained(FILE *out, const struct snapshot *s)
{
	if (!s->obtained_bytes)
		return;
	fputs(" The allocators have ", out);
	size(out, s->obtained_bytes);
	fputs(" of the kernel.", out);
}

/* True: it has said who has memory of his own. */
static bool write_growth(FILE *out, const struct snapshot *s)
{
	uint64_t grown = s->resident_bytes > s->resident_at_start
				 ? s->resident_bytes - s->resident_at_start
				 : 0;
	uint64_t in_use = s->totals.allocated_bytes - s->totals.freed_bytes;
	uint64_t part = in_use < grown ? in_use : grown;
	uint64_t rest = grown - part, mapped = mapped_bytes(s);
	const char *other;

	fputs("RSS ", out);
	size(out, s->resident_at_start);
	fputs(" at the start, ", out);
	size(out, s->resident_bytes);
	fputs(" now", out);
	if (grown < WORTH_WORDS || s->no_allocator) {
		putc('.', out);
		return false;
	}
	fputs(": of the ", out);
	size(out, grown);
	fputs(" between, blocks in use explain ", out);
	print_percent(out, part, grown);
	if (mapped) {
		fputs(", and what was mapped by mmap() at most ", out);
		print_percent(out, mapped < rest ? mapped : rest, grown);
	}
	putc('.', out);
	if ((part + (mapped < rest ? mapped : rest)) * 100 >= grown * EXPLAINED_PERCENT)
		return false;
	other = head_known_other(s);
	if (!other && s->totals.peak_bytes - in_use >= rest / 2) {
		fputs(report_peaks_are_seen(s) ? " At the peak at least " : " At the peak ", out);
		size(out, s->totals.peak_bytes);
		fputs(" were in use: malloc may have kept what was freed since, which `heap` shows.",
		      out);
		return false;
	}
	fprintf(out, " The rest is not malloc's, or what it keeps of blocks that were freed (`heap`): %s.",
		other		   ? other
		: s->maps_followed ? "stacks, pages of files"
				   : "mmap() by the program (--mmap follows it), stacks, pages "
				     "of files");
	return other != NULL;
}

bool head_growth(FILE *out, const struct snapshot *s)
{
	scope_free char *text = NULL;
	bool said;
	size_t len;
	FILE *side = s->resident_at_start && s->resident_bytes ? open_memstream(&text, &len)
							       : NULL;

	if (!side)
		return false;
	said = write_growth(side, s);
	write_obtained(side, s);
	fclose(side);
	if (text)
		print_wrapped(out, text);
	return said;
}
