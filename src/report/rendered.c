/* One text of all lines, and where each begins in it. */
#include "report/rendered.h"

#include <errno.h>
#include <stdlib.h>

struct rendered {
	char *text;
	size_t len;
	size_t *begin; /* of each line, and the end of the last */
};

static int render_all(struct rendered *rendered, const struct names *names,
		      rendered_line_fn *write, const struct report_options *options,
		      struct progress *progress, FILE *out)
{
	const struct frame_names *values = names_values(names);
	size_t line = 0;

	for (size_t i = 0; i < values->frame_count; i++) {
		const struct named_frame *named = &values->frames[i];

		if (!progress_step(progress, "naming frames", i, values->frame_count))
			return -ECANCELED;
		for (uint32_t k = 0; k < named->count; k++) {
			struct names_line value = names_line(names, named, k);
			off_t end;

			write(out, &value, options);
			end = ftello(out);
			if (end < 0)
				return -ENOMEM;
			rendered->begin[++line] = (size_t)end;
		}
	}
	return ferror(out) ? -ENOMEM : 0;
}

int rendered_create(const struct names *names, rendered_line_fn *write,
		    const struct report_options *options, struct progress *progress,
		    struct rendered **ret, struct err *err)
{
	struct rendered *rendered = calloc(1, sizeof(*rendered));
	FILE *out = NULL;
	int failed = -ENOMEM;

	if (rendered) {
		rendered->begin =
			calloc(names_values(names)->line_count + 1, sizeof(*rendered->begin));
		out = open_memstream(&rendered->text, &rendered->len);
	}
	if (out && rendered->begin)
		failed = render_all(rendered, names, write, options, progress, out);
	if (out && fclose(out) && !failed)
		failed = -ENOMEM;
	if (!failed) {
		*ret = rendered;
		return 0;
	}
	rendered_destroy(rendered);
	return failed == -ECANCELED
		       ? progress_cancelled(err)
		       : err_set(err, failed, "out of memory for the names of %zu frames",
				 names_values(names)->frame_count);
}

void rendered_destroy(struct rendered *rendered)
{
	if (!rendered)
		return;
	free(rendered->text);
	free(rendered->begin);
	free(rendered);
}

const char *rendered_text(const struct rendered *rendered, size_t first, size_t count,
			  size_t *len)
{
	*len = rendered->begin[first + count] - rendered->begin[first];
	return rendered->text + rendered->begin[first];
}
