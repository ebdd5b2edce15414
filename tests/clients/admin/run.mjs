// dynamodb-admin, unmodified, in a real browser at a server that it reaches by a way that can lose answers: tables listed,
// items browsed in pages, found, put, changed and deleted, and what it shows of a refusal. What the pages show is compared
// with what the AWS CLI reads. Screenshots go to build/screens; a word as argument runs only the cases whose
// names hold it.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Browser, ROOT, Server, check, cleanUp } from "../../browser/lib.mjs";

const CASE_MS = 30000;
const ITEMS = 60;
const cases = [];
const test = (name, run) => cases.push({ name, run });

let server;
let way;
let admin;
let browser;
let page;

// Between callers and a server; the next `toLose` answers cut the caller off instead of reaching it.
async function lossyWay(port) {
  const made = { toLose: 0, lost: 0 };
  made.door = createServer((caller) => {
    const callee = connect(port, "127.0.0.1");
    for (const end of [caller, callee]) end.on("error", () => {}).on("close", () => [caller, callee].map((one) => one.destroy()));
    caller.pipe(callee);
    callee.on("data", (answer) => {
      if (made.toLose === 0) return caller.write(answer);
      made.toLose -= 1;
      made.lost += 1;
      caller.resetAndDestroy();
    });
  });
  await new Promise((resolve) => made.door.listen(0, "127.0.0.1", resolve));
  made.url = `http://127.0.0.1:${made.door.address().port}`;
  return made;
}

async function startAdmin(endpoint, [key, secret]) {
  const environment = { ...process.env, AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: "us-east-1", PORT: "", HOST: "" };
  const child = spawn(process.execPath, [join(ROOT, ".deps/node_modules/dynamodb-admin/dist/dynamodb-admin.js"), "--host", "127.0.0.1", "--port", "0",
    "--dynamo-endpoint", endpoint], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => line.includes("listening on ") && resolve(line.split("listening on ")[1])).on("close", reject);
  });
  return { child, url };
}

const item = async (key) => (await server.aws("dynamodb", "get-item", "--table-name", "books", "--consistent-read", "--key", JSON.stringify(key)))?.Item;

function same(seen, wanted, what) {
  check(isDeepStrictEqual(seen, wanted), `${what} is ${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);
}

async function open(path) {
  await page.goto(admin.url + path);
}

// Opens a table's items and waits until they are there: the cells of each row, the first of which is a link.
async function items(query = "") {
  await open(`/tables/books${query}`);
  return rows();
}

async function rows() {
  await page.locator("#table-placeholder").waitFor({ state: "hidden" });
  return page.locator("#items-container tr").evaluateAll((all) => all.map((row) => Array.from(row.cells, (cell) => cell.innerText.trim())));
}

async function writeItem(value) {
  await page.locator(".ace_content").click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(JSON.stringify(value));
  await page.getByRole("button", { name: "Save" }).click();
}

async function editor() {
  return JSON.parse(await page.evaluate("editor.getValue()"));
}

async function screen(name) {
  await page.screenshot({ path: join(ROOT, "build/screens", `admin-${name}.png`) });
}

test("a table that is there is listed", async () => {
  await open("/");
  check((await page.locator("#table-list li").count()) === 0, "there is a table already");
  await server.aws("dynamodb", "create-table", "--table-name", "books", "--billing-mode", "PAY_PER_REQUEST",
    "--key-schema", "AttributeName=author,KeyType=HASH", "AttributeName=number,KeyType=RANGE",
    "--attribute-definitions", "AttributeName=author,AttributeType=S", "AttributeName=number,AttributeType=N");
  await server.aws("dynamodb", "wait", "table-exists", "--table-name", "books");
  await open("/");
  await page.locator("#table-list").getByRole("link", { name: "books", exact: true }).waitFor();
  await screen("tables");
});

// It sends the capacity as text, which DynamoDB takes as little.
test("a table made with its form is refused in DynamoDB's words", async () => {
  await page.getByRole("link", { name: "Create table", exact: true }).click();
  await page.locator("#TableName").fill("shelves");
  await page.locator("#HashAttributeName").fill("name");
  await page.locator("#saveButton").click();
  await page.getByText("STRING_VALUE cannot be converted to Long", { exact: true }).waitFor();
});

test("items are browsed in pages, on and back", async () => {
  const requests = Array.from({ length: ITEMS }, (_, i) => ({ PutRequest: { Item: { author: { S: "ann" }, number: { N: `${i + 1}` }, title: { S: `title ${i + 1}` },
    price: { N: "1.5" }, tags: { L: [{ S: "a" }, { NULL: true }] } } } }));
  for (let from = 0; from < ITEMS; from += 25)
    await server.aws("dynamodb", "batch-write-item", "--request-items", JSON.stringify({ books: requests.slice(from, from + 25) }));
  const seen = [await items()];
  await screen("items");
  for (let number = 2; number <= 3; number += 1) {
    await page.getByRole("link", { name: "Next Page" }).click();
    await page.getByText(`Page ${number}`, { exact: true }).waitFor();
    seen.push(await rows());
  }
  same(seen.map((rowsOfPage) => rowsOfPage.length), [25, 25, 10], "the pages");
  same(seen.flat().map((row) => Number(row[2])), Array.from({ length: ITEMS }, (_, i) => i + 1), "the order");
  same(seen[0][6].slice(1), ['"ann"', "7", "1.5", 'Array[2]\n0:"a"\n1:null', '"title 7"'], "a row");
  check((await page.locator(".page-item-next.disabled").count()) === 1, "there is a fourth page");
  await page.getByRole("link", { name: "Previous Page" }).click();
  await page.getByText("Page 2", { exact: true }).waitFor();
  same((await rows()).length, 25, "the page before");
});

test("items are found by a query and by a filter", async () => {
  const filters = (wanted) => encodeURIComponent(JSON.stringify(wanted));
  const queried = await items(`?operationType=query&queryableSelection=table&filters=${filters({
    author: { operator: "=", value: "ann", type: "S" }, number: { operator: ">=", value: "58", type: "N" } })}`);
  same(queried.map((row) => row[2]), ["58", "59", "60"], "what the query found");
  const begins = filters({ title: { operator: "begins_with", value: "title 6", type: "S" } });
  const filtered = await items(`?operationType=scan&queryableSelection=table&filters=${begins}`);
  same(filtered.map((row) => row[2]), ["6", "60"], "what the filter found");
  await open("/tables/books/get");
  await page.locator("input[name=hash]").fill("ann");
  await page.locator("input[name=range]").fill("3");
  await page.locator("input[name=range]").press("Enter");
  await page.waitForURL("**/items/ann,3");
  same((await editor()).title, "title 3", "the item got");
});

test("an item is added, changed and deleted", async () => {
  const key = { author: { S: "bob é" }, number: { N: "1.5" } };
  await open("/tables/books/add-item");
  await writeItem({ author: "bob é", number: 1.5, title: "", parts: [1, "two", null, { three: true }] });
  await page.waitForURL("**/items/**");
  same(await item(key), { parts: { L: [{ N: "1" }, { S: "two" }, { NULL: true }, { M: { three: { BOOL: true } } }] }, number: { N: "1.5" }, author: { S: "bob é" },
    title: { S: "" } }, "the item added");
  await writeItem({ ...(await editor()), title: "changed" });
  await page.locator("#saveButton.btn-success").waitFor();
  await screen("item");
  same((await item(key)).title, { S: "changed" }, "the title changed");
  await page.getByRole("button", { name: "Delete" }).click();
  await page.waitForURL("**/tables/books");
  same((await rows()).length, 25, "the items left on the page");
  same(await item(key), undefined, "the item deleted");
});

test("a refusal is shown in its words", async () => {
  await open("/tables/books/add-item");
  await writeItem({ author: "", number: 1 });
  await page.getByText("One or more parameter values are not valid. " +
    "The AttributeValue for a key attribute cannot contain an empty string value. Key: author").waitFor();
  await screen("refusal");
  await writeItem({ author: "carl", number: "1" });
  await page.getByText("One or more parameter values were invalid: Type mismatch for key number expected: N actual: S").waitFor();
});

test("lost answers are asked for again", async () => {
  await open("/tables/books/items/ann,5");
  const changed = { ...(await editor()), title: "asked twice" };
  way.lost = 0;
  way.toLose = 2;
  await writeItem(changed);
  await page.locator("#saveButton.btn-success").waitFor();
  same(way.lost, 2, "the number of answers lost");
  same((await item({ author: { S: "ann" }, number: { N: "5" } })).title, { S: "asked twice" }, "the title");
});

test("what the table is and its expiry are shown", async () => {
  await server.aws("dynamodb", "update-time-to-live", "--table-name", "books", "--time-to-live-specification", "Enabled=true,AttributeName=until");
  await open("/tables/books/meta");
  const shown = await page.locator("main").innerText();
  for (const part of ['"TableName": "books"', '"AttributeName": "author"', "arn:aws:dynamodb:us-east-1:"]) check(shown.includes(part), `${part} is not shown`);
  await open("/tables/books/ttl");
  await page.getByText("ENABLED", { exact: true }).waitFor();
  await page.getByText("until", { exact: true }).waitFor();
});

test("a table is purged and deleted", async () => {
  await open("/");
  await page.locator("#table-list").getByText("Purge", { exact: true }).click();
  await page.waitForLoadState("networkidle");
  same((await server.aws("dynamodb", "scan", "--table-name", "books", "--select", "COUNT")).Count, 0, "the number of items left");
  await page.locator("#table-list").getByText("Delete", { exact: true }).click();
  await server.aws("dynamodb", "wait", "table-not-exists", "--table-name", "books");
  await open("/");
  same(await page.locator("#table-list li").count(), 0, "the number of tables left");
});

async function run({ name, run: body }) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${name} took too long`)), CASE_MS)));
  try {
    await Promise.race([body(), late]);
  } finally {
    clearTimeout(timer);
  }
  const complaints = browser.complaints.splice(0).filter((text) => !/^dialog: Are you sure|Failed to load/.test(text));
  check(complaints.length === 0, `the page complained: ${complaints.join("; ")}`);
}

const wanted = process.argv[2] || "";
let passed = 0;
let failed = 0;
try {
  server = await new Server().start();
  way = await lossyWay(Number(server.url.split(":").pop()));
  [admin, browser] = await Promise.all([startAdmin(way.url, server.credentials()), new Browser().start()]);
  page = await browser.context.newPage();
  page.on("dialog", (dialog) => dialog.accept());
  for (const one of cases.filter((candidate) => candidate.name.includes(wanted))) {
    try {
      await run(one);
      passed += 1;
      console.log(`ok   ${one.name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${one.name}\n     ${error.stack}`);
      await screen("failed");
    }
  }
  await server.stop();
} finally {
  admin?.child.kill();
  await cleanUp();
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
