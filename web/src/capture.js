// The capture, from the JSON in the page: columns by context (doc/page.md), and what changed when.
//
// A moment is when the counters of all contexts are known: the start, the end of a generation, a mark, now.
// Between any two of them it is exact what each context allocated and freed.

import { bytesOf, changesOf, reader } from "./packed.js";
import { Stacks } from "./stacks.js";

const COUNTERS = ["allocs", "frees", "allocated", "freed"];

export class Capture {
	constructor(json) {
		const { contexts, left_out: leftOut } = json;
		this.json = json;
		this.count = contexts.id.length + (leftOut.blocks ? 1 : 0);
		for (const name of Object.keys(contexts))
			this[name] = Float64Array.from(contexts[name]);
		const nodes = contexts.node;
		if (leftOut.blocks)
			this.addLeftOut(leftOut, nodes);
		this.bytes = this.allocated.map((bytes, c) => bytes - this.freed[c]);
		this.blocks = this.allocs.map((blocks, c) => blocks - this.frees[c]);
		this.stacks = new Stacks(json, nodes);
		if (leftOut.blocks)
			this.stacks.lines[this.stacks.start[this.count - 1]] = this.stacks.leftOut;
		/* of what was looked at, or ever */
		this.most = json.peaks_seen ? "Most seen in use" : "Most in use";
		this.rank();
		this.readMoments();
	}

	/** As a context without a stack, last. */
	addLeftOut({ bytes, blocks }, nodes) {
		const more = { id: -1, allocs: blocks, allocated: bytes, peak: bytes, verdict: -1 };
		for (const name of Object.keys(this.json.contexts)) {
			const longer = new Float64Array(this.count);
			longer.set(this[name]);
			longer[this.count - 1] = more[name] ?? 0;
			this[name] = longer;
		}
		nodes.push(-1);
	}

	/** ranked: as memtrace ranks them; what it does not, behind. */
	rank() {
		const ranked = this.json.ranked.map(id => this.indexOf(id));
		this.rankOf = new Float64Array(this.count).fill(Infinity);
		ranked.forEach((c, k) => { this.rankOf[c] = k + 1; });
		this.rankOf.forEach((rank, c) => {
			if (rank === Infinity)
				this.rankOf[c] = ranked.push(c);
		});
		this.ranked = Int32Array.from(ranked);
	}

	/** Of an id: they ascend. */
	indexOf(id) {
		let low = 0, high = this.json.contexts.id.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.id[middle] < id)
				low = middle + 1;
			else
				high = middle;
		}
		return this.id[low] === id && low < this.json.contexts.id.length ? low : -1;
	}

	readMoments() {
		const { generations, births, marks = [], seconds } = this.json;
		const changes = text => changesOf(text, id => this.indexOf(id));
		this.generations = generations ? generations.ends.map((end, k) => ({
			begin: (k ? generations.ends[k - 1] : generations.begin) / 100, end: end / 100,
			changes: changes(generations.changes[k]) })) : [];
		this.marks = marks.map(mark => ({ ...mark, changes: changes(mark.changes) }));
		this.moments = [
			{ name: "start", seconds: generations ? generations.begin / 100 : 0, parts: [] },
			...this.generations.map(({ end }, k) => ({ name: "", seconds: end, generation: k,
				parts: this.generations.slice(0, k + 1).map(g => g.changes) })),
			...this.marks.map((mark, k) => ({ name: mark.name, seconds: mark.seconds, mark: true,
				parts: this.marks.slice(0, k + 1).map(m => m.changes) })),
		].sort((a, b) => a.seconds - b.seconds);
		this.moments.push({ name: "now", seconds, parts: null });
		this.readBirths(births);
	}

	/** Blocks in use by when they were allocated: of context c, birthOf[c] .. birthOf[c + 1]. */
	readBirths(births) {
		const next = reader(bytesOf(births ?? "")), when = [], alive = [];
		this.birthOf = new Int32Array(this.count + 1);
		for (let id = -1; next.more();) {
			id += next();
			const c = this.indexOf(id), from = when.length;
			for (let mask = next(), g = 0; mask >= 1; mask = Math.floor(mask / 2), g++)
				if (mask % 2)
					when.push(g);
			while (alive.length < when.length)
				alive.push(next());
			if (c < 0)
				when.length = alive.length = from;
			else
				this.birthOf[c + 1] = when.length - from;
		}
		for (let c = 0; c < this.count; c++)
			this.birthOf[c + 1] += this.birthOf[c];
		Object.assign(this, { birthWhen: when, birthAlive: alive, hasBirths: births !== undefined });
	}

	/** What each context had counted by then: {allocs, frees, allocated, freed}. */
	countersAt(moment) {
		if (!moment.parts)
			return this;
		const sums = Object.fromEntries(COUNTERS.map(name => [name, new Float64Array(this.count)]));
		for (const { index, ...values } of moment.parts)
			for (const name of COUNTERS)
				index.forEach((c, k) => { sums[name][c] += values[name][k]; });
		return sums;
	}

	/** What changed from one moment to a later one, by context: differences in use, born, died. */
	span(from, to) {
		const a = this.countersAt(from), b = this.countersAt(to);
		const by = value => Float64Array.from({ length: this.count }, (_, c) => value(c));
		const born = by(c => b.allocs[c] - a.allocs[c]), died = by(c => b.frees[c] - a.frees[c]);
		return {
			from, to, born, died, seconds: to.seconds - from.seconds,
			bytes: by(c => b.allocated[c] - b.freed[c] - a.allocated[c] + a.freed[c]),
			blocks: by(c => born[c] - died[c]),
		};
	}

	/** Bytes in use of a context: at the start, at the end of each generation, and now. */
	course(c) {
		this.courses ??= this.makeCourses();
		return this.courses.map(at => at[c]);
	}

	makeCourses() {
		const all = [new Float64Array(this.count)];
		for (const { changes: { index, allocated, freed } } of this.generations) {
			const at = all.at(-1).slice();
			index.forEach((c, k) => { at[c] += allocated[k] - freed[k]; });
			all.push(at);
		}
		all.push(this.bytes);
		return all;
	}

	/** By generation, and one more for what came after the last: [{begin, end, born, died, alive}]. */
	generationsOf(c) {
		const rows = this.generations.map(({ begin, end, changes }) => {
			const k = changes.index.indexOf(c);
			return { begin, end, born: k < 0 ? 0 : changes.allocs[k], died: k < 0 ? 0 : changes.frees[k], alive: 0 };
		});
		const sum = name => rows.reduce((total, row) => total + row[name], 0);
		rows.push({ begin: rows.at(-1)?.end ?? 0, end: this.json.seconds, born: this.allocs[c] - sum("born"),
			died: this.frees[c] - sum("died"), alive: 0 });
		for (let k = this.birthOf[c]; k < this.birthOf[c + 1]; k++)
			if (rows[this.birthWhen[k]])
				rows[this.birthWhen[k]].alive = this.birthAlive[k];
		return rows;
	}
}
