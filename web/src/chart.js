// In use and RSS over time by uPlot, each on its own scale; marks; and the brush.

import uPlot from "uplot";
import { colour, el, onTheme } from "./dom.js";
import { size } from "./words.js";

const HEIGHT = 240;

/** A round step of bytes, a power of two, so that there are four lines or so. */
function ticks(plot, axis, low, high) {
	const step = 2 ** Math.max(0, Math.ceil(Math.log2((high - low) / 5 || 1)));
	return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, k) => Math.ceil(low / step) * step + k * step);
}

function since(seconds) {
	const s = Math.round(seconds);
	if (s < 120)
		return `${s} s`;
	const parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60].map(part => String(part).padStart(2, "0"));
	return (s < 3600 ? parts.slice(1) : parts).join(":");
}

export class Chart {
	/** Until `end`, in seconds.  brushed(from, to): seconds that somebody chose; from === to: none. */
	constructor(course, marks, end, brushed) {
		const known = column => column.map(bytes => bytes || null);
		this.data = [course.seconds, course.in_use, known(course.resident)];
		if (course.allocators?.some(bytes => bytes)) /* what they have of the kernel, by their books */
			this.data.push(known(course.allocators));
		Object.assign(this, { marks, end, brushed, chosen: null, element: el("div", { class: "chart" }) });
		onTheme(() => this.make());
		new ResizeObserver(() => this.resize()).observe(this.element);
	}

	axis(scale, side, stroke, grid) {
		return { scale, side, stroke, size: 76, splits: (plot, axis, low, high) => ticks(plot, axis, low, high),
			values: (_, at) => at.map(bytes => size(bytes)), grid: { show: grid, stroke: colour("line"), width: 1 },
			ticks: { stroke: colour("line"), width: 1 } };
	}

	options() {
		const soft = colour("soft"), use = colour("use"), rss = colour("rss");
		const fromZero = (_, low, high) => [0, Math.max(high, 1) * 1.05];
		const series = (label, scale, stroke) => ({ label, scale, stroke, width: 2, points: { show: false },
			value: (plot, bytes) => bytes === null ? plot?.cursor?.idx == null ? "" : "not known" : size(bytes) });
		return {
			width: Math.max(this.element.clientWidth, 200), height: HEIGHT,
			scales: { x: { time: false, range: (_, low, high) => [low, Math.max(high, this.end)] }, use: { range: fromZero }, rss: { range: fromZero } },
			series: [{ label: "Time", value: (_, s) => s === null ? "" : since(s) }, series("In use", "use", use), series("RSS", "rss", rss),
				{ ...series("Allocators have", "rss", rss), dash: [6, 4] }].slice(0, this.data.length),
			axes: [{ stroke: soft, grid: { show: false }, ticks: { stroke: colour("line"), width: 1 }, values: (_, at) => at.map(since),
				incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800] },
				this.axis("use", 3, use, true), this.axis("rss", 1, rss, false)],
			cursor: { drag: { x: true, y: false, setScale: false } },
			hooks: { draw: [plot => this.drawMarks(plot)], setSelect: [plot => this.selected(plot)] },
		};
	}

	make() {
		this.plot?.destroy();
		this.plot = new uPlot(this.options(), this.data, this.element);
		this.show(this.chosen);
	}

	resize() {
		const width = this.element.clientWidth;
		if (!width || width === this.width)
			return;
		this.width = width;
		if (this.plot)
			this.plot.setSize({ width, height: HEIGHT });
		else
			this.make();
		this.show(this.chosen);
	}

	drawMarks({ ctx, bbox, valToPos }) {
		ctx.save();
		ctx.strokeStyle = ctx.fillStyle = colour("ink");
		ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
		ctx.setLineDash([4, 3]);
		for (const { name, seconds } of this.marks) {
			const x = Math.round(this.plot.valToPos(seconds, "x", true));
			ctx.beginPath();
			ctx.moveTo(x, bbox.top);
			ctx.lineTo(x, bbox.top + bbox.height);
			ctx.stroke();
			ctx.fillText(name, x + 4 * devicePixelRatio, bbox.top + 12 * devicePixelRatio);
		}
		ctx.restore();
	}

	selected(plot) {
		if (this.showing)
			return;
		plot.over.querySelector(".u-select").hidden = false;
		const { left, width } = plot.select;
		this.brushed(plot.posToVal(left, "x"), plot.posToVal(left + Math.max(width, 0), "x"));
	}

	/** [from, to] in seconds, as the chosen span; null: none. */
	show(chosen) {
		this.chosen = chosen;
		if (!this.plot)
			return;
		const [from, to] = (chosen ?? [0, 0]).map(seconds => this.plot.valToPos(seconds, "x"));
		this.showing = true;
		this.plot.setSelect({ left: from, width: chosen ? to - from : 0, top: 0, height: this.plot.over.clientHeight }, false);
		this.plot.over.querySelector(".u-select").hidden = !chosen;
		this.showing = false;
	}
}
