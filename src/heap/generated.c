/* A sorted list of names; see generated.h. */
#include "heap/generated.h"

#include <errno.h>
#include <string.h>

static frame_t key_of(frame_t frame)
{
	return frame & ~(FRAME_EXACT | FRAME_GUESS);
}

int generated_note(struct generated_names *names, frame_t frame, const char *function)
{
	struct generated_name new = {key_of(frame), NULL};

	if (!function || (names->len && names->at[names->len - 1].frame == new.frame))
		return 0;
	new.function = strdup(function);
	if (new.function && vec_push(names, new))
		return 0;
	free(new.function);
	return -ENOMEM;
}

static int compare(const void *a, const void *b)
{
	const struct generated_name *x = a, *y = b;

	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* Each frame once: many call stacks may have passed through it. */
void generated_sort(struct generated_names *names)
{
	size_t kept = 0;

	if (names->len)
		qsort(names->at, names->len, sizeof(*names->at), compare);
	for (size_t i = 0; i < names->len; i++)
		if (kept && names->at[kept - 1].frame == names->at[i].frame)
			free(names->at[i].function);
		else
			names->at[kept++] = names->at[i];
	names->len = kept;
}

void generated_deinit(struct generated_names *names)
{
	for (size_t i = 0; i < names->len; i++)
		free(names->at[i].function);
	vec_deinit(names);
}

const char *generated_find(const struct generated_names *names, frame_t frame)
{
	const struct generated_name key = {key_of(frame), NULL}, *found;

	if (!names->len)
		return NULL;
	found = bsearch(&key, names->at, names->len, sizeof(key), compare);
	return found ? found->function : NULL;
}

bool generated_is_module(const struct module_id *id)
{
	return !id->build_id_len && id->path && id->path[0] == '[' && strcmp(id->path, "[vdso]") &&
	       strcmp(id->path, "[vsyscall]");
}
