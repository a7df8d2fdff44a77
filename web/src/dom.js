// Elements. Text of the target's goes in as text, never as markup.

function put(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on"))
			element.addEventListener(name.slice(2), value);
		else if (value !== undefined && value !== false)
			element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children);
	return element;
}

export function el(tag, attributes = {}, ...children) {
	return put(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
	return put(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

export function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Calls back when the colours change. */
export function onTheme(callback) {
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}
