// The AWS SDK for JavaScript in a page of another origin, in a real browser: bundled by esbuild as sites do, with the server's
// --cors-origin naming the site. What goes wrong on the way is made by the browser: an answer that is lost. A word as argument runs
// only the cases whose names hold it.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Browser, Server, check, cleanUp, foreignSite } from "../../browser/lib.mjs";

const CASE_MS = 60000;
const SKEW_MS = 3600 * 1000;
const wanted = process.argv[2] || "";

async function bundle() {
  const made = await build({
    entryPoints: [join(dirname(fileURLToPath(import.meta.url)), "page.mjs")], bundle: true, write: false, platform: "browser", format: "iife",
    globalName: "client", logLevel: "warning",
  });
  return made.outputFiles[0].text;
}

// Lets the server do the first call and cuts its answer off.
async function loseOneAnswer(page, url) {
  let lost = false;
  await page.route(url + "/**", async (route) => {
    if (lost || route.request().method() !== "POST") return route.continue();
    lost = true;
    await route.fetch();
    return route.abort("connectionreset");
  });
}

const PREPARED = {
  "a transaction whose answer was lost is retried and done once": async (page, servers) => {
    await loseOneAnswer(page, servers.usual.url);
    return servers.usual;
  },
  "a clock that is wrong is corrected by a retry": async (_, servers) => servers.skewed,
  "a page that may not call learns nothing": async (_, servers) => servers.closed,
};
const BLOCKED = /blocked by CORS policy/;

async function runCase(name, browser, site, script, servers) {
  const page = await browser.context.newPage();
  await page.goto(site);
  await page.addScriptTag({ content: script });
  const server = PREPARED[name] ? await PREPARED[name](page, servers) : servers.usual;
  await page.evaluate(async ([one, url, credentials]) => {
    window.client.connect(url, ...credentials);
    await window.client.cases[one]();
  }, [name, server.url, server.credentials()]);
  const complaints = browser.complaints.splice(0);
  const blocked = complaints.filter((text) => BLOCKED.test(text));
  check(complaints.length === blocked.length, `the page complains: ${complaints.join("; ")}`);
  check(blocked.length > 0 === (server === servers.closed), `what the browser held back: ${blocked.join("; ")}`);
  await page.close();
}

async function names(browser, site, script) {
  const page = await browser.context.newPage();
  await page.goto(site);
  await page.addScriptTag({ content: script });
  return page.evaluate(() => Object.keys(window.client.cases));
}

async function late(name) {
  await new Promise((resolve) => setTimeout(resolve, CASE_MS).unref());
  throw new Error(`${name}: not done in ${CASE_MS} ms`);
}

let passed = 0;
let failed = 0;
try {
  const site = await foreignSite();
  const options = ["--cors-origin", site];
  const servers = {
    usual: await new Server({ options }).start(),
    skewed: await new Server({ options, hooks: true }).start(),
    closed: await new Server({ options: ["--cors-origin", "https://console.example"] }).start(),
  };
  servers.skewed.moveClock(SKEW_MS);
  const [browser, script] = await Promise.all([new Browser().start(), bundle()]);
  for (const name of (await names(browser, site, script)).filter((one) => one.includes(wanted))) {
    try {
      await Promise.race([runCase(name, browser, site, script, servers), late(name)]);
      passed += 1;
      console.log(`ok   ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}\n     ${error.stack}`);
    }
  }
  for (const server of Object.values(servers)) await server.stop();
} finally {
  await cleanUp();
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
