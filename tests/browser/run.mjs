// The chat in two real browsers: two Chromium processes with profiles of their own, driven by typing and clicking, judged by
// what is on the screen. A word as argument runs only the cases whose names hold it; screenshots go to build/screens.

import { Browser, PASSWORD, Server, check, cleanUp, foreignSite, until } from "./lib.mjs";

const CASE_MS = 60000;
const cases = [];
const test = (name, run) => cases.push({ name, run });

let server;
let left;
let right;
let number = 0;

// Two people, one in each browser, each with an account.
async function pair(at = server) {
  number += 1;
  const ann = await left.open(at, `ann-${number}`);
  const bob = await right.open(at, `bob-${number}`);
  await ann.createAccount();
  await bob.createAccount();
  return [ann, bob];
}

// The same two with their conversation open on both sides.
async function talkingPair(at = server) {
  const [ann, bob] = await pair(at);
  await ann.talkTo(bob);
  await bob.line(ann.handle).click();
  return [ann, bob];
}

const numbered = (name, count, first = 1) => Array.from({ length: count }, (_, i) => `${name} ${first + i}`);

// ---- the door ----

test("an account is created, left and entered again", async () => {
  const ann = await left.open(server, "ann-door");
  await ann.screen("desktop-door");
  await ann.createAccount();
  await ann.screen("desktop-empty");
  await ann.page.getByText("ann-door", { exact: true }).waitFor();
  await ann.button("Log out").click();
  await ann.button("Create account").waitFor();
  await ann.enter("Log in");
  await ann.button("Log out").waitFor();
  await ann.page.reload();
  await ann.button("Log out").waitFor();
  await ann.button("Log out").click();
  await ann.page.reload();
  await ann.button("Log in").waitFor();
});

test("the door says what is wrong", async () => {
  const ann = await left.open(server, "ann-wrong");
  await ann.createAccount();
  await ann.button("Log out").click();
  const alert = ann.page.getByRole("alert");
  await ann.enter("Create account");
  await alert.getByText("This handle is taken. Choose another one.").waitFor();
  await ann.screen("desktop-handle-taken");
  await ann.enter("Log in", ann.handle, "not my password");
  await alert.getByText("The handle or the password is wrong.").waitFor();
  await ann.screen("desktop-wrong-password");
  await ann.enter("Create account", "a b", PASSWORD);
  await alert.getByText("Handle must be 2 to 32 of a-z, A-Z, 0-9, '_', '-' and '.'.").waitFor();
  await ann.enter("Create account", "ann-short", "short");
  await alert.getByText("Password must be 8 to 1024 bytes long.").waitFor();
  await ann.enter("Log in", " ", PASSWORD);
  await alert.getByText("Write a handle and a password.").waitFor();
  for (let i = 0; i < 9; i++) {
    await ann.enter("Log in", ann.handle, `guess ${i}`);
    await alert.getByText("The handle or the password is wrong.").waitFor();
  }
  await ann.enter("Log in");
  await alert.getByText("Too many attempts. Wait a minute and try again.").waitFor();
});

test("a session that has ended leads back to the door", async () => {
  const hooked = await new Server({ hooks: true }).start();
  const ann = await left.open(hooked, "ann-ended");
  await ann.createAccount();
  hooked.moveClock(12 * 3600 * 1000 + 1000);
  await ann.page.getByRole("alert").getByText("Your session has ended. Log in again.").waitFor();
  await ann.screen("desktop-session-ended");
  await ann.enter("Log in");
  await ann.button("Log out").waitFor();
  await hooked.stop();
});

// ---- talking ----

test("two people talk", async () => {
  const [ann, bob] = await pair();
  await ann.write("To", "nobody-here");
  await ann.button("New conversation").click();
  await ann.page.getByRole("alert").getByText("There is no user with this handle.").waitFor();
  await ann.write("To", ann.handle);
  await ann.page.keyboard.press("Enter");
  await ann.page.getByRole("alert").getByText("With must be somebody else's handle.").waitFor();
  await ann.screen("desktop-no-such-user");
  await ann.talkTo(bob);
  check((await ann.page.getByText("There is no user with this handle.").count()) === 0, "the problem stays");
  await ann.say("Hello, are you there?");
  await bob.line(ann.handle).getByLabel("1 unread").waitFor();
  await bob.line(ann.handle).click();
  await bob.sees(["Hello, are you there?"]);
  await bob.line(ann.handle).getByLabel("1 unread").waitFor({ state: "hidden" });
  await bob.say("I am. What a nice page.");
  await ann.sees(["Hello, are you there?", "I am. What a nice page."]);
  await ann.say("It is.");
  await ann.say("And quick.");
  const all = ["Hello, are you there?", "I am. What a nice page.", "It is.", "And quick."];
  await ann.sees(all);
  await bob.sees(all);
  await ann.screen("desktop-talk");
  check((await ann.page.title()) === `${bob.handle} – Headwater chat`, "the title names the conversation");
});

test("what is unread is marked until it is seen", async () => {
  const [ann, bob] = await talkingPair();
  const eve = await right.open(server, "eve-unread");
  await eve.createAccount();
  await eve.talkTo(bob);
  for (const text of numbered("psst", 3)) await eve.say(text);
  await eve.sees(numbered("psst", 3));
  await bob.line("eve-unread").getByLabel("3 unread").waitFor();
  await until("the title counts", async () => (await bob.page.title()).startsWith("(1) "));
  await bob.screen("desktop-unread");
  await bob.page.reload();
  await bob.line("eve-unread").getByLabel("3 unread").waitFor();
  await bob.line("eve-unread").click();
  await bob.log.getByText("New messages").waitFor();
  await bob.screen("desktop-new-messages");
  await bob.line("eve-unread").getByLabel("unread").waitFor({ state: "hidden" });
  await until("the server has the mark", async () => {
    await bob.page.reload();
    await bob.line("eve-unread").waitFor();
    return !(await bob.line("eve-unread").getByLabel("unread").isVisible());
  });
  await ann.say("and here?");
  await bob.line(ann.handle).getByLabel("1 unread").waitFor();
});

test("messages of every size arrive whole", async () => {
  const [ann, bob] = await talkingPair();
  const texts = ["x", "ß", "a".repeat(700), "b".repeat(701), "ö".repeat(350), "ü".repeat(350) + "c", "d".repeat(16384), "日".repeat(5461) + "e",
    "😀".repeat(4096), "two\nlines\n\n  and a space in front"];
  const sizes = texts.map((text) => Buffer.byteLength(text));
  check([1, 700, 701, 16384].every((size) => sizes.includes(size)), `the sizes are ${sizes}`);
  for (const text of texts) await ann.paste(text);
  await ann.sees(texts);
  await bob.sees(texts);
  await bob.screen("desktop-long-messages");
  for (const text of ["f".repeat(16385), "é".repeat(8192) + "g"]) {
    await ann.paste(text);
    await ann.page.getByRole("alert").getByText("This message is too long: 16,385 bytes. The longest is 16,384.").waitFor();
    check((await ann.field("Message").inputValue()) === text, "what was refused stays to be shortened");
    await ann.screen("desktop-too-long");
    await ann.page.keyboard.press("End");
    await ann.page.keyboard.press("ControlOrMeta+End");
    await ann.page.keyboard.press("Backspace");
    await ann.button("Send").click();
    texts.push(text.slice(0, -1));
    await bob.sees(texts);
  }
  await ann.sees(texts);
});

test("Enter sends, Shift and Enter breaks the line, an input method keeps its Enter", async () => {
  const [ann, bob] = await talkingPair();
  await ann.field("Message").click();
  await ann.page.keyboard.type("one");
  await ann.page.keyboard.press("Shift+Enter");
  await ann.page.keyboard.type("two");
  await ann.page.keyboard.press("Enter");
  await bob.sees(["one\ntwo"]);
  await ann.page.keyboard.press("Enter");
  await ann.page.keyboard.type("  ");
  await ann.page.keyboard.press("Enter");
  const devtools = await ann.page.context().newCDPSession(ann.page);
  await ann.page.keyboard.press("ControlOrMeta+a");
  await devtools.send("Input.imeSetComposition", { text: "にほん", selectionStart: 3, selectionEnd: 3 });
  await devtools.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 229 });
  await ann.page.keyboard.insertText("日本");
  check((await ann.field("Message").inputValue()) === "日本", "it is still being written");
  await ann.page.keyboard.press("Enter");
  await bob.sees(["one\ntwo", "日本"]);
});

test("text is text", async () => {
  const [ann, bob] = await talkingPair();
  const texts = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "&lt;b&gt; <b>bold</b>", "\"'><svg onload=alert(1)>",
    "مرحبا", "a".repeat(300)];
  for (const text of texts) await ann.paste(text);
  await bob.sees(texts);
  await ann.sees(texts);
  await bob.screen("desktop-text");
});

test("a reload in the middle changes nothing", async () => {
  const [ann, bob] = await talkingPair();
  const all = [];
  for (let i = 1; i <= 6; i++) {
    await ann.say(`ann ${i}`);
    await bob.sees([...all, `ann ${i}`]);
    await (i % 2 ? ann : bob).page.reload();
    await bob.field("Message").waitFor();
    await bob.say(`bob ${i}`);
    all.push(`ann ${i}`, `bob ${i}`);
    await ann.sees(all);
  }
  await bob.sees(all);
});

test("old messages come when one scrolls up, new ones do not move what is read", async () => {
  const [ann, bob] = await talkingPair();
  const all = Array.from({ length: 110 }, (_, i) => String(i + 1));
  for (const text of all) await ann.say(text);
  await ann.sees(all);
  await bob.page.reload();
  await bob.sees(all.slice(-50));
  await bob.log.hover();
  while ((await bob.rows.count()) < 110) await bob.page.mouse.wheel(0, -3000);
  await bob.sees(all);
  await ann.say("one more");
  await bob.page.getByRole("button", { name: "1 new message ↓" }).waitFor();
  await bob.line(ann.handle).getByLabel("1 unread").waitFor();
  await bob.screen("desktop-newer");
  await bob.page.getByRole("button", { name: "1 new message ↓" }).click();
  await bob.line(ann.handle).getByLabel("1 unread").waitFor({ state: "hidden" });
  await bob.sees([...all, "one more"]);
});

// ---- faults ----

test("200 messages in flight on both sides, the server killed", async () => {
  const own = await new Server().start();
  const [ann, bob] = await talkingPair(own);
  await ann.say("before");
  await bob.sees(["before"]);
  own.signal("SIGSTOP"); // what is sent now stays without an answer
  await Promise.all([ann, bob].map(async (person) => {
    await person.field("Message").click();
    for (let i = 1; i <= 200; i++) {
      await person.page.keyboard.type(String(i));
      await person.page.keyboard.press("Enter");
    }
  }));
  for (const person of [ann, bob]) {
    check((await person.log.getByText("Sending…", { exact: true }).count()) === 200, "200 are in flight");
  }
  await ann.screen("desktop-in-flight");
  await own.kill();
  await ann.banner.getByText("Disconnected.").waitFor();
  await ann.banner.getByText("200 messages are waiting to be sent.").waitFor();
  await ann.screen("desktop-disconnected");
  await own.start();
  await allArrive([ann, bob], 200);
  await own.stop();
});

test("the server killed again and again while both type", async () => {
  const own = await new Server().start();
  const [ann, bob] = await talkingPair(own);
  await ann.say("before");
  await bob.sees(["before"]);
  let typing = true;
  const typed = Promise.all([ann, bob].map(async (person) => {
    await person.field("Message").click();
    for (let i = 1; i <= 200; i++) {
      await person.page.keyboard.type(String(i));
      await person.page.keyboard.press("Enter");
    }
  })).finally(() => (typing = false));
  let kills = 0;
  while (typing) {
    await until("something is on its way", async () => !typing || (await ann.log.getByText(/^(Sending…|Sent)$/).count()) > 0);
    await own.kill();
    await own.start();
    kills += 1;
    const had = await ann.rows.count();
    await until("more is typed", async () => !typing || (await ann.rows.count()) > had + 20);
  }
  await typed;
  check(kills >= 2, `${kills} kills`);
  await allArrive([ann, bob], 200);
  await own.stop();
});

// Everything that both typed is there once, each one's in the order of typing, and both see the same.
async function allArrive(persons, count) {
  for (const person of persons) {
    await until(`${person.handle} has everything`, async () => (await person.rows.count()) === 2 * count + 1 &&
      (await person.log.getByText(/^(Sending…|Sent|Waiting for the connection)$/).count()) === 0, 40000);
  }
  const [one, two] = await Promise.all(persons.map((person) => person.texts()));
  check(JSON.stringify(one) === JSON.stringify(two), "the two screens differ");
  const authors = await Promise.all(
    persons.map((person) => persons[0].log.getByRole("article", { name: new RegExp(`^${person.handle},`) }).getByRole("paragraph").allInnerTexts()));
  const wanted = Array.from({ length: count }, (_, i) => String(i + 1));
  check(JSON.stringify(authors[0]) === JSON.stringify(["before", ...wanted]), "the first one's messages are lost, doubled or disordered");
  check(JSON.stringify(authors[1]) === JSON.stringify(wanted), "the second one's messages are lost, doubled or disordered");
}

test("sent while offline, then online", async () => {
  const [ann, bob] = await talkingPair();
  await ann.say("online");
  await bob.sees(["online"]);
  await left.context.setOffline(true);
  await ann.banner.getByText("Disconnected.").waitFor();
  for (const text of numbered("from the train", 5)) await ann.say(text);
  check((await ann.log.getByText("Waiting for the connection", { exact: true }).count()) === 5, "they wait");
  await ann.banner.getByText("5 messages are waiting to be sent.").waitFor();
  await bob.say("meanwhile");
  await bob.sees(["online", "meanwhile"]);
  await ann.screen("desktop-offline");
  await left.context.setOffline(false);
  const all = ["online", "meanwhile", ...numbered("from the train", 5)];
  await ann.sees(all);
  await bob.sees(all);
  await ann.banner.getByText("Disconnected.").waitFor({ state: "hidden" });
});

test("a reload while messages are unanswered sends none twice", async () => {
  const own = await new Server().start();
  const [ann, bob] = await talkingPair(own);
  await ann.say("before");
  await bob.sees(["before"]);
  own.signal("SIGSTOP");
  for (const text of numbered("unanswered", 5)) await ann.say(text);
  const reloaded = ann.page.reload();
  own.signal("SIGCONT"); // it takes what it was sent, and answers a page that has gone
  await reloaded;
  const all = ["before", ...numbered("unanswered", 5)];
  await ann.sees(all);
  await bob.sees(all);
  await own.stop();
});

test("written while the server was away, and the page closed meanwhile", async () => {
  const own = await new Server().start();
  const [ann, bob] = await talkingPair(own);
  await ann.say("before");
  await bob.sees(["before"]);
  await own.stop();
  await ann.banner.getByText("Disconnected.").waitFor();
  for (const text of numbered("kept", 3)) await ann.say(text);
  await ann.page.close();
  await own.start();
  const again = await left.open(own, ann.handle); // a new tab: no session, but the same browser
  await again.enter("Log in");
  await again.line(bob.handle).click();
  const all = ["before", ...numbered("kept", 3)];
  await again.sees(all);
  await bob.sees(all);
  await own.stop();
});

// ---- the delivery is the stream ----

test("a transaction of the AWS CLI appears live in both browsers", async () => {
  const [ann, bob] = await talkingPair();
  await ann.say("by the page");
  await bob.sees(["by the page"]);
  for (const text of ["by the CLI", "by the CLI, long: " + "z".repeat(2000)]) await append(ann.handle, bob.handle, text);
  const all = ["by the page", "by the CLI", "by the CLI, long: " + "z".repeat(2000)];
  await ann.sees(all);
  await bob.sees(all);
  await bob.say("and on");
  await ann.sees([...all, "and on"]);
  await bob.page.reload();
  await bob.sees([...all, "and on"]);
});

// Appends to the conversation of two as the chat itself does: its head and the message's row, in one transaction. A long text
// is in its row only.
async function append(from, to, text) {
  const table = "headwater.chat_log";
  const { Items: heads } = await server.aws("dynamodb", "query", "--table-name", "headwater.chat_user", "--key-condition-expression", "pk = :p AND begins_with(sk, :i)",
    "--expression-attribute-values", JSON.stringify({ ":p": { S: `0|U#${await userId(from)}` }, ":i": { S: "I#" } }));
  const c = heads[0].sk.S.slice(2);
  const key = { pk: { S: `0|C#${c}` }, sk: { S: "#HEAD" } };
  const { Item: head } = await server.aws("dynamodb", "get-item", "--table-name", table, "--key", JSON.stringify(key));
  check(head.members.L.some((member) => member.M.handle.S === to), "it is the conversation of the two");
  const seq = Number(head.seq.N) + 1;
  const event = { type: { S: "message.created" }, seq: { N: String(seq) }, n: { N: String(Number(head.n.N) + 1) }, ts: { N: String(Date.now()) },
    sender: head.members.L.find((member) => member.M.handle.S === from), client_id: { S: `cli-${seq}` }, ver: { N: "1" } };
  const body = { body: { M: { text: { S: text } } } };
  const row = { pk: { S: `0|L#${c}#${seq >> 12}` }, sk: { S: `m#${String(seq).padStart(12, "0")}` }, ...event, ...body };
  await server.aws("dynamodb", "transact-write-items", "--transact-items", JSON.stringify([
    { Update: { TableName: table, Key: key, UpdateExpression: "SET seq = :s1, n = :n, ts = :t, ev = :ev", ConditionExpression: "seq = :s0",
      ExpressionAttributeValues: { ":s0": head.seq, ":s1": event.seq, ":n": event.n, ":t": event.ts,
        ":ev": { L: [{ M: text.length > 700 ? event : { ...event, ...body } }] } } } },
    { Put: { TableName: table, Item: row, ConditionExpression: "attribute_not_exists(pk)" } }]));
}

async function userId(handle) {
  const { Item: lock } = await server.aws("dynamodb", "get-item", "--table-name", "headwater.chat_user",
    "--key", JSON.stringify({ pk: { S: `0|X#handle#${handle}` }, sk: { S: "#" } }));
  return lock.uid.S;
}

test("with the stream's follower held a message is sent, and nobody sees it", async () => {
  const hooked = await new Server({ hooks: true }).start();
  const [ann, bob] = await talkingPair(hooked);
  await ann.say("before");
  await bob.sees(["before"]);
  hooked.holdFollowers(true);
  for (const text of numbered("held", 3)) await ann.say(text);
  await until("all are acknowledged", async () => (await ann.log.getByText("Sent", { exact: true }).count()) === 3);
  await ann.screen("desktop-held");
  check((await bob.texts()).length === 1, "bob sees what the follower holds");
  hooked.holdFollowers(false);
  await ann.sees(["before", ...numbered("held", 3)]);
  await bob.sees(["before", ...numbered("held", 3)]);
  await hooked.stop();
});

// ---- places and people ----

test("two tabs are two people", async () => {
  const ann = await (await left.open(server, "ann-tab")).createAccount();
  const bob = await (await left.open(server, "bob-tab")).createAccount();
  await ann.talkTo(bob);
  await ann.say("from the other tab");
  await bob.line("ann-tab").getByLabel("1 unread").waitFor();
  await ann.page.reload();
  await bob.page.reload();
  await bob.line("ann-tab").click();
  await bob.sees(["from the other tab"]);
  await bob.say("to the other tab");
  await ann.sees(["from the other tab", "to the other tab"]);
  await ann.button("Log out").click();
  await bob.say("still here");
  await bob.sees(["from the other tab", "to the other tab", "still here"]);
});

test("on a phone", async () => {
  const ann = await left.open(server, "ann-phone");
  const bob = await right.open(server, "bob-phone");
  await ann.page.setViewportSize({ width: 360, height: 640 });
  await ann.screen("phone-door");
  await fitsPhone(ann);
  await ann.createAccount();
  await bob.createAccount();
  await ann.screen("phone-empty");
  await ann.talkTo(bob);
  await ann.say("From a phone, with a text that is long enough to need more than a line.");
  await bob.line("ann-phone").click();
  await bob.say("On a desk.");
  await bob.say("w".repeat(200));
  const all = ["From a phone, with a text that is long enough to need more than a line.", "On a desk.", "w".repeat(200)];
  await ann.sees(all);
  await ann.screen("phone-talk");
  await fitsPhone(ann);
  check(!(await ann.field("To").isVisible()), "one pane at a time");
  await ann.page.goBack();
  await ann.field("To").waitFor();
  check(!(await ann.field("Message").isVisible()), "one pane at a time");
  await bob.say("Are you still there?");
  await ann.line("bob-phone").getByLabel("1 unread").waitFor();
  await ann.screen("phone-list");
  await fitsPhone(ann);
  await ann.line("bob-phone").click();
  await ann.sees([...all, "Are you still there?"]);
  await ann.button("Back to conversations").click();
  await ann.field("To").waitFor();
  await ann.button("Log out").click();
  await ann.button("Log in").waitFor();
});

// Nothing sticks out, and what is touched is large enough.
async function fitsPhone(person) {
  for (const role of ["button", "textbox", "log", "article", "heading"]) {
    for (const part of await person.page.getByRole(role).all()) {
      if (!(await part.isVisible())) continue;
      const box = await part.boundingBox();
      const name = `${role} ${(await part.innerText()).slice(0, 30)}`;
      check(box.x >= 0 && box.x + box.width <= 360.5, `${name} sticks out: ${JSON.stringify(box)}`);
      check(!["button", "textbox"].includes(role) || (box.height >= 44 && box.width >= 44), `${name} is too small: ${JSON.stringify(box)}`);
    }
  }
}

test("by the keyboard alone", async () => {
  const bob = await (await right.open(server, "bob-keys")).createAccount();
  const ann = await left.open(server, "ann-keys");
  const keys = ann.page.keyboard;
  await keys.type("ann-keys"); // the handle has the focus
  await keys.press("Tab");
  await keys.type(PASSWORD);
  await keys.press("Tab");
  await keys.press("Tab");
  await keys.press("Space"); // Create account
  await ann.button("Log out").waitFor();
  await keys.type("bob-keys"); // so has "To"
  await keys.press("Enter");
  await ann.page.getByRole("heading", { name: "bob-keys" }).waitFor();
  await keys.type("no mouse"); // and "Message"
  await keys.press("Enter");
  await ann.sees(["no mouse"]);
  const eve = await (await right.open(server, "eve-keys")).createAccount();
  await eve.talkTo(ann);
  await eve.say("over here");
  await ann.line("eve-keys").getByLabel("1 unread").waitFor();
  await keys.press("Escape"); // to the list, at the conversation that is open
  await keys.press("ArrowUp");
  await ann.screen("desktop-focus");
  await keys.press("Enter");
  await ann.sees(["over here"]);
  await keys.type("found you");
  await keys.press("Tab"); // Send
  await keys.press("Space");
  await eve.sees(["over here", "found you"]);
  await keys.press("Shift+Tab");
  await keys.press("Shift+Tab"); // the log scrolls by keys, too
  check((await bob.line("ann-keys").count()) === 1, "bob has the conversation");
  for (let i = 0; i < 30 && (await ann.button("Log out").isVisible()); i++) {
    await keys.press("Shift+Tab");
    const focused = await ann.page.locator(":focus").innerText().catch(() => "");
    if (focused === "Log out") await keys.press("Enter");
  }
  await ann.button("Log in").waitFor();
});

test("in the dark", async () => {
  const [ann, bob] = await pair();
  await ann.page.emulateMedia({ colorScheme: "dark" });
  await bob.page.emulateMedia({ colorScheme: "dark" });
  await ann.talkTo(bob);
  await ann.say("It is dark in here.");
  await bob.line(ann.handle).getByLabel("1 unread").waitFor();
  await bob.screen("dark-unread");
  await bob.line(ann.handle).click();
  await bob.say("My eyes thank you.");
  await ann.sees(["It is dark in here.", "My eyes thank you."]);
  await ann.screen("dark-talk");
  await ann.button("Log out").click();
  await ann.enter("Log in", ann.handle, "not my password");
  await ann.page.getByRole("alert").getByText("The handle or the password is wrong.").waitFor();
  await ann.screen("dark-door");
});

// ---- running ----

// ---- consoles of other origins ----

// In the page: a signed call by fetch, as a console makes it. Its status, what it says, and the headers that it may read.
async function callFromPage({ url, key, secret }) {
  const text = new TextEncoder();
  const hex = (data) => [...new Uint8Array(data)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const sha256 = async (data) => hex(await crypto.subtle.digest("SHA-256", text.encode(data)));
  const hmac = async (keyBytes, data) => {
    const imported = await crypto.subtle.importKey("raw", keyBytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return crypto.subtle.sign("HMAC", imported, text.encode(data));
  };
  const body = "{}";
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${stamp.slice(0, 8)}/us-east-1/dynamodb/aws4_request`;
  const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-date": stamp, "x-amz-target": "DynamoDB_20120810.ListTables" };
  const names = "content-type;host;x-amz-date;x-amz-target";
  const canonical = ["POST", "/", "", `content-type:${headers["content-type"]}`, `host:${new URL(url).host}`, `x-amz-date:${stamp}`,
    `x-amz-target:${headers["x-amz-target"]}`, "", names, await sha256(body)].join("\n");
  let bytes = text.encode("AWS4" + secret);
  for (const part of scope.split("/")) bytes = await hmac(bytes, part);
  const signature = hex(await hmac(bytes, `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${await sha256(canonical)}`));
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${key}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  try {
    const answer = await fetch(url + "/", { method: "POST", headers, body });
    return { status: answer.status, id: answer.headers.get("x-amzn-requestid"), crc: answer.headers.get("x-amz-crc32"), body: await answer.json() };
  } catch (error) {
    return { error: error.name };
  }
}

test("a console of another origin calls with its signature, where its origin may", async () => {
  const site = await foreignSite();
  const page = await left.context.newPage();
  await page.goto(site);
  for (const [options, may] of [[[], true], [[`--cors-origin=https://a.example,${site}`], true], [["--cors-origin=https://a.example"], false],
    [["--cors-origin=none"], false]]) {
    const at = await new Server({ options }).start();
    const [key, secret] = at.credentials();
    const seen = await page.evaluate(callFromPage, { url: at.url, key, secret });
    if (may) {
      check(seen.status === 200 && seen.body.TableNames.length === 0, `${options}: ${JSON.stringify(seen)}`);
      check(/^[A-Z0-9]{52}$/.test(seen.id) && /^\d+$/.test(seen.crc), `it may not read the headers: ${JSON.stringify(seen)}`);
      const refused = await page.evaluate(callFromPage, { url: at.url, key, secret: "wrong" });
      check(refused.status === 400 && refused.body.__type.endsWith("#InvalidSignatureException"), JSON.stringify(refused));
    } else {
      check(seen.error === "TypeError", `${options}: ${JSON.stringify(seen)}`);
      const said = left.complaints.splice(0);
      check(said.length === 1 && said[0].includes("blocked by CORS policy"), said.join("; "));
    }
    await at.stop();
  }
});

async function run(one) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not done in ${CASE_MS} ms`)), CASE_MS)));
  try {
    await Promise.race([one.run(), late]);
    const complaints = [...left.complaints.splice(0), ...right.complaints.splice(0)];
    check(complaints.length === 0, `a page complains: ${complaints.join("; ")}`);
  } catch (error) {
    for (const [side, browser] of [["left", left], ["right", right]]) {
      for (const [i, page] of browser.context.pages().entries()) {
        await page.screenshot({ path: `build/screens/failed-${one.name.replace(/\W+/g, "-")}-${side}-${i}.png`, timeout: 5000 }).catch(() => {});
      }
    }
    throw error;
  } finally {
    clearTimeout(timer);
    await left.context.setOffline(false);
    for (const browser of [left, right]) for (const page of browser.context.pages().slice(1)) await page.close();
  }
}

const wanted = process.argv[2] || "";
let passed = 0;
let failed = 0;
try {
  server = await new Server().start();
  [left, right] = await Promise.all([new Browser().start(), new Browser().start()]);
  for (const one of cases.filter((candidate) => candidate.name.includes(wanted))) {
    const begun = Date.now();
    try {
      await run(one);
      passed += 1;
      console.log(`ok   ${one.name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${one.name}\n     ${error.stack}`);
    }
  }
  await server.stop();
} finally {
  await cleanUp();
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
