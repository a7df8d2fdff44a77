// Other people's viewers in a browser, by Playwright: node viewers.mjs WEB CHROMIUM DH_VIEW DHAT FILE...
// WEB has node_modules.  valgrind's dh_view.html opens DHAT, speedscope each FILE; what they show is printed as JSON, for
// test_viewers.py to judge.
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [web, executablePath, dhView, dhat, ...files] = process.argv.slice(2);
const { chromium } = createRequire(resolve(web, "build.mjs"))("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"] });
const seen = { troubles: [], speedscope: {} };

async function open(file) {
	const page = await (await browser.newContext()).newPage();
	page.setDefaultTimeout(30000);
	page.on("pageerror", error => seen.troubles.push(String(error)));
	page.on("dialog", dialog => { seen.troubles.push(dialog.message()); dialog.dismiss(); });
	page.on("request", request => { if (!/^(file|blob|data):/.test(request.url())) seen.troubles.push(request.url()); });
	await page.goto(pathToFileURL(file).href);
	return page;
}

if (dhView) {
	const page = await open(dhView);
	await page.setInputFiles("input[type=file]", dhat);
	await page.waitForFunction(() => document.body.innerText.includes("Allocated at {"));
	seen.dhat = await page.innerText("body");
	await page.close();
}

for (const file of files) {
	const page = await open(resolve(web, "node_modules/speedscope/dist/release/index.html"));
	await page.setInputFiles("input[type=file]", file);
	await page.waitForFunction(() => document.title.endsWith(" - speedscope"));
	// its table, of all functions, those with most of their own first: it is there when the key was taken
	while (!await page.locator("th:has-text('Symbol Name')").count()) {
		await page.keyboard.press("3");
		await page.waitForTimeout(50);
	}
	seen.speedscope[file] = {
		title: await page.title(),
		rows: await page.$$eval("tr", all => all.map(row => [...row.querySelectorAll("td")].map(cell => cell.innerText.trim()))),
	};
	await page.close();
}
console.log(JSON.stringify(seen));
await browser.close();
