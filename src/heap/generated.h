/* Names of frames in generated code, as a snapshot has them; see capture/generated.h. */
#ifndef MEMTRACE_GENERATED_H
#define MEMTRACE_GENERATED_H

#include "base/types.h"
#include "base/vec.h"
#include "elf/module_id.h"
#include "region/frame.h"

struct generated_name {
	frame_t frame; /* without its flags */
	char *function;
};

VEC_TYPE(generated_names, struct generated_name); /* by frame, once they are sorted */

/* function is copied; NULL: nothing to note.  0 or -ENOMEM. */
int generated_note(struct generated_names *names, frame_t frame, const char *function);
void generated_sort(struct generated_names *names);
void generated_deinit(struct generated_names *names);
/* Or NULL. */
const char *generated_find(const struct generated_names *names, frame_t frame);

/* Is it one that stands for memory with generated code, which no file has? */
bool generated_is_module(const struct module_id *id);

#endif
