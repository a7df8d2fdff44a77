// What the page is made of: web/src and uPlot, into one script and one style sheet, dist/page.*, and what a
// Content-Security-Policy calls each.  `node build.mjs [DIR]` writes them to another directory.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const into = process.argv[2] ?? new URL("dist", import.meta.url).pathname;
const at = file => new URL(file, import.meta.url).pathname;
const common = { bundle: true, minify: true, write: false, charset: "ascii", legalComments: "none", logLevel: "warning",
	target: ["chrome109", "firefox115", "safari16"] };
const { version } = JSON.parse(readFileSync(at("node_modules/uplot/package.json"), "utf8"));
const banner = `/* memtrace's page, made of web/. It contains uPlot ${version}:\n\n${readFileSync(at("node_modules/uplot/LICENSE"), "utf8").trim()} */`;

mkdirSync(into, { recursive: true });
for (const [name, options] of [["page.js", { entryPoints: [at("src/main.js")], format: "iife", banner: { js: banner } }],
	["page.css", { entryPoints: [at("src/page.css")], banner: { css: banner } }]]) {
	const { outputFiles: [{ contents }] } = await build({ ...common, ...options });
	const hash = createHash("sha256").update(contents).digest("base64");
	writeFileSync(`${into}/${name}`, contents);
	writeFileSync(`${into}/${name}.sha256`, `sha256-${hash}`);
}
