// A browser that reads pages of --format=html, by Playwright: node page.mjs WEB CHROMIUM PLAIN COMPARED EARLIER LARGE SHOTS
// WEB has node_modules; what was seen is printed as JSON, for test_page.py to judge.  SHOTS gets pictures.
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [web, executablePath, plain, compared, earlier, large, shots] = process.argv.slice(2);
const { chromium } = createRequire(resolve(web, "build.mjs"))("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const seen = { troubles: [] };

async function open(file, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(30000);
	page.on("console", message => seen.troubles.push(message.text()));
	page.on("pageerror", error => seen.troubles.push(String(error)));
	page.on("dialog", dialog => { seen.troubles.push(dialog.message()); dialog.dismiss(); });
	page.on("request", request => { if (!request.url().startsWith("file:") || request.url().includes("favicon")) seen.troubles.push(request.url()); });
	await page.goto(pathToFileURL(file).href);
	return page;
}

// (what is drawn is drawn in the next frame)
const settle = page => page.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))));

async function rows(page) {
	await settle(page);
	return page.$$eval(".rows [role=row]:not([hidden])", all => all.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
		.map(row => [...row.children].map(cell => cell.textContent.trim())));
}

const said = async page => [await page.textContent("#said"), await page.textContent(".said")];

async function shot(page, name) {
	await settle(page);
	await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

async function lookAtPlain() {
	const page = await open(plain), at = {};
	at.rows = await rows(page);
	at.headline = await page.textContent("h1");
	for (const key of ["byAllocations", "byAllocationsAgain"]) {
		await page.click(".head button:text-is('Allocations')");
		at[key] = await rows(page);
	}
	await page.keyboard.press("/");
	await page.keyboard.type("img ONERROR");
	at.found = await rows(page);
	at.foundSaid = await said(page);
	await page.fill("#search", "");

	// the brush, from mark a to mark b
	const ends = await page.evaluate(() => {
		const { course, marks, seconds } = JSON.parse(document.getElementById("data").textContent);
		const length = Math.max(course.seconds.at(-1), seconds) - course.seconds[0];
		return marks.map(mark => (mark.seconds - course.seconds[0]) / length);
	});
	await page.locator(".u-over").scrollIntoViewIfNeeded();
	const over = await page.locator(".u-over").boundingBox();
	await page.mouse.move(over.x + over.width * ends[0], over.y + 60);
	await page.mouse.down();
	await page.mouse.move(over.x + over.width * ends[1], over.y + 90, { steps: 4 });
	await page.mouse.up();
	at.brushed = await rows(page);
	at.brushedSaid = await said(page);
	at.chosen = await page.$$eval("#span select", all => all.map(select => select.selectedOptions[0].textContent));
	await shot(page, "brushed");
	await page.click("button:text-is('Since b')");
	at.since = await rows(page);
	at.sinceSaid = await said(page);
	await page.click("#whole");

	// the tree, by keys and by a click
	const tree = page.locator(".icicle canvas"), tell = () => page.textContent(".said");
	await tree.focus();
	at.tree = [];
	for (const key of ["ArrowDown", "ArrowDown", "Enter"]) {
		await page.keyboard.press(key);
		at.tree.push(await tell());
	}
	await settle(page);
	at.zoomed = await page.isVisible("button:text-is('Show all')");
	await page.keyboard.press("Escape");
	await page.selectOption("#weight", "blocks");
	await page.selectOption("#direction", "leaf");
	await settle(page);
	await tree.click({ position: { x: 5, y: 30 } });
	at.leaf = await tell();
	await shot(page, "zoomed");

	// a context's page, and back
	await page.click(".head button:text-is('In use')");
	await page.locator(".list").focus();
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("Enter");
	await page.waitForSelector("#context:not([hidden])");
	at.context = { title: await page.textContent("#context h2"), verdict: await page.textContent("#context h2 + p"),
		facts: await page.$$eval("#context .facts tr", all => all.map(row => [...row.cells].map(cell => cell.textContent))),
		stack: await page.$$eval("#context .stack li", all => all.map(line => line.textContent.trim())),
		generations: await page.$$eval("#context details tbody tr", all => all.map(row => [...row.cells].map(cell => cell.textContent))),
		others: await page.isVisible("#stacks") };
	await shot(page, "context");
	await page.keyboard.press("Escape");
	await page.waitForSelector("#stacks", { state: "visible" });
	at.back = await page.isVisible("#context");
	await page.emulateMedia({ media: "print" });
	at.printed = [await page.isVisible("#ranked"), await page.isVisible(".list")];
	await page.context().close();
	return at;
}

/** An earlier page, chosen as a file; and what is none, dropped. */
async function lookAtEarlier() {
	const page = await open(plain), at = {};
	await page.setInputFiles("#earlier", earlier);
	await page.waitForFunction(() => document.getElementById("said").textContent.includes("since "));
	at.rows = await rows(page);
	await page.evaluate(() => {
		const data = new DataTransfer();
		data.items.add(new File(["<b>"], "<i>x"));
		dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
	});
	await page.waitForFunction(() => document.getElementById("earlier-said").textContent.includes("is no"));
	at.refused = await page.textContent("#earlier-said");
	await page.context().close();
	return at;
}

async function lookWithoutScript() {
	const page = await open(plain, { javaScriptEnabled: false });
	const at = { visible: [await page.isVisible("#ranked"), await page.locator(".list").count()] };
	await page.screenshot({ path: `${shots}/no-script.png` }); // (without scripts no frame is waited for)
	await page.context().close();
	return at;
}

async function lookNarrow() {
	const page = await open(plain, { viewport: { width: 400, height: 800 }, colorScheme: "dark" });
	const at = { wider: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
		paper: await page.evaluate(() => getComputedStyle(document.body).backgroundColor) };
	await shot(page, "narrow");
	await page.context().close();
	return at;
}

async function lookAtCompared() {
	const page = await open(compared);
	const at = { rows: await rows(page), said: await said(page), sentence: await page.textContent("h1 + p") };
	await shot(page, "compared");
	await page.click("#whole");
	at.everything = await rows(page);
	await page.context().close();
	return at;
}

async function lookAtLarge() {
	const before = Date.now(), page = await open(large);
	const at = { first: (await rows(page))[0], ms: Date.now() - before, elements: await page.evaluate(() => document.querySelectorAll("*").length) };
	await page.locator(".list").focus();
	await page.keyboard.press("End");
	at.last = (await rows(page)).at(-1);
	// the longest that a frame took while it was scrolled
	at.frame = await page.evaluate(() => new Promise(done => {
		const grid = document.querySelector(".list");
		let longest = 0, last = performance.now(), left = 60;
		const step = () => {
			const now = performance.now();
			longest = Math.max(longest, now - last);
			last = now;
			grid.scrollTop -= 40000;
			if (left--)
				requestAnimationFrame(step);
			else
				done(Math.round(longest));
		};
		requestAnimationFrame(step);
	}));
	at.said = await page.textContent("#said");
	await page.context().close();
	return at;
}

const giveUp = setTimeout(() => process.exit(3), 120000);
try {
	Object.assign(seen, { plain: await lookAtPlain(), earlier: await lookAtEarlier(), withoutScript: await lookWithoutScript(), narrow: await lookNarrow(),
		compared: await lookAtCompared(), large: await lookAtLarge() });
	console.log(JSON.stringify(seen));
} finally {
	clearTimeout(giveUp);
	await browser.close();
}
