/* Looks for leaks; see leak_scan.h. */
#include "cli/leak_scan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/order.h"
#include "cli/leak_limit.h"
#include "cli/leak_remote.h"
#include "cli/parts.h"
#include "heap/findings_bytes.h"
#include "tracer/status.h"

enum { STANDING_MS = 1000, EVERY_MS = 100, PICTURES = 3 };

/* ---- the picture ----------------------------------------------------------- */

static void announce(const struct leak_scan_options *options, unsigned threads,
		     const struct smaps *look, uint64_t expected_ns)
{
	if (!options->quiet && !options->at_end)
		output_log(options->output,
			   "Looking for leaks: %u thread%s, %" PRIu64
			   " MiB resident; the process will stand still for about %.1f ms",
			   threads, threads == 1 ? "" : "s", look->resident_bytes >> 20,
			   (double)expected_ns / 1e6);
}

static int take(struct leak_scan *scan, struct err *err)
{
	const struct leak_scan_options *options = &scan->options;
	pid_t pid = capture_pid(options->capture), alive = status_alive(pid);
	uint64_t max_ns = options->max_pause_ms * 1000000, expected;
	struct smaps mappings;
	struct look_options look = {&mappings, max_ns ? max_ns : STANDING_MS * 1000000ull,
				    options->at_end ? 0 : options->max_pause_ms};
	struct status status;
	int rc;

	if (!alive || status_read(alive, 0, &status))
		return err_set(err, -ESRCH, "the process has ended");
	rc = smaps_read(alive, &mappings, err);
	if (rc)
		return rc;
	scan->resident = mappings.resident_bytes;
	expected = picture_expected_ns(&mappings, status.threads, true);
	announce(options, status.threads, &mappings, expected);
	if (max_ns && expected > max_ns)
		rc = err_set(
			err, -EBUSY,
			"no look for leaks: the process would stand still for about %.1f ms, "
			"and --max-pause allows %" PRIu64 " ms",
			(double)expected / 1e6, options->max_pause_ms);
	if (!rc)
		rc = capture_look(options->capture, &look, &scan->look, err);
	if (rc)
		smaps_deinit(&mappings);
	return rc;
}

/* ---- what of it leak_create() is given ---------------------------------------- */

static int give_threads(struct leak_scan *scan)
{
	const struct picture *picture = scan->look->picture;
	size_t count = picture->threads.len;

	scan->threads = calloc(count + 1, sizeof(*scan->threads));
	for (size_t i = 0; scan->threads && i < count; i++) {
		const struct picture_thread *t = &picture->threads.at[i];

		scan->threads[i] = (struct leak_thread){
			.tid = t->tid,
			.sp = t->sp,
			.tp = t->pointer,
			.in_syscall = t->in_call,
			.regs = t->registers,
			.reg_count = t->register_count,
			.extra = t->vectors,
			.extra_len = t->vectors_len,
		};
	}
	return scan->threads ? 0 : -ENOMEM;
}

static int by_addr(const void *a, const void *b)
{
	const struct leak_live *x = a, *y = b;

	return order_u64(x->addr, y->addr);
}

static int give_live(struct leak_scan *scan)
{
	const struct look *look = scan->look;

	scan->live = calloc(look->live.len + 1, sizeof(*scan->live));
	for (size_t i = 0; scan->live && i < look->live.len; i++)
		scan->live[i] = (struct leak_live){look->live.at[i].addr, look->live.at[i].size,
						   look->live.at[i].context};
	if (!scan->live)
		return -ENOMEM;
	qsort(scan->live, look->live.len, sizeof(*scan->live), by_addr);
	return 0;
}

static const char *thread_name(void *arg, int tid)
{
	const struct picture *picture = ((struct leak_scan *)arg)->look->picture;

	for (size_t i = 0; i < picture->threads.len; i++)
		if (picture->threads.at[i].tid == tid)
			return picture->threads.at[i].name;
	return NULL;
}

static bool frame_at(void *arg, int tid, taddr_t addr, const struct module **module,
		     uint64_t *vaddr)
{
	struct leak_scan *scan = arg;

	return scan->stacks && leak_stacks_find(scan->stacks, tid, addr, module, vaddr);
}

struct ticking {
	struct leak_scan *scan;
	int64_t last;
};

static bool tick(void *arg, enum leak_step step, uint64_t done, uint64_t total)
{
	struct ticking *t = arg;
	const struct leak_scan_options *options = &t->scan->options;

	if (clock_ms() - t->last >= EVERY_MS) {
		t->last = clock_ms();
		output_progress(options->output, leak_step_name(step), (size_t)(done >> 10),
				(size_t)(total >> 10) + 1);
	}
	return leak_limit_goes_on(t->scan);
}

/* Half of what the kernel could give to anybody (proc_meminfo(5)); 0: it does not say. */
static uint64_t half_of_available(void)
{
	static const char name[] = "MemAvailable:";
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, sizeof(name) - 1)) {
			fclose(file);
			return strtoull(line + sizeof(name) - 1, NULL, 10) * 1024 / 2;
		}
	if (file)
		fclose(file);
	return 0;
}

static int analyse(struct leak_scan *scan, struct err *err)
{
	struct picture *picture = scan->look->picture;
	const struct arch *arch = picture->arch;
	struct ticking ticking = {scan, clock_ms() + EVERY_MS * 5};
	const struct leak_input input = {
		.memory = &picture->memory,
		.present = picture_present,
		.present_arg = picture,
		.maps = &picture->maps,
		.modules = &scan->modules,
		.cpu = {arch->elf_machine, arch->word_size, arch->pointer_tag_bits,
			arch->red_zone},
		.threads = scan->threads,
		.thread_count = picture->threads.len,
		.live = scan->live,
		.live_count = scan->look->live.len,
		.survey = scan->options.survey,
		.memory_limit = scan->options.memory_limit ? scan->options.memory_limit
							    : scan->available,
		.progress = tick,
		.progress_arg = &ticking,
	};
	int rc = parts_have(PART_looks)
			 ? leak_create(&input, &scan->leak, err)
			 : err_set(err, -ENOMEM, "this memtrace was made small, and leaves looks to a memtrace-fs "
				   "(--connect)");

	output_progress(scan->options.output, "", 0, 0);
	if (rc != -ENOMEM || !leak_remote_can(scan))
		return leak_limit_tell(scan, rc, err);
	memcpy(scan->why, err->text, sizeof(scan->why));
	if (!scan->options.quiet)
		output_log(scan->options.output, "%s: memtrace-fs looks in place of this machine",
			   scan->why);
	return 0;
}

/* (else memtrace-fs does) */
static bool looks_here(const struct leak_scan *scan)
{
	return parts_have(PART_looks) && scan->leak;
}

/* ---- all ---------------------------------------------------------------------- */

/* What was read of a copy that is no more is no picture. */
static int check(const struct leak_scan *scan, struct err *err)
{
	pid_t copy = scan->look->picture->copy;
	struct status status;

	if (!copy || (status_read(copy, 0, &status) == 0 && status.state != 'Z'))
		return 0;
	return err_set(err, -EIO,
		       "the copy of the process was killed before all of it was read (the OOM "
		       "killer takes it first)");
}

static int begin(struct leak_scan *scan, struct err *err)
{
	struct picture *picture;
	int rc = take(scan, err);

	if (rc)
		return rc;
	picture = scan->look->picture;
	scan->names = (struct path_names){picture->arch, thread_name, frame_at, scan};
	scan->stacks = leak_stacks_create(picture, &scan->modules);
	rc = modules_update(&scan->modules, picture->copy ? picture->copy : picture->pid,
			    &picture->maps, &picture->memory, NULL, err);
	if (!rc)
		rc = give_threads(scan);
	if (!rc)
		rc = give_live(scan);
	if (rc)
		return err_set(err, rc, "memory is short");
	scan->available = half_of_available();
	rc = analyse(scan, err);
	return rc ? rc : check(scan, err);
}

int leak_scan_begin(struct leak_scan *ret, const struct leak_scan_options *options,
		    struct err *err)
{
	int rc = -EAGAIN;

	/* (a thread may have been in the middle of a call of the allocator; at the end of the
	 * process none will come out of it) */
	for (int i = 0; rc == -EAGAIN && i < (options->at_end ? 1 : PICTURES); i++) {
		memset(ret, 0, sizeof(*ret));
		ret->options = *options;
		ret->options.quiet |= i > 0;
		modules_init(&ret->modules, NULL);
		rc = begin(ret, err);
		if (rc)
			leak_scan_end(ret, NULL);
	}
	return rc;
}

static char *path(void *arg, const uint32_t *blocks, size_t count)
{
	struct leak_scan *scan = arg;

	return path_text(&scan->names, scan->leak, blocks, count);
}

static void content(void *arg, uint32_t block, struct leak_content *ret)
{
	struct leak_scan *scan = arg;

	path_content_of(&scan->names, scan->leak, block, ret);
}

static int find_here(struct leak_scan *scan, size_t blocks, size_t paths,
		     const struct findings_addrs *confirmed, struct findings **ret,
		     struct err *err)
{
	static const taddr_t nothing;
	const struct findings_options options = {
		.context_count = scan->look->snapshot->context_count,
		.blocks = blocks,
		.paths = paths,
		.confirmed = !confirmed	     ? NULL
			     : confirmed->at ? confirmed->at
					     : &nothing,
		.confirmed_count = confirmed ? confirmed->len : 0,
		.path = path,
		.path_arg = scan,
		.content = content,
	};

	return findings_create(scan->leak, &options, ret, err);
}

static int find_there(struct leak_scan *scan, size_t blocks, size_t paths,
		      const struct findings_addrs *confirmed, struct findings **ret,
		      struct err *err)
{
	uint32_t count = scan->look->snapshot->context_count;
	struct question q = {.kind = QUESTION_FINDINGS,
			     .context_count = count,
			     .blocks = blocks,
			     .paths = (uint32_t)paths};
	struct resolver_found found = {0};
	int rc = leak_remote_ask(scan, &q, confirmed, &found, err);

	if (!rc)
		rc = findings_read(found.at, found.len, count, ret, err);
	vec_deinit(&found);
	return rc;
}

int leak_scan_find(struct leak_scan *scan, size_t blocks, size_t paths,
	      const struct findings_addrs *confirmed, struct findings **ret, struct err *err)
{
	int rc = looks_here(scan) ? find_here(scan, blocks, paths, confirmed, ret, err)
			    : find_there(scan, blocks, paths, confirmed, ret, err);

	if (rc)
		return rc;
	(*ret)->at_end = scan->options.at_end;
	(*ret)->pause_ns = scan->look->pause_ns;
	(*ret)->taken = scan->look->snapshot->taken;
	(*ret)->ticks = scan->look->snapshot->ticks_now;
	snprintf((*ret)->why, sizeof((*ret)->why), "%.*s", (int)sizeof((*ret)->why) - 1,
		 scan->look->picture->why);
	rc = check(scan, err);
	if (rc) {
		findings_destroy(*ret);
		*ret = NULL;
	}
	return rc;
}

int leak_scan_lost(struct leak_scan *scan, struct findings_addrs *ret, struct err *err)
{
	struct question q = {.kind = QUESTION_LOST};
	struct resolver_found found = {0};
	struct fields f;
	int rc;

	if (looks_here(scan))
		return findings_lost(scan->leak, ret)
			       ? 0
			       : err_set(err, -ENOMEM, "memory is short");
	rc = leak_remote_ask(scan, &q, NULL, &found, err);
	f = fields_over(found.at, found.len);
	while (!rc && cursor_left(&f.in)) {
		taddr_t addr;

		FIELD(&f, addr);
		if (!vec_push(ret, addr))
			rc = err_set(err, -ENOMEM, "memory is short");
	}
	vec_deinit(&found);
	return rc;
}

int leak_scan_inquire(struct leak_scan *scan, const struct inquiry *inquiry, FILE *out,
		      struct inquiry_found *ret, struct err *err)
{
	struct picture *picture = scan->look->picture;
	struct inquiry whole = *inquiry;

	whole.survey = (struct survey_input){
		.leak = scan->leak,
		.maps = &picture->maps,
		.modules = &scan->modules,
		.uses = picture->look.uses.at,
		.use_count = picture->look.uses.len,
		.threads = scan->threads,
		.thread_count = picture->threads.len,
		.mapped = scan->look->snapshot->mappings,
		.mapped_count = scan->look->snapshot->mapping_count,
	};
	if (!looks_here(scan))
		return leak_remote_text(scan, &whole, out, ret, err);
	return inquiry_answer(out, &whole, &scan->names, scan->leak, &picture->memory, ret, err);
}

void leak_scan_end(struct leak_scan *scan, uint64_t *pause_ns)
{
	if (looks_here(scan))
		leak_destroy(scan->leak);
	leak_stacks_destroy(scan->stacks);
	modules_deinit(&scan->modules); /* (some read from the picture) */
	free(scan->threads);
	free(scan->live);
	if (scan->look) {
		capture_look_end(scan->options.capture, scan->look);
		if (pause_ns)
			*pause_ns = scan->look->pause_ns;
	}
	look_destroy(scan->look);
	memset(scan, 0, sizeof(*scan));
}
