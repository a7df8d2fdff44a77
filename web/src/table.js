// The call stacks as rows of which only those exist that are seen: 100 000 would be a browser's end.

import { el, svg } from "./dom.js";

const ROW = 26, SPARE = 4;

export class Table {
	/**
	 * columns: [{key, title, width, value(c), fill(cell, c)}]: what it is sorted by, and what writes a cell, which may be
	 * that of another row before.  open(c) is called for a chosen row.
	 */
	constructor(columns, ranked, rankOf, open) {
		Object.assign(this, { ranked, rankOf, open, sorted: null, sign: 1, rows: ranked, at: 0, pool: [], drawn: 0 });
		this.head = el("div", { role: "row", class: "head" });
		this.body = el("div", { role: "rowgroup", class: "rows" });
		this.element = el("div", { class: "list", role: "table", tabindex: 0, "aria-label": "Call stacks",
			onscroll: () => this.soon(), onkeydown: event => this.key(event) }, this.head, this.body);
		new ResizeObserver(() => this.soon()).observe(this.element);
		this.setColumns(columns);
	}

	setColumns(columns) {
		this.columns = columns;
		this.element.style.setProperty("--columns", columns.map(c => c.width).join(" "));
		this.head.replaceChildren(...columns.map(column => el("span", { role: "columnheader", class: column.class },
			el("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.title))));
		this.pool = [];
		this.body.replaceChildren();
		if (!columns.some(column => column.key === this.sorted))
			this.sorted = null;
		this.sort();
	}

	/** Largest first, but for ranks and names; again: the other way. */
	sortBy(key) {
		const column = this.columns.find(c => c.key === key), first = column.ascends ? 1 : -1;
		this.sign = this.sorted === key ? -this.sign : first;
		this.sorted = key;
		this.sort();
	}

	/** keep(c): whether a context has a row; null: all. */
	filter(keep) {
		this.keep = keep;
		this.sort();
	}

	sort() {
		const column = this.columns.find(c => c.key === this.sorted), sign = this.sign;
		const rows = this.keep ? this.ranked.filter(this.keep) : this.ranked.slice();
		if (column) {
			const values = Array.from({ length: this.rankOf.length });
			for (const c of rows)
				values[c] = column.value(c);
			const order = (a, b) => values[a] < values[b] ? -sign : values[a] > values[b] ? sign : this.rankOf[a] - this.rankOf[b];
			rows.sort(order);
		}
		[...this.head.children].forEach((cell, k) => {
			const on = this.columns[k] === column;
			cell.ariaSort = !on ? null : sign > 0 ? "ascending" : "descending";
		});
		this.rows = rows;
		this.at = 0;
		this.element.ariaRowCount = rows.length + 1;
		this.body.style.height = `${rows.length * ROW}px`;
		this.element.style.height = `min(32rem, 70vh, ${(Math.max(rows.length, 1) + 2) * ROW}px)`;
		this.drawn++;
		this.soon();
	}

	soon() {
		this.waiting ??= requestAnimationFrame(() => {
			this.waiting = null;
			this.draw();
		});
	}

	draw() {
		const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - SPARE);
		const last = Math.min(this.rows.length, first + Math.ceil(this.element.clientHeight / ROW) + 2 * SPARE);
		const many = Math.max(last - first, 1);
		while (this.pool.length < many)
			this.pool.push(this.makeRow());
		const used = new Set();
		for (let r = first; r < last; r++) {
			const row = this.pool[r % this.pool.length];
			used.add(row);
			if (row.at !== r || row.drawn !== this.drawn)
				this.fill(row, r);
			row.element.ariaSelected = r === this.at ? "true" : "false";
		}
		for (const row of this.pool)
			row.element.hidden = !used.has(row);
	}

	makeRow() {
		const cells = this.columns.map(column => el("span", { role: "cell", class: column.class ?? "" }));
		const row = { cells, at: -1, drawn: -1 };
		row.element = el("div", { role: "row", onclick: () => { this.at = row.at; this.open(this.rows[row.at]); } }, ...cells);
		this.body.append(row.element);
		return row;
	}

	fill(row, r) {
		const c = this.rows[r];
		Object.assign(row, { at: r, drawn: this.drawn });
		row.element.style.transform = `translateY(${r * ROW}px)`;
		row.element.ariaRowIndex = r + 2;
		row.element.dataset.context = c;
		this.columns.forEach((column, k) => column.fill(row.cells[k], c));
	}

	key(event) {
		const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 2);
		const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.rows.length, End: this.rows.length }[event.key];
		if (event.target !== this.element)
			return;
		if (event.key === "Enter" && this.rows.length)
			this.open(this.rows[this.at]);
		else if (step)
			this.move(step);
		else
			return;
		event.preventDefault();
	}

	move(step) {
		this.at = Math.min(Math.max(this.at + step, 0), Math.max(this.rows.length - 1, 0));
		const top = this.at * ROW, height = this.element.clientHeight - this.head.offsetHeight - ROW;
		this.element.scrollTop = Math.min(Math.max(this.element.scrollTop, top - height), top);
		this.soon();
	}
}

/** A line of values as a picture in a cell; all of it is 80 by 18. */
export function sparkline(cell, values) {
	const most = Math.max(...values, 1), step = 78 / Math.max(values.length - 1, 1);
	const path = values.map((value, k) => `${k ? "L" : "M"}${(1 + k * step).toFixed(1)} ${(17 - 16 * value / most).toFixed(1)}`);
	if (!cell.firstChild)
		cell.append(svg("svg", { viewBox: "0 0 80 18", class: "spark", "aria-hidden": "true" }, svg("path")));
	cell.firstChild.firstChild.setAttribute("d", path.join(""));
}
