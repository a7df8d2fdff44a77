// What needs no data: tables that stand in the page are sorted by their heads.

import { el } from "./dom.js";

function valueOf(row, column) {
	const cell = row.cells[column];
	return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
}

function sortBy(table, column) {
	const head = table.tHead.rows[0].cells[column], body = table.tBodies[0];
	const rows = Array.from(body.rows, row => ({ row, value: valueOf(row, column) }));
	const sign = head.ariaSort === "ascending" ? -1 : 1;
	rows.sort((a, b) => a.value < b.value ? -sign : a.value > b.value ? sign : 0);
	for (const cell of table.tHead.rows[0].cells)
		cell.removeAttribute("aria-sort");
	head.ariaSort = sign > 0 ? "ascending" : "descending";
	body.append(...rows.map(({ row }) => row));
}

export function makeSortable(table) {
	Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
		cell.replaceChildren(el("button", { type: "button", onclick: () => sortBy(table, column) }, cell.textContent.trim()));
	});
}

/** On paper nothing can be unfolded. */
export function unfoldForPrint() {
	let opened = [];
	addEventListener("beforeprint", () => {
		opened = [...document.querySelectorAll("details:not([open])")];
		opened.forEach(details => { details.open = true; });
	});
	addEventListener("afterprint", () => opened.forEach(details => { details.open = false; }));
}
