// Numbers as a person reads them.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function size(bytes) {
	let value = Math.abs(bytes), unit = 0;
	for (; value >= 1024 && unit + 1 < UNITS.length; unit++)
		value /= 1024;
	const text = unit ? value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0) : `${value}`;
	return `${bytes < 0 ? "\u2212" : ""}${text} ${bytes === 1 ? "byte" : UNITS[unit]}`;
}

export function signedSize(bytes) {
	return bytes > 0 ? `+${size(bytes)}` : size(bytes);
}

const THOUSANDS = new Intl.NumberFormat("en-US");

export function count(value) {
	return value > -1000 && value < 1000 ? `${value < 0 ? "\u2212" : ""}${Math.abs(value)}` : THOUSANDS.format(value).replace("-", "\u2212");
}

export function signedCount(value) {
	return value > 0 ? `+${count(value)}` : count(value);
}

export function plural(value, what) {
	return `${count(value)} ${what}${value === 1 ? "" : "s"}`;
}

export function duration(seconds) {
	if (seconds < 120)
		return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
	if (seconds < 7200)
		return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
	return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
}

export function percent(part, whole) {
	return whole ? `${(100 * part / whole).toFixed(part >= whole ? 0 : 1)} %` : "0 %";
}
