/* Expectations that are not met, on their way into the formats of test runners. */
#include "report/export/failures.h"

#include <stdlib.h>
#include <string.h>

#include "base/order.h"

/* A call stack and what it is sorted by. */
struct ranked {
	struct expect_context context;
	uint64_t value;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return order_u64(y->value, x->value) ?: order_u64(x->context.id, y->context.id);
}

bool failures_of(const struct expect_results *results, const struct expect_result *result,
		 struct expect_context **ret, size_t *count)
{
	const struct expectation *e = result->expectation;
	uint64_t limit = e->of_context ? e->limit : 0;
	VEC(struct ranked) ranked = {};
	bool ok = true;

	for (size_t i = 0; ok && i < results->contexts.len; i++) {
		struct ranked one = {.context = results->contexts.at[i]};

		one.value = expect_amount(results, e, &one.context);
		ok = one.value <= limit || vec_push(&ranked, one);
	}
	if (ranked.len)
		qsort(ranked.at, ranked.len, sizeof(*ranked.at), compare_ranked);
	*count = ranked.len;
	*ret = ok ? malloc((ranked.len + 1) * sizeof(**ret)) : NULL;
	for (size_t i = 0; *ret && i < ranked.len; i++)
		(*ret)[i] = ranked.at[i].context;
	vec_deinit(&ranked);
	return *ret != NULL;
}

static bool add_frame(const struct exports *exports, const struct named_frame *frame,
		      struct failure_stack *ret)
{
	for (uint32_t k = 0; k < frame->count; k++) {
		struct failure_line one = {.line = names_line(exports->names, frame, k)};

		one.label = exports_label(&one.line);
		if (!one.label || !vec_push(&ret->lines, one)) {
			free(one.label);
			return false;
		}
	}
	return true;
}

bool failure_stack(const struct exports *exports, uint32_t id, struct failure_stack *ret)
{
	struct export_stack stack;
	size_t skipped;
	bool ok = true;

	*ret = (struct failure_stack){0};
	if (!exports_stack(exports, id, &stack))
		return true;
	memcpy(ret->cut, stack.cut, sizeof(ret->cut));
	skipped = exports_skipped(exports, &stack);
	for (size_t i = 0; ok && i < stack.count; i++) {
		const struct named_frame *frame = exports_frame(exports, stack.frames[i]);

		if (i == skipped)
			ret->fault = ret->lines.len + names_count_folded(exports->names, frame);
		ok = add_frame(exports, frame, ret);
	}
	if (ret->fault >= ret->lines.len)
		ret->fault = 0;
	return ok;
}

void failure_stack_deinit(struct failure_stack *stack)
{
	for (size_t i = 0; i < stack->lines.len; i++)
		free(stack->lines.at[i].label);
	vec_deinit(&stack->lines);
}

const char *failure_function(const struct failure_stack *stack)
{
	return stack->lines.len ? stack->lines.at[stack->fault].label : stack->cut;
}

const char *failure_program(const struct snapshot *snapshot)
{
	const char *path = snapshot->command ? snapshot->command[0] : NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;

	return name && *name ? name : "process";
}
