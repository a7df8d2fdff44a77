// An earlier page, from a file that somebody chose: what each call stack has more in use than there.
//
// Call stacks are the same whose functions are, without lines and addresses, so that another build can be compared;
// of those that are the same here, the one that has most stands for all. (memtrace-fs compares by addresses first.)

import { Capture } from "./capture.js";

const BEGIN = '<script type="application/json" id="data">', END = "</script>";

/** The capture in a page; throws in words. */
export async function captureOf(file) {
	const text = await file.text(), begin = text.indexOf(BEGIN), end = text.indexOf(END, begin);
	if (begin < 0 || end < 0)
		throw new Error(`${file.name} is no page of memtrace`);
	let json;
	try {
		json = JSON.parse(text.slice(begin + BEGIN.length, end));
	} catch {
		throw new Error(`${file.name} is damaged`);
	}
	if (json.version !== 1)
		throw new Error(`${file.name} is of another version of memtrace`);
	return new Capture(json);
}

function keyOf({ stacks }, c) {
	return Array.from(stacks.of(c), line => stacks.label(line)).join("\n");
}

/** A span: bytes and blocks that each context of `after` has more than in `before`. */
export function difference(before, after, title) {
	const there = new Map(), here = new Map();
	for (let c = 0; c < before.count; c++) {
		const key = keyOf(before, c), sum = there.get(key) ?? { bytes: 0, blocks: 0 };
		there.set(key, { bytes: sum.bytes + before.bytes[c], blocks: sum.blocks + before.blocks[c] });
	}
	for (let c = 0; c < after.count; c++) {
		const key = keyOf(after, c), sum = here.get(key) ?? { bytes: 0, blocks: 0, most: c };
		here.set(key, { bytes: sum.bytes + after.bytes[c], blocks: sum.blocks + after.blocks[c],
			most: after.bytes[c] > after.bytes[sum.most] ? c : sum.most });
	}
	const span = { title, bytes: new Float64Array(after.count), blocks: new Float64Array(after.count) };
	for (const [key, { bytes, blocks, most }] of here) {
		const was = there.get(key) ?? { bytes: 0, blocks: 0 };
		span.bytes[most] = bytes - was.bytes;
		span.blocks[most] = blocks - was.blocks;
	}
	return span;
}
