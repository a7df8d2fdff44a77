// All call stacks as one tree on a canvas: width is weight. The tree is made as far as it is seen: a frame knows
// which contexts pass through it, and parts them by their next line when it is drawn wider than a pixel. So
// 100 000 stacks cost one look at each per level of it.
//
//   from the outermost:  main -> serve -> ... -> who allocated
//   from the leaf:       who allocated -> its callers (what is only the allocator's is left out)

import { colour, el, onTheme } from "./dom.js";
import { percent } from "./words.js";

const ROW = 20, LEAST = 1, MOST_ROWS = 600, HUES = [210, 28, 150, 330, 265, 90, 185, 0];

export class Icicle {
	/** show(weight) writes one; zoomed(frame) is called when another frame is the widest. */
	constructor(stacks, show, zoomed) {
		Object.assign(this, { stacks, show, zoomed, outer: true, found: null, boxes: [] });
		this.canvas = el("canvas", { tabindex: 0, role: "img", onclick: event => this.click(event), onmousemove: event => this.move(event),
			onmouseleave: () => this.say(null), onkeydown: event => this.key(event) });
		this.said = el("output", { class: "said", "aria-live": "polite" });
		this.element = el("div", { class: "icicle" }, this.said, this.canvas);
		new ResizeObserver(() => this.soon()).observe(this.element);
		onTheme(() => this.soon());
	}

	/** weights: by context; what is not above 0 is left out. */
	setWeights(weights) {
		this.weights = weights;
		this.plant();
	}

	setDirection(outer) {
		this.outer = outer;
		this.plant();
	}

	/** As Stacks.search() gives it. */
	setFound(found) {
		this.found = found;
		this.labels = null;
		if (found) {
			this.labels = new Uint8Array(this.stacks.texts.length);
			found.lines.forEach((yes, line) => { this.labels[this.stacks.name[line]] |= yes; });
		}
		this.soon();
	}

	plant() {
		const all = [], weights = this.weights;
		let weight = 0;
		for (let c = 0; c < weights.length; c++)
			if (weights[c] > 0) {
				all.push(c);
				weight += weights[c];
			}
		this.root = this.top = this.at = { name: -1, line: -1, contexts: all, weight, depth: 0, up: null };
		this.zoomed(this.top);
		this.soon();
	}

	/** The line of a context that stands so deep; -1: its stack ends above. */
	lineAt(c, depth) {
		const { start, skip, lines } = this.stacks;
		const at = this.outer ? start[c + 1] - 1 - depth : start[c] + skip[c] + depth;
		return at >= start[c] && at < start[c + 1] ? lines[at] : -1;
	}

	below(frame) {
		if (frame.below)
			return frame.below;
		const by = new Map();
		for (const c of frame.contexts) {
			const line = this.lineAt(c, frame.depth);
			if (line < 0)
				continue;
			const name = this.stacks.name[line];
			let child = by.get(name);
			if (!child)
				by.set(name, child = { name, line, contexts: [], weight: 0, depth: frame.depth + 1, up: frame });
			child.contexts.push(c);
			child.weight += this.weights[c];
		}
		return frame.below = [...by.values()].sort((a, b) => b.weight - a.weight || a.name - b.name);
	}

	label(frame) {
		return frame === this.root ? "all call stacks" : this.stacks.texts[frame.name];
	}

	soon() {
		this.waiting ??= requestAnimationFrame(() => {
			this.waiting = null;
			this.draw();
		});
	}

	/** Boxes of all that is to be seen: those above the top, as wide as it, and those below. */
	lay(width) {
		const boxes = [];
		for (let frame = this.top; frame; frame = frame.up)
			boxes.unshift({ frame, x: 0, width });
		boxes.forEach((box, row) => { box.row = row; });
		const todo = this.top.weight > 0 ? [boxes.at(-1)] : [];
		while (todo.length) {
			const { frame, x, width: wide, row } = todo.pop();
			let at = x;
			for (const child of row + 1 < MOST_ROWS ? this.below(frame) : []) {
				const box = { frame: child, x: at, width: wide * child.weight / frame.weight, row: row + 1 };
				at += box.width;
				if (box.width < LEAST)
					break; /* (the others are smaller) */
				boxes.push(box);
				todo.push(box);
			}
		}
		return boxes;
	}

	draw() {
		const width = this.element.clientWidth, scale = devicePixelRatio || 1;
		if (!this.root || !width)
			return;
		this.boxes = this.lay(width);
		const rows = 1 + this.boxes.reduce((most, box) => Math.max(most, box.row), 0);
		Object.assign(this.canvas, { width: width * scale, height: rows * ROW * scale });
		Object.assign(this.canvas.style, { width: `${width}px`, height: `${rows * ROW}px` });
		const ctx = this.canvas.getContext("2d");
		ctx.scale(scale, scale);
		ctx.font = "12px system-ui, sans-serif";
		ctx.textBaseline = "middle";
		this.dark = matchMedia("(prefers-color-scheme: dark)").matches;
		this.paper = colour("paper");
		this.ink = colour("ink");
		this.boxes.forEach(box => this.drawBox(ctx, box));
		this.canvas.ariaLabel = `Call stacks as a tree, ${this.outer ? "from the outermost function" : "from who allocated"}; ${this.describe(this.at)}`;
	}

	fill(frame) {
		if (this.labels && frame !== this.root && this.labels[frame.name])
			return this.dark ? "#8a6d00" : "#ffd84d";
		if (frame === this.root || frame.line >= this.stacks.cut)
			return this.dark ? "#3a3a3a" : "#dcdcdc";
		const module = this.stacks.frames.module[this.stacks.frame[frame.line]];
		const light = (this.dark ? 26 : 82) + (frame.name % 5) * (this.dark ? 2 : 1.6);
		return `hsl(${HUES[module % HUES.length]} ${this.dark ? 40 : 60}% ${this.labels ? (light + (this.dark ? 15 : 95)) / 2 : light}%)`;
	}

	drawBox(ctx, { frame, x, width, row }) {
		const y = row * ROW;
		ctx.fillStyle = this.fill(frame);
		ctx.fillRect(x, y, Math.max(width - .5, .5), ROW - 1);
		if (frame === this.at) {
			ctx.strokeStyle = this.ink;
			ctx.lineWidth = 2;
			ctx.strokeRect(x + 1, y + 1, Math.max(width - 2.5, 1), ROW - 3);
		}
		if (width < 24)
			return;
		ctx.save();
		ctx.beginPath();
		ctx.rect(x, y, width - 2, ROW);
		ctx.clip();
		ctx.fillStyle = this.ink;
		ctx.fillText(this.label(frame).slice(0, Math.ceil(width / 4)), x + 4, y + ROW / 2);
		ctx.restore();
	}

	describe(frame) {
		const stacks = frame.contexts.length;
		const place = frame.line >= 0 ? this.stacks.place(frame.line) : "";
		return `${this.label(frame)}${place ? ` (${place})` : ""}: ${this.show(frame.weight)}, ${percent(frame.weight, this.root.weight)}, ${stacks} call stack${stacks === 1 ? "" : "s"}`;
	}

	/** What the search found, of what is shown. */
	foundWeight() {
		return this.root.contexts.reduce((sum, c) => sum + (this.found.contexts[c] ? this.weights[c] : 0), 0);
	}

	boxAt({ offsetX, offsetY }) {
		const row = Math.floor(offsetY / ROW);
		return this.boxes.find(box => box.row === row && offsetX >= box.x && offsetX < box.x + box.width);
	}

	say(frame) {
		this.said.textContent = this.describe(frame ?? this.at);
	}

	move(event) {
		this.say(this.boxAt(event)?.frame);
	}

	click(event) {
		const box = this.boxAt(event);
		if (box)
			this.zoom(box.frame);
	}

	zoom(frame) {
		this.top = this.at = frame;
		this.say(frame);
		this.zoomed(frame);
		this.soon();
	}

	/** Arrows go from frame to frame, Enter makes one the widest, Escape all of it. */
	key(event) {
		const { at } = this, beside = at.up ? this.below(at.up) : [at];
		const to = { ArrowDown: this.below(at)[0], ArrowUp: at.up, ArrowLeft: beside[beside.indexOf(at) - 1],
			ArrowRight: beside[beside.indexOf(at) + 1] }[event.key];
		if (event.key === "Enter")
			this.zoom(at);
		else if (event.key === "Escape" && this.top !== this.root)
			this.zoom(this.root);
		else if (to)
			this.step(to);
		else if (!event.key.startsWith("Arrow"))
			return;
		event.preventDefault();
	}

	/** What is outside of what is shown is gone to by showing more. */
	step(frame) {
		this.at = frame;
		for (let up = frame; up !== this.top; up = up.up)
			if (!up) {
				this.top = frame;
				this.zoomed(frame);
				break;
			}
		this.say(frame);
		this.soon();
	}
}
