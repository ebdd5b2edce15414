// A Headwater server and real browsers for the browser tests: people who type and click, and read what is on the screen.

import { execFile, spawn } from "node:child_process";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const PASSWORD = "correct horse battery";
const SCREENS = join(ROOT, "build/screens");
const CHROMIUM = "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const preset = process.env.HEADWATER_PRESET || "release";

const cleanups = [];

export async function cleanUp() {
  for (const action of cleanups.splice(0).reverse()) await action();
}

function temporaryFolder(name) {
  const folder = mkdtempSync(join(tmpdir(), `headwater-${name}-`));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

// A server on a port of its own, which it keeps when it is killed and started again. hooks: of a build that has them.
export class Server {
  constructor({ hooks = false, options = [] } = {}) {
    this.folder = temporaryFolder("server");
    this.data = join(this.folder, "data");
    this.hold = join(this.folder, "hold");
    this.clock = join(this.folder, "clock");
    this.listen = "127.0.0.1:0";
    this.program = join(ROOT, "build", hooks && preset === "release" ? "debug" : preset, "bin/headwater");
    this.options = [...(hooks ? ["--test-hold-follower", this.hold, "--test-clock", this.clock] : []), ...options];
    if (!existsSync(this.program)) throw new Error(`${this.program} is not built`);
    cleanups.push(() => this.child && this.kill());
  }

  async start() {
    this.child = spawn(this.program, ["serve", "--data", this.data, "--listen", this.listen, "--log-level", "error", ...this.options],
      { stdio: ["ignore", "pipe", "inherit"] });
    this.ended = new Promise((resolve) => this.child.once("exit", (code, signal) => resolve({ code, signal })));
    const lines = createInterface({ input: this.child.stdout });
    this.url = await new Promise((resolve, reject) => {
      lines.on("line", (line) => line.startsWith("listening url=") && resolve(line.slice("listening url=".length)));
      lines.on("close", () => reject(new Error("the server ended before it was ready")));
    });
    this.listen = this.url.slice("http://".length);
    return this;
  }

  // [access key, secret key]
  credentials() {
    const text = readFileSync(join(this.data, "credentials"), "ascii");
    return ["aws_access_key_id", "aws_secret_access_key"].map((name) => text.match(new RegExp(`^${name} = (\\S+)$`, "m"))[1]);
  }

  signal(name) {
    this.child.kill(name);
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
    this.child = null;
  }

  async stop() {
    this.child.kill("SIGTERM");
    const end = await this.ended;
    this.child = null;
    if (end.code !== 0) throw new Error(`the server ended with ${JSON.stringify(end)}`);
  }

  holdFollowers(held) {
    if (held) writeFileSync(this.hold, "");
    else rmSync(this.hold);
  }

  moveClock(milliseconds) {
    writeFileSync(this.clock + ".new", String(milliseconds));
    renameSync(this.clock + ".new", this.clock);
  }

  // A call of the real AWS CLI: its answer.
  async aws(...words) {
    const environment = { ...process.env, AWS_SHARED_CREDENTIALS_FILE: join(this.data, "credentials"), AWS_REGION: "us-east-1",
      AWS_DEFAULT_REGION: "us-east-1" };
    const { stdout } = await promisify(execFile)(join(ROOT, ".deps/venv/bin/aws"),
      [...words, "--endpoint-url", this.url, "--output", "json"], { env: environment, maxBuffer: 1 << 26 });
    return stdout.trim() ? JSON.parse(stdout) : null;
  }
}

// A site of another origin than any Headwater's, with an empty page: what a console in the browser is.
export async function foreignSite() {
  const site = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>console</title>"));
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => site.close());
  return `http://localhost:${site.address().port}`;
}

// A browser process with a profile of its own. What its pages complain of is kept: nothing may be.
export class Browser {
  constructor() {
    this.complaints = [];
  }

  async start() {
    this.context = await chromium.launchPersistentContext(temporaryFolder("profile"), {
      executablePath: CHROMIUM, headless: true, args: FLAGS, viewport: { width: 1280, height: 800 }, locale: "en-GB",
    });
    this.context.setDefaultTimeout(20000);
    cleanups.push(() => this.context.close());
    this.context.on("page", (page) => this.watch(page));
    return this;
  }

  watch(page) {
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("dialog", (dialog) => this.complaints.push("dialog: " + dialog.message()));
    page.on("console", (message) => {
      const expected = /Failed to load resource|WebSocket connection to/; // a server that is away, and refusals
      if (message.type() === "error" && !expected.test(message.text())) this.complaints.push(message.text());
    });
  }

  async open(server, name) {
    const page = await this.context.newPage();
    await page.goto(server.url);
    return new Person(page, name);
  }
}

// Somebody at a page: types, clicks and reads.
export class Person {
  constructor(page, handle) {
    this.page = page;
    this.handle = handle;
    this.log = page.getByRole("log", { name: "Messages" });
    this.rows = this.log.getByRole("article");
    this.banner = page.getByRole("status");
  }

  field(name) {
    return this.page.getByRole("textbox", { name, exact: true });
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  // The line of a conversation in the list.
  line(handle) {
    return this.page.getByRole("navigation", { name: "Conversations" }).getByRole("listitem").filter({ hasText: handle }).getByRole("button");
  }

  async write(name, text) {
    await this.field(name).click();
    await this.page.keyboard.press("ControlOrMeta+a");
    await this.page.keyboard.type(text);
  }

  async enter(buttonName, handle = this.handle, password = PASSWORD) {
    await this.page.getByLabel("Handle", { exact: true }).click();
    await this.page.keyboard.press("ControlOrMeta+a");
    await this.page.keyboard.type(handle);
    await this.page.getByLabel("Password", { exact: true }).click();
    await this.page.keyboard.press("ControlOrMeta+a");
    await this.page.keyboard.type(password);
    await this.button(buttonName).click();
  }

  async createAccount() {
    await this.enter("Create account");
    await this.button("Log out").waitFor();
    return this;
  }

  async talkTo(other) {
    await this.write("To", other.handle);
    await this.button("New conversation").click();
    await this.page.getByRole("heading", { name: other.handle, exact: true }).waitFor();
  }

  // Typed and sent with Enter.
  async say(text) {
    await this.field("Message").click();
    await this.page.keyboard.type(text);
    await this.page.keyboard.press("Enter");
  }

  // As from a clipboard or an input method, in one go; sent with the button.
  async paste(text) {
    await this.field("Message").click();
    await this.page.keyboard.insertText(text);
    await this.button("Send").click();
  }

  // The texts on the screen, in order.
  texts() {
    return this.log.getByRole("paragraph").allInnerTexts();
  }

  // Waits until exactly these texts, and nothing on its way any more, are on the screen.
  async sees(texts, timeout = 30000) {
    const end = Date.now() + timeout;
    for (;;) {
      const seen = await this.texts();
      const open = await this.log.getByText(/^(Sending…|Sent|Waiting for the connection)$/).count();
      if (open === 0 && same(seen, texts)) return;
      if (Date.now() > end) throw new Error(difference(this.handle, seen, texts, open));
      await this.page.waitForTimeout(50);
    }
  }

  async screen(name) {
    mkdirSync(SCREENS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENS, name + ".png") });
  }
}

const same = (one, two) => one.length === two.length && one.every((text, i) => text === two[i]);

function difference(who, seen, wanted, open) {
  const at = wanted.findIndex((text, i) => text !== seen[i]);
  const show = (text) => (text === undefined ? "nothing" : JSON.stringify(text.slice(0, 60)));
  return `${who} sees ${seen.length} messages (${open} on their way) instead of ${wanted.length}; ` +
    (at < 0 ? `the first too many is ${show(seen[wanted.length])}` : `number ${at} is ${show(seen[at])} instead of ${show(wanted[at])}`);
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

export async function until(what, condition, timeout = 20000) {
  const end = Date.now() + timeout;
  while (!(await condition())) {
    check(Date.now() < end, `in ${timeout} ms it did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
