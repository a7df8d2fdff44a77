/* Sorting and searching; all else of the page is there without it.  No library, no network. */
"use strict";

function valueOf(row, column) {
	const cell = row.cells[column];
	return cell.dataset.v === undefined ? cell.textContent : BigInt(cell.dataset.v);
}

function order(a, b) {
	return a < b ? -1 : a > b ? 1 : 0;
}

/* Numbers: the largest first, but for the first column (the rank, a name); again: the other way. */
function sortBy(table, column) {
	const head = table.tHead.rows[0].cells[column];
	const body = table.tBodies[0];
	const rows = Array.from(body.rows, row => ({row, value: valueOf(row, column)}));
	const numbers = rows.length && typeof rows[0].value === "bigint";
	const first = numbers && column ? "descending" : "ascending";
	const other = first === "ascending" ? "descending" : "ascending";
	const now = head.getAttribute("aria-sort") === first ? other : first;
	const sign = now === "ascending" ? 1 : -1;

	rows.sort((a, b) => sign * order(a.value, b.value));
	for (const cell of table.tHead.rows[0].cells)
		cell.removeAttribute("aria-sort");
	head.setAttribute("aria-sort", now);
	for (const entry of rows)
		body.append(entry.row);
}

/* Its headers become buttons. */
function makeSortable(table) {
	Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
		const button = document.createElement("button");
		button.type = "button";
		button.textContent = cell.textContent.trim();
		button.addEventListener("click", () => sortBy(table, column));
		cell.replaceChildren(button);
	});
}

/* Rows that have all of the words, in any frame of their stack. */
function search(table, words, output) {
	const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
	let shown = 0;

	for (const row of table.tBodies[0].rows) {
		const text = row.textContent.toLowerCase();
		row.hidden = !wanted.every(word => text.includes(word));
		shown += !row.hidden;
	}
	output.textContent = wanted.length ? `${shown} of ${table.tBodies[0].rows.length} call stacks` : "";
}

function makeSearchable(table, tools) {
	const input = tools.querySelector("input");
	const output = tools.querySelector("output");
	input.addEventListener("input", () => search(table, input.value, output));
	tools.hidden = false;
}

/* On paper nothing can be unfolded. */
function unfoldForPrint() {
	let opened = [];
	addEventListener("beforeprint", () => {
		opened = Array.from(document.querySelectorAll("details:not([open])"));
		opened.forEach(details => { details.open = true; });
	});
	addEventListener("afterprint", () => opened.forEach(details => { details.open = false; }));
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
makeSearchable(document.getElementById("ranked"), document.querySelector(".tools"));
unfoldForPrint();
