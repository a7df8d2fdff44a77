// Numbers in LEB128 in base64, as html_data_time.c writes them.

export function bytesOf(base64) {
	if (Uint8Array.fromBase64)
		return Uint8Array.fromBase64(base64);
	const text = atob(base64), bytes = new Uint8Array(text.length);
	for (let i = 0; i < text.length; i++)
		bytes[i] = text.charCodeAt(i);
	return bytes;
}

/** A function that gives the next number; beyond 2^53 it is rounded. */
export function reader(bytes) {
	let at = 0;
	const next = () => {
		let value = 0, factor = 1, byte;
		do {
			byte = bytes[at++];
			value += (byte & 127) * factor;
			factor *= 128;
		} while (byte & 128);
		return value;
	};
	next.more = () => at < bytes.length;
	return next;
}

/**
 * What changed in a span of time, by context: {index, allocs, frees, allocated, freed}, arrays of the same
 * length, ascending by index.
 */
export function changesOf(base64, indexOf) {
	const next = reader(bytesOf(base64)), index = [], allocs = [], frees = [], allocated = [], freed = [];
	for (let id = -1; next.more();) {
		id += next();
		const at = index.length, c = indexOf(id);
		index[at] = c;
		allocs[at] = next();
		frees[at] = next();
		allocated[at] = next();
		freed[at] = next();
		if (c < 0)
			[index, allocs, frees, allocated, freed].forEach(column => column.pop());
	}
	return { index: Int32Array.from(index), allocs, frees, allocated, freed };
}
