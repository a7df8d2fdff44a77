/* Questions about blocks; see inquiry.h. */
#include "report/inquiry.h"

#include <errno.h>
#include <inttypes.h>

#include "report/heap_text.h"
#include "report/inspect.h"

static int block_at(struct leak *leak, taddr_t addr, uint32_t *ret, struct err *err)
{
	*ret = leak_find(leak, addr);
	return *ret != LEAK_NONE
		       ? 0
		       : err_set(err, -ENOENT, "0x%" PRIx64 " is in no block in use", addr);
}

struct of_context {
	uint32_t context;
	VEC(uint32_t) blocks;
};

static bool take_of(void *arg, uint32_t index, const struct leak_block *block)
{
	struct of_context *of = arg;

	return block->context != of->context || vec_push(&of->blocks, index);
}

static int why(FILE *out, const struct inquiry *q, const struct path_names *names,
	       struct leak *leak, struct err *err)
{
	struct of_context of = {.context = q->context};
	uint32_t index;
	int rc = 0;

	if (q->address) {
		rc = block_at(leak, q->address, &index, err);
		if (!rc && !vec_push(&of.blocks, index))
			rc = err_set(err, -ENOMEM, "memory is short");
	} else if (!leak_for_each_block(leak, take_of, &of)) {
		rc = err_set(err, -ENOMEM, "memory is short");
	}
	if (!rc && !of.blocks.len)
		rc = err_set(err, -ENOENT, "no block in use is of #%" PRIu32, q->context);
	if (!rc)
		inspect_why(out, names, leak, of.blocks.at, of.blocks.len);
	vec_deinit(&of.blocks);
	return rc;
}

static int block(FILE *out, const struct inquiry *q, const struct path_names *names,
		 struct leak *leak, struct memory *memory, struct inquiry_found *ret,
		 struct err *err)
{
	struct leak_block block;
	uint32_t index;
	int rc = block_at(leak, q->address, &index, err);

	if (rc)
		return rc;
	inspect_block(out, names, memory, leak, index);
	leak_block(leak, index, &block);
	*ret = (struct inquiry_found){block.addr, block.context};
	return 0;
}

static int who(FILE *out, const struct inquiry *q, const struct path_names *names,
	       struct leak *leak, struct err *err)
{
	uint32_t index;
	int rc = block_at(leak, q->address, &index, err);

	if (!rc)
		inspect_who(out, names, leak, q->address);
	return rc;
}

/* With the call stack whose blocks pin most, where that is known. */
static int heap(FILE *out, const struct inquiry *q, const struct path_names *names,
		struct leak *leak, struct inquiry_found *ret, struct err *err)
{
	struct survey survey;
	int rc = 0;

	if (!survey_make(&q->survey, &survey))
		rc = err_set(err, -ENOMEM, "memory is short");
	else
		heap_text(out, names, &survey, leak, q->other, q->rows);
	if (!rc && survey.pins.len)
		ret->context = survey.pins.at[0].context;
	survey_deinit(&survey);
	return rc;
}

int inquiry_answer(FILE *out, const struct inquiry *q, const struct path_names *names,
		   struct leak *leak, struct memory *memory, struct inquiry_found *ret,
		   struct err *err)
{
	*ret = (struct inquiry_found){0};
	switch (q->kind) {
	case QUESTION_WHY:
		return why(out, q, names, leak, err);
	case QUESTION_WHO:
		return who(out, q, names, leak, err);
	case QUESTION_BLOCK:
		return block(out, q, names, leak, memory, ret, err);
	default:
		return heap(out, q, names, leak, ret, err);
	}
}
