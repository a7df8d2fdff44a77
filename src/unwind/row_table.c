/* The rows come over the wire: each field is checked before a walk may rely on it. */
#include "unwind/row_table.h"

#include "base/order.h"

static bool is_valid(const struct row *row)
{
	return row->cfa <= ROW_CFA_ROOT && row->ra <= ROW_UNDEFINED && row->fp <= ROW_UNDEFINED;
}

void row_table_add(struct row_table *table, uint64_t vaddr, const struct row *row)
{
	static const struct row none = {.cfa = ROW_CFA_NONE};
	struct row kept = is_valid(row) ? *row : none;
	size_t count = table->vaddrs.len;

	table->full |= kept.cfa == ROW_CFA_FULL;
	if (count && table->vaddrs.at[count - 1] == vaddr) {
		table->rows.at[count - 1] = kept;
		return;
	}
	/* Behind one that was dropped none is taken: a row holds up to the next one. */
	if (table->cut || count == ROW_TABLE_MAX || !vec_reserve(&table->vaddrs, count + 1) ||
	    !vec_reserve(&table->rows, count + 1)) {
		table->cut = true;
		return;
	}
	table->vaddrs.at[table->vaddrs.len++] = vaddr;
	table->rows.at[table->rows.len++] = kept;
}

const struct row *row_table_find(const struct row_table *table, uint64_t vaddr)
{
	size_t low = order_count(table->vaddrs.len, i, table->vaddrs.at[i] <= vaddr);

	if (!low || low == table->vaddrs.len || table->rows.at[low - 1].cfa == ROW_CFA_NONE)
		return NULL;
	return &table->rows.at[low - 1];
}

void row_table_deinit(struct row_table *table)
{
	vec_deinit(&table->vaddrs);
	vec_deinit(&table->rows);
}
