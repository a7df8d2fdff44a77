// A context's page: what is known of one call stack.

import { el, svg } from "./dom.js";
import { count, duration, plural, signedCount, signedSize, size } from "./words.js";

function row(name, value) {
	return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value));
}

/** Each generation as two bars: what was allocated in it, and what of that is still in use. */
function bars(rows) {
	const most = Math.max(...rows.map(g => g.born), 1), end = rows.at(-1).end, begin = rows[0].begin;
	const x = seconds => 60 + 640 * (seconds - begin) / Math.max(end - begin, 1e-9), y = value => 130 - 120 * value / most;
	const bar = (g, value, name) => svg("rect", { class: name, x: x(g.begin).toFixed(1), width: Math.max(x(g.end) - x(g.begin) - 1, .5).toFixed(1),
		y: y(value).toFixed(1), height: (130 - y(value)).toFixed(1) });
	return svg("svg", { viewBox: "0 0 710 150", role: "img", "aria-label": "Blocks by when they were allocated" },
		svg("line", { class: "grid", x1: 60, x2: 700, y1: 130, y2: 130 }),
		svg("text", { x: 54, y: 14, "text-anchor": "end" }, count(most)), svg("text", { x: 54, y: 134, "text-anchor": "end" }, "0"),
		svg("text", { x: 60, y: 146 }, duration(Math.max(begin, 0))), svg("text", { x: 700, y: 146, "text-anchor": "end" }, duration(end)),
		...rows.flatMap(g => [bar(g, g.born, "born"), bar(g, g.alive, "alive")]));
}

function generations(capture, c) {
	if (!capture.generations.length)
		return [];
	const rows = capture.generationsOf(c), known = capture.hasBirths;
	return [el("h3", {}, "Generations"),
		el("p", {}, "Blocks by when they were allocated", known ? el("span", {}, ": all, and ", el("b", { class: "alive" }, "those still in use"), ".") : "."),
		bars(rows),
		el("details", {}, el("summary", {}, "The same in numbers"), el("table", {}, el("thead", {}, el("tr", {},
			...["Seconds", "Allocated", "Freed", "Of the allocated, in use"].map(name => el("th", {}, name)))),
		el("tbody", {}, ...rows.map(g => el("tr", {}, el("td", {}, `${g.begin.toFixed(1)} to ${g.end.toFixed(1)}`), el("td", {}, count(g.born)),
			el("td", {}, count(g.died)), el("td", {}, known ? count(g.alive) : "not known"))))))];
}

function rates(capture, c) {
	const { seconds } = capture.json, active = Math.max(seconds - Math.max(capture.first[c] / 100, 0), 1e-9);
	const rows = [row("Allocations a second", `${(capture.allocs[c] / active).toFixed(2)} since its first`)];
	if (capture.per_hour[c])
		rows.push(row("Growth", `${signedSize(capture.per_hour[c])} an hour`));
	rows.push(row("In use per allocation", `${(capture.bytes[c] / Math.max(capture.allocs[c], 1)).toFixed(2)} bytes`));
	if (capture.id[c] >= 0)
		rows.push(row("First, latest allocation", `${(capture.first[c] / 100).toFixed(1)} s, ${(capture.last[c] / 100).toFixed(1)} s`));
	return rows;
}

function spanRows(span, c) {
	if (!span)
		return [];
	const rows = [row(`${span.title}: difference`, `${signedSize(span.bytes[c])} in ${signedCount(span.blocks[c])} blocks`)];
	if (span.born)
		rows.push(row("allocated, freed", `${count(span.born[c])}, ${count(span.died[c])}`));
	return rows;
}

function stack(stacks, c) {
	const list = el("ol", { class: "stack" });
	for (const line of stacks.of(c))
		list.append(el("li", { class: stacks.inlined[line] ? "inlined" : line >= stacks.cut ? "cut" : undefined },
			el("b", {}, stacks.label(line)), " ", el("span", {}, stacks.place(line)), " ",
			el("small", {}, stacks.inlined[line] ? "inlined" : stacks.pc(line))));
	return list;
}

/** back: what leads back. */
export function detail(capture, c, span, back) {
	const { stacks, json } = capture, verdict = json.verdicts[capture.verdict[c]];
	return el("div", { class: "detail" },
		el("p", {}, el("a", { href: "#stacks", onclick: back }, "\u2190 All call stacks")),
		el("h2", { tabindex: -1 }, stacks.label(stacks.where(c)), capture.id[c] >= 0 ? el("small", {}, ` #${capture.id[c]}`) : ""),
		verdict ? el("p", {}, el("b", { class: `verdict-${capture.verdict[c]}` }, verdict), capture.evidence[c] ? `: ${json.texts[capture.evidence[c]]}` : "") : "",
		el("table", { class: "facts" }, el("tbody", {},
			row("In use", `${size(capture.bytes[c])} in ${plural(capture.blocks[c], "block")}`),
			row(capture.most, size(capture.peak[c])),
			row("Allocated, freed", `${plural(capture.allocs[c], "block")} (${size(capture.allocated[c])}), ${plural(capture.frees[c], "block")} (${size(capture.freed[c])})`),
			...spanRows(span, c), ...rates(capture, c))),
		...generations(capture, c),
		el("h3", {}, "Call stack"), stack(stacks, c));
}
