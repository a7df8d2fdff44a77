// The call stacks: for each context its lines, leaf first, flat in one array.
//
//   start[c] .. start[c + 1]  ->  lines[]  ->  name, file, line, frame of each
//
// A stack that is cut ends with a line that says why: those are numbered behind all others.

export class Stacks {
	constructor(json, nodes) {
		this.texts = json.texts.concat(json.ends, "[left out of the report]");
		this.modules = json.modules;
		this.readLines(json);
		this.readNodes(json);
		this.lay(nodes);
	}

	readLines({ texts, ends, lines, frames }) {
		const real = lines.name.length;
		const pad = (values, with_) => Int32Array.from(
			values.concat(Array.from({ length: ends.length + 1 }, (_, k) => with_(k))));
		this.cut = real; // the first line that is none
		this.leftOut = real + ends.length;
		this.name = pad(lines.name, k => texts.length + k);
		this.file = pad(lines.file, () => 0);
		this.line = pad(lines.line, () => 0);
		this.inlined = pad(lines.inlined, () => 0);
		this.frame = new Int32Array(this.name.length).fill(-1);
		this.first = new Int32Array(frames.lines.length + 1);
		frames.lines.forEach((many, f) => {
			this.frame.fill(f, this.first[f], this.first[f] + many);
			this.first[f + 1] = this.first[f] + many;
		});
		this.frames = frames;
	}

	readNodes({ nodes: { frame, caller } }) {
		const many = this.frames.lines, count = frame.length;
		this.nodeFrame = Int32Array.from(frame);
		this.caller = new Int32Array(count);
		// (how many lines a node and its callers have: each stands behind its caller)
		this.nodeLines = new Int32Array(count);
		for (let i = 0; i < count; i++) {
			const back = caller[i], up = back > 0 ? i - back : back - 1;
			this.caller[i] = up;
			this.nodeLines[i] = many[frame[i]] + (up >= 0 ? this.nodeLines[up] : up === -1 ? 0 : 1);
		}
	}

	lay(nodes) {
		const count = nodes.length;
		this.start = new Int32Array(count + 1);
		for (let c = 0; c < count; c++)
			this.start[c + 1] = this.start[c] + (nodes[c] >= 0 ? this.nodeLines[nodes[c]] : 1);
		this.lines = new Int32Array(this.start[count]);
		this.skip = new Int32Array(count); // lines that are only ways into the allocator
		for (let c = 0; c < count; c++)
			this.layOne(c, nodes[c]);
	}

	layOne(c, node) {
		const { lines: many, folded } = this.frames;
		let at = this.start[c], skipping = true;
		for (; node >= 0; node = this.caller[node]) {
			const f = this.nodeFrame[node];
			if (skipping) {
				this.skip[c] += folded[f];
				skipping = folded[f] === many[f];
			}
			for (let line = this.first[f]; line < this.first[f + 1]; line++)
				this.lines[at++] = line;
		}
		if (skipping)
			this.skip[c] = 0;
		if (at < this.start[c + 1])
			this.lines[at] = this.cut - 1 - node;
	}

	/** Its lines, leaf first. */
	of(c) {
		return this.lines.subarray(this.start[c], this.start[c + 1]);
	}

	/** The line that it is called by: the first that is not the allocator's. */
	where(c) {
		return this.lines[this.start[c] + this.skip[c]];
	}

	label(line) {
		return this.texts[this.name[line]];
	}

	module(line) {
		const number = this.frame[line] < 0 ? 0 : this.frames.module[this.frame[line]];
		return number ? this.modules[number - 1] : "";
	}

	place(line) {
		if (this.frame[line] < 0)
			return "";
		return this.file[line] ? `${this.texts[this.file[line]]}:${this.line[line]}` : `in ${this.module(line) || "no module"}`;
	}

	pc(line) {
		return this.frame[line] < 0 ? "" : `0x${this.frames.pc[this.frame[line]].toUpperCase()}`;
	}

	/** Of words: which contexts have all of them, and which lines have any. */
	search(words) {
		const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
		if (!wanted.length)
			return null;
		this.hay ??= Array.from(this.name, (_, line) =>
			`${this.label(line)} ${this.place(line)}`.toLowerCase());
		const contexts = new Uint8Array(this.start.length - 1).fill(1), lines = new Uint8Array(this.hay.length);
		for (const word of wanted) {
			const has = Uint8Array.from(this.hay, text => text.includes(word) ? 1 : 0);
			has.forEach((yes, line) => { lines[line] |= yes; });
			for (let c = 0; c < contexts.length; c++)
				if (contexts[c])
					contexts[c] = this.hasAny(c, has);
		}
		return { contexts, lines };
	}

	hasAny(c, has) {
		for (let at = this.start[c]; at < this.start[c + 1]; at++)
			if (has[this.lines[at]])
				return 1;
		return 0;
	}
}
