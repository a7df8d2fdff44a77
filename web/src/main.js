// The page: one state (which span of time, which words), and the parts that show it.
//
//   brush, mark --> span --+--> table, icicle, context's page
//   words ---------------- +

import { Capture } from "./capture.js";
import { Chart } from "./chart.js";
import { captureOf, difference } from "./compare.js";
import { detail } from "./detail.js";
import { el } from "./dom.js";
import { Icicle } from "./icicle.js";
import { makeSortable, unfoldForPrint } from "./plain.js";
import { sparkline, Table } from "./table.js";
import { count, duration, percent, plural, signedCount, signedSize, size } from "./words.js";

const capture = new Capture(JSON.parse(document.getElementById("data").textContent));
const { json, stacks, moments } = capture;
const state = { span: null, found: null, words: "", weight: "bytes" };

// ---- columns of the table --------------------------------------------------------------

const text = (key, title, width, value, show) => ({ key, title, width, value, class: "number",
	fill: (cell, c) => { cell.textContent = show(value(c)); } });

function fillVerdict(cell, c) {
	cell.textContent = json.verdicts[capture.verdict[c]] ?? "";
	cell.className = `verdict-${capture.verdict[c]}`;
}

function fillWhere(cell, c) {
	if (!cell.firstChild)
		cell.append("", " ", el("small"));
	cell.firstChild.data = cell.title = stacks.label(stacks.where(c));
	cell.lastChild.textContent = capture.id[c] >= 0 ? `#${capture.id[c]}` : "";
}

function columns() {
	const { span } = state, shown = [{ ...text("rank", "Rank", "4rem", c => capture.rankOf[c], count), ascends: true }];
	if (span) {
		shown.push(text("change", "Difference", "7.5rem", c => span.bytes[c], signedSize), text("change-blocks", "Blocks \u00b1", "6rem", c => span.blocks[c], signedCount));
		if (span.born)
			shown.push(text("born", "Allocated", "6rem", c => span.born[c], count), text("died", "Freed", "6rem", c => span.died[c], count));
	}
	shown.push(text("bytes", "In use", "6.5rem", c => capture.bytes[c], size), text("blocks", "Blocks", "5.5rem", c => capture.blocks[c], count));
	if (!span)
		shown.push(text("allocs", "Allocations", "7.5rem", c => capture.allocs[c], count), text("peak", capture.most, "7.5rem", c => capture.peak[c], size),
			text("per_hour", "An hour", "6.5rem", c => capture.per_hour[c], v => v ? signedSize(v) : ""));
	shown.push({ key: "verdict", title: "Verdict", width: "7.5rem", value: c => capture.verdict[c], fill: fillVerdict });
	if (capture.generations.length)
		shown.push({ key: "course", title: "Over time", width: "7rem", value: c => capture.course(c).at(-1) - capture.course(c)[Math.floor(capture.generations.length / 2)],
			fill: (cell, c) => sparkline(cell, capture.course(c)) });
	shown.push({ key: "where", title: "Allocated by", width: "minmax(16rem, 1fr)", value: c => stacks.label(stacks.where(c)), ascends: true, fill: fillWhere });
	return shown;
}

const isInUse = c => capture.blocks[c] > 0;
const hasChanged = c => state.span.bytes[c] || state.span.blocks[c] || state.span.born?.[c] || state.span.died?.[c];

function keep(c) {
	return (state.span ? hasChanged(c) : isInUse(c)) && (!state.found || state.found.contexts[c]);
}

// ---- the parts -------------------------------------------------------------------------

const said = el("output", { id: "said" });
const table = new Table(columns(), capture.ranked, capture.rankOf, c => { location.hash = `context-${capture.id[c]}`; });
const zoomed = el("button", { type: "button", hidden: true, onclick: () => icicle.zoom(icicle.root) }, "Show all");
const icicle = new Icicle(stacks, weight => state.weight === "bytes" ? size(weight) : plural(weight, state.weight === "blocks" ? "block" : "allocation"),
	frame => { zoomed.hidden = !frame.up; });

function weights() {
	const { span, weight } = state;
	if (weight === "allocs")
		return span?.born ?? capture.allocs;
	return (span ?? capture)[weight];
}

/** What of the table and the icicle is shown, in words. */
function sum() {
	let bytes = 0, blocks = 0;
	const from = state.span ?? capture;
	for (const c of table.rows) {
		bytes += from.bytes[c];
		blocks += from.blocks[c];
	}
	const of = state.found || state.span ? ` of ${count(capture.count)}` : "";
	const what = state.span ? `${signedSize(bytes)} in ${signedCount(blocks)} blocks, ${state.span.title}` : `${size(bytes)} in ${plural(blocks, "block")}`;
	said.textContent = `${count(table.rows.length)}${of} call stacks: ${what}${state.found ? `; ${percent(icicle.foundWeight(), icicle.root.weight)} of the tree` : ""}`;
}

function show() {
	table.keep = keep;
	table.setColumns(columns());
	sum();
	if (location.hash.startsWith("#context-"))
		route();
}

function search(words) {
	Object.assign(state, { words, found: stacks.search(words) });
	table.filter(keep);
	icicle.setFound(state.found);
	sum();
}

function setSpan(span) {
	const had = state.span;
	state.span = span;
	whole.hidden = !span;
	if (span && !had)
		Object.assign(table, { sorted: "change", sign: -1 });
	else if (!span)
		table.sorted = null;
	icicle.setWeights(weights());
	show();
}

// ---- the span of time --------------------------------------------------------------------

const nameOf = moment => moment.name ? `${moment.mark ? "mark " : ""}${moment.name}${moment.mark ? ` (${duration(moment.seconds)})` : ""}` : duration(moment.seconds);

function nearest(seconds) {
	return moments.reduce((best, moment, k) => Math.abs(moment.seconds - seconds) < Math.abs(moments[best].seconds - seconds) ? k : best, 0);
}

function choices(label, first, last, choose) {
	const select = el("select", { "aria-label": label, onchange: () => choose() });
	for (let k = first; k <= last; k++)
		select.append(el("option", { value: k }, nameOf(moments[k])));
	return select;
}

const last = moments.length - 1;
const fromWhen = choices("From", 0, last - 1, chooseMoments), toWhen = choices("To", 1, last, chooseMoments);
const marks = moments.filter(moment => moment.mark);
const chart = json.course && json.course.seconds.length > 1 ? new Chart(json.course, marks, json.seconds, (from, to) => choose(nearest(from), nearest(to))) : null;
const whole = el("button", { type: "button", id: "whole", onclick: () => choose(0, last), hidden: true }, "Everything");

/** From one moment to another: numbers of them. All of the time, or nothing: no span. */
function choose(from, to) {
	const all = from >= to || from === 0 && to === last;
	const [a, b] = all ? [0, last] : [from, to];
	fromWhen.value = a;
	toWhen.value = b;
	chart?.show(all ? null : [moments[a].seconds, moments[b].seconds]);
	if (all)
		return setSpan(null);
	const span = capture.span(moments[a], moments[b]);
	span.title = b === last ? `since ${nameOf(moments[a])}` : `from ${nameOf(moments[a])} to ${nameOf(moments[b])}`;
	setSpan(span);
}

function chooseMoments() {
	choose(Number(fromWhen.value), Number(toWhen.value));
}

/** Another capture, as a span: what was born and died between two processes nobody knows. */
function compared() {
	const { from, id, bytes, blocks } = json.comparison;
	const span = { title: `since ${from}`, bytes: new Float64Array(capture.count), blocks: new Float64Array(capture.count) };
	id.forEach((number, k) => {
		const c = capture.indexOf(number);
		if (c >= 0)
			[span.bytes[c], span.blocks[c]] = [bytes[k], blocks[k]];
	});
	return span;
}

function compare() {
	choose(0, last);
	setSpan(compared());
}

const earlierSaid = el("output", { id: "earlier-said" });

/** A page of an earlier capture, of the same program or another build. */
async function compareWith(file) {
	earlierSaid.textContent = `reading ${file.name}`;
	try {
		const span = difference(await captureOf(file), capture, `since ${file.name}`);
		choose(0, last);
		setSpan(span);
		earlierSaid.textContent = "";
	} catch (error) {
		earlierSaid.textContent = error.message;
	}
}

function makeComparison() {
	const input = el("input", { type: "file", id: "earlier", accept: ".html", onchange: () => input.files.length && compareWith(input.files[0]) });
	addEventListener("dragover", event => event.preventDefault());
	addEventListener("drop", event => {
		event.preventDefault();
		if (event.dataTransfer.files.length)
			compareWith(event.dataTransfer.files[0]);
	});
	return el("p", { class: "app tools" }, el("label", {}, "Compare with an earlier page, or drop it here: ", input), " ", earlierSaid);
}

function makeTime() {
	const section = document.getElementById("history"), tools = el("p", { class: "app tools", id: "span" });
	if (chart)
		section.append(el("div", { class: "app" }, chart.element));
	if (moments.length > 2)
		tools.append(el("label", {}, "From ", fromWhen), " ", el("label", {}, "to ", toWhen), " ");
	tools.append(whole);
	if (json.comparison)
		tools.append(" ", el("button", { type: "button", id: "compare", onclick: compare }, `Since ${json.comparison.from}`));
	for (const mark of marks)
		tools.append(" ", el("button", { type: "button", class: "mark", onclick: () => choose(moments.indexOf(mark), last) }, `Since ${mark.name}`));
	if (chart && moments.length > 2)
		tools.append(" ", el("small", {}, "or draw over the chart. Call stacks are known at the ends of generations and at marks: the span goes to the nearest."));
	section.append(tools, makeComparison());
	document.querySelector("#history > .plain")?.classList.toggle("kept", !chart);
}

// ---- call stacks -------------------------------------------------------------------------

function option(name, value) {
	return el("option", { value }, name);
}

function makeStacks() {
	const section = document.getElementById("stacks");
	const words = el("input", { type: "search", id: "search", oninput: () => search(words.value) });
	const weight = el("select", { id: "weight", onchange: () => { state.weight = weight.value; icicle.setWeights(weights()); sum(); } },
		option("bytes", "bytes"), option("blocks", "blocks"), option("allocations", "allocs"));
	const direction = el("select", { id: "direction", onchange: () => icicle.setDirection(direction.value === "outer") },
		option("from the outermost function", "outer"), option("from who allocated", "leaf"));
	section.append(el("div", { class: "app" },
		el("p", { class: "tools" }, el("label", {}, "Search ", words), " ", said), table.element,
		el("h2", {}, "As a tree"),
		el("p", { class: "tools" }, el("label", {}, "Show ", weight), " ", el("label", {}, direction), " ", zoomed,
			el("small", {}, " A click makes a frame the widest, Escape shows all; arrows and Enter do it, too. Of a part of the time, or compared, it shows what has grown.")), icicle.element));
	addEventListener("keydown", event => {
		if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName))
			return;
		event.preventDefault();
		words.focus();
	});
}

// ---- a context's page ----------------------------------------------------------------------

const page = el("section", { id: "context", class: "app", hidden: true });
let scrolled = 0;

function route() {
	const id = location.hash.startsWith("#context-") ? Number(location.hash.slice(9)) : null;
	const c = id === null ? -1 : id < 0 ? capture.count - 1 : capture.indexOf(id), was = page.hidden;
	if (was)
		scrolled = scrollY;
	page.hidden = c < 0;
	document.body.classList.toggle("one", c >= 0);
	if (c >= 0) {
		page.replaceChildren(detail(capture, c, state.span, () => { location.hash = ""; }));
		page.querySelector("h2").focus({ preventScroll: true });
		if (was)
			scrollTo(0, 0);
	} else if (!was) {
		table.soon();
		scrollTo(0, scrolled);
		table.element.focus({ preventScroll: true });
	}
}

addEventListener("hashchange", route);
addEventListener("keydown", event => {
	if (event.key === "Escape" && !page.hidden)
		location.hash = "";
});

document.documentElement.className = "js";
document.querySelectorAll("table.sortable").forEach(makeSortable);
makeTime();
makeStacks();
document.querySelector("footer").before(page);
unfoldForPrint();
if (json.comparison)
	compare();
else
	choose(0, last);
route();
