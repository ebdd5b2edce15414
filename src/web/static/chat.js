/* The chat page. State is kept per account: the session in sessionStorage, so that two tabs may be two people; what waits to be sent in
 * localStorage, with the key made before the first attempt, so that a retry, a reload or a manual resend can never double it.
 * Events are applied only in order: seq must be the last one + 1; an older one is dropped, a gap is asked for. */
"use strict";

const $ = (id) => document.getElementById(id);
const PAGE = 50;
let session = null; /* {token, user, expires} */
let socket = null;
let connected = false;
let frameId = 0;
let backoff = 500;
let reconnectTimer = 0;
const conversations = new Map(); /* id -> {id, members, head, n, readN, unread, last, messages: Map, applied, loaded, older, gap} */
let current = null;
let outbox = []; /* {c, key, text, state, inFlight} in order */
const waiting = new Map(); /* frame id -> outbox entry */

/* ---- talking to the server ---- */

async function call(method, path, body, key) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (session) headers.Authorization = "Bearer " + session.token;
  if (key) headers["Idempotency-Key"] = key;
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const data = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  if (answer.status === 401 && session && path !== "/v1/sessions") leave("Your session has ended. Log in again.");
  const problem = new Error((data && (data.detail || data.title)) || "The server answered " + answer.status);
  problem.code = data && data.code;
  problem.status = answer.status;
  throw problem;
}

function say(problem) {
  const words = {
    "handle-taken": "This handle is taken. Choose another one.",
    "bad-credentials": "The handle or the password is wrong.",
    "no-such-user": "There is no user with this handle.",
  };
  if (problem instanceof TypeError) return "The server cannot be reached. Try again.";
  return words[problem.code] || problem.message;
}

/* ---- the door ---- */

async function enter(create) {
  const handle = $("handle").value.trim();
  const password = $("password").value;
  $("door-problem").textContent = "";
  try {
    if (create) await call("POST", "/v1/users", { handle, password });
    session = await call("POST", "/v1/sessions", { handle, password });
    sessionStorage.setItem("session", JSON.stringify(session));
    $("password").value = "";
    await start();
  } catch (problem) {
    $("door-problem").textContent = say(problem);
  }
}

function leave(reason) {
  clearTimeout(reconnectTimer);
  session = null;
  current = null;
  sessionStorage.removeItem("session");
  sessionStorage.removeItem("current");
  conversations.clear();
  outbox = [];
  if (socket) {
    const old = socket;
    socket = null;
    old.close();
  }
  connected = false;
  $("app").hidden = true;
  $("app").classList.remove("talking");
  $("door").hidden = false;
  $("door-problem").textContent = reason || "";
  $("log").replaceChildren();
  $("compose").hidden = true;
  $("hint").hidden = false;
  $("handle").focus();
}

async function start() {
  $("door").hidden = true;
  $("app").hidden = false;
  $("me").textContent = session.user.handle;
  outbox = JSON.parse(localStorage.getItem(outboxName()) || "[]");
  render();
  connect();
  $("to").focus();
}

const outboxName = () => "outbox " + session.user.id;
const saveOutbox = () => localStorage.setItem(outboxName(), JSON.stringify(outbox.map(({ c, key, text, failed }) => ({ c, key, text, failed }))));

/* ---- the socket ---- */

function connect() {
  clearTimeout(reconnectTimer);
  if (!session || socket) return;
  const url = location.origin.replace(/^http/, "ws") + "/v1/ws";
  const mine = new WebSocket(url, "chat.v1");
  socket = mine;
  mine.onopen = () => {
    const conv = {};
    for (const c of conversations.values()) if (c.loaded) conv[c.id] = c.applied;
    frame({ connect: { token: session.token, resume: { conv } } });
  };
  mine.onmessage = (message) => {
    for (const line of message.data.split("\n")) if (line && mine === socket) receive(JSON.parse(line));
  };
  mine.onclose = (end) => {
    if (mine !== socket) return;
    socket = null;
    connected = false;
    waiting.clear();
    for (const entry of outbox) entry.inFlight = false;
    if (end.code >= 4500) {
      leave("Your session has ended. Log in again.");
      return;
    }
    render();
    reconnectTimer = setTimeout(connect, backoff / 2 + Math.random() * backoff / 2);
    backoff = Math.min(backoff * 2, 8000);
  };
}

function frame(object) {
  object.id = ++frameId;
  socket.send(JSON.stringify(object));
  return object.id;
}

function receive(message) {
  if (message.ev) {
    applyEvent(message.ev);
  } else if (message.connect) {
    connected = true;
    backoff = 500;
    for (const [id, range] of Object.entries(message.connect.conv)) {
      const c = conversations.get(id);
      if (c && !range.recovered) reload(c);
    }
    refresh();
    flush();
    render();
  } else if (message.send || message.error) {
    const entry = waiting.get(message.id);
    waiting.delete(message.id);
    if (!entry) return;
    entry.inFlight = false;
    if (message.send || message.error.code === "idempotency-key-reuse") {
      entry.sent = true; /* shown until its event comes */
    } else if (message.error.retryable) {
      setTimeout(flush, 1000);
    } else {
      entry.failed = message.error.detail || message.error.title;
    }
    saveOutbox();
    settleOutbox();
    flush();
    render();
  }
}

/* ---- events ---- */

function conversation(id) {
  let c = conversations.get(id);
  if (!c) {
    c = { id, members: [], head: 0, n: 0, readN: 0, last: null, messages: new Map(), applied: 0, loaded: false, older: false, firstUnread: 0 };
    conversations.set(id, c);
  }
  return c;
}

function applyEvent(ev) {
  const c = conversation(ev.c);
  if (!c.loaded && ev.type === "conversation.created") {
    c.members = ev.data.members;
    c.head = c.applied = ev.seq;
    c.loaded = true;
    render();
    return;
  }
  if (!c.loaded) {
    c.head = Math.max(c.head, ev.seq);
    if (!c.members.length) refresh();
    else reload(c);
    return;
  }
  if (ev.seq <= c.applied) return;
  if (ev.seq > c.applied + 1) {
    fill(c);
    return;
  }
  take(c, ev);
  render();
}

function take(c, ev) {
  c.applied = ev.seq;
  c.head = Math.max(c.head, ev.seq);
  if (ev.type !== "message.created") return;
  const message = ev.data;
  c.messages.set(message.seq, message);
  c.n = Math.max(c.n, message.n);
  c.last = message;
  if (message.sender.id === session.user.id) {
    c.readN = Math.max(c.readN, message.n);
    outbox = outbox.filter((entry) => entry.key !== message.client_id);
    saveOutbox();
  }
  markRead(c);
}

/* A gap: the events in between are read from the table. One at a time per conversation. */
async function fill(c) {
  if (c.gap) return;
  c.gap = true;
  try {
    for (;;) {
      const page = await call("GET", `/v1/conversations/${c.id}/events?after=${c.applied}`);
      for (const ev of page.items) if (ev.seq === c.applied + 1) take(c, ev);
      if (c.applied >= page.head_seq || !page.items.length) break;
    }
  } catch (problem) {
    setTimeout(() => fill(c), 1000);
  }
  c.gap = false;
  render();
}

/* From the newest page on: the first look at a conversation, or one too far behind to catch up. */
async function reload(c) {
  if (c.loading) return;
  c.loading = true;
  try {
    const page = await call("GET", `/v1/conversations/${c.id}/messages?limit=${PAGE}`);
    c.messages.clear();
    for (const message of page.items) c.messages.set(message.seq, message);
    c.applied = page.head_seq;
    c.head = page.head_seq;
    c.older = page.prev;
    c.loaded = true;
    for (const message of page.items) {
      c.n = Math.max(c.n, message.n);
      c.last = message;
    }
    settleOutbox();
    markRead(c);
  } catch (problem) {
    if (problem.status !== 401) setTimeout(() => reload(c), 1000);
  }
  c.loading = false;
  render();
}

async function loadOlder(c) {
  if (!c.older || c.loadingOlder) return;
  c.loadingOlder = true;
  try {
    const page = await call("GET", `/v1/conversations/${c.id}/messages?before=${c.older}&limit=${PAGE}`);
    const log = $("log");
    const height = log.scrollHeight;
    for (const message of page.items) c.messages.set(message.seq, message);
    c.older = page.prev;
    render();
    log.scrollTop += log.scrollHeight - height;
  } catch (problem) {
    /* scrolling up again asks again */
  }
  c.loadingOlder = false;
}

/* What is known of a sent message may have come with a page instead of an event. */
function settleOutbox() {
  const before = outbox.length;
  outbox = outbox.filter((entry) => {
    const c = conversations.get(entry.c);
    return !(c && [...c.messages.values()].some((m) => m.client_id === entry.key && m.sender.id === session.user.id));
  });
  if (outbox.length !== before) saveOutbox();
}

async function refresh() {
  try {
    let cursor = "";
    do {
      const page = await call("GET", "/v1/conversations?limit=200" + (cursor ? "&cursor=" + cursor : ""));
      for (const item of page.items) {
        const c = conversation(item.id);
        c.members = item.members;
        c.n = Math.max(c.n, item.n);
        c.readN = Math.max(c.readN, item.read_n);
        c.head = Math.max(c.head, item.head_seq);
        if (!c.last || (item.last && item.last.seq > c.last.seq)) c.last = item.last || c.last;
        if (!c.loaded) reload(c);
        else if (c.applied < item.head_seq) fill(c);
      }
      cursor = page.next;
    } while (cursor);
    const wanted = sessionStorage.getItem("current");
    if (!current && wanted && conversations.has(wanted)) show(conversations.get(wanted), false);
    render();
  } catch (problem) {
    if (connected) setTimeout(refresh, 1000);
  }
}

/* ---- sending ---- */

function makeKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return "k" + [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

function send(text) {
  outbox.push({ c: current.id, key: makeKey(), text });
  saveOutbox();
  flush();
  render();
  $("log").scrollTop = $("log").scrollHeight;
}

/* In order per conversation: the next goes when the one before has its answer. */
function flush() {
  if (!connected || !socket) return;
  const busy = new Set();
  for (const entry of outbox) {
    if (entry.sent || entry.failed) continue;
    if (!busy.has(entry.c) && !entry.inFlight) {
      entry.inFlight = true;
      waiting.set(frame({ send: { c: entry.c, key: entry.key, body: { text: entry.text } } }), entry);
    }
    busy.add(entry.c);
  }
}

let readTimer = 0;
function markRead(c) {
  if (c !== current || document.visibilityState !== "visible" || c.n <= c.readN) return;
  c.readN = c.n;
  clearTimeout(readTimer);
  readTimer = setTimeout(() => call("PUT", `/v1/conversations/${c.id}/read`, { seq: c.applied }).catch(() => {}), 500);
}

/* ---- what is seen ---- */

function nameOf(c) {
  const others = c.members.filter((m) => m.id !== session.user.id);
  return others.map((m) => m.handle).join(", ") || "…";
}

function show(c, focus) {
  current = c;
  c.firstUnread = c.readN < c.n ? c.readN + 1 : 0;
  sessionStorage.setItem("current", c.id);
  $("app").classList.add("talking");
  $("compose").hidden = false;
  $("hint").hidden = true;
  $("log").replaceChildren();
  markRead(c);
  render();
  $("log").scrollTop = $("log").scrollHeight;
  if (focus) $("message").focus();
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

let renderAsked = false;
function render() {
  if (renderAsked) return;
  renderAsked = true;
  queueMicrotask(() => {
    renderAsked = false;
    if (session) draw();
  });
}

function draw() {
  $("title").textContent = current ? nameOf(current) : "Headwater";
  const pending = outbox.filter((entry) => !entry.sent && !entry.failed).length;
  $("status").textContent = connected ? "" : "Disconnected. " + (pending ? `${pending} waiting to be sent.` : "Trying again…");
  drawList();
  if (current) drawLog();
}

function drawList() {
  const rows = [...conversations.values()].filter((c) => c.members.length).sort((a, b) => (b.last ? b.last.ts : "").localeCompare(a.last ? a.last.ts : ""));
  $("empty").hidden = rows.length > 0;
  const list = $("list");
  while (list.children.length > rows.length) list.lastChild.remove();
  rows.forEach((c, i) => {
    let item = list.children[i];
    if (!item) {
      item = element("li");
      const button = element("button");
      button.type = "button";
      button.append(element("span", "who"), element("span", "unread"), element("span", "last"));
      item.append(button);
      list.append(item);
    }
    const button = item.firstChild;
    const unread = Math.max(0, c.n - c.readN);
    button.onclick = () => show(c, true);
    button.setAttribute("aria-current", c === current ? "true" : "false");
    button.children[0].textContent = nameOf(c);
    button.children[1].hidden = unread === 0;
    button.children[1].textContent = unread;
    button.children[1].setAttribute("aria-label", `${unread} unread`);
    button.children[2].textContent = c.last ? c.last.body.text.slice(0, 120) : "";
  });
}

function drawMessage(row, by, text, state, failed) {
  row.replaceChildren(element("div", "by", by), element("div", "text", text));
  row.children[1].dir = "auto";
  if (state) row.append(element("div", failed ? "state failed" : "state", state));
}

/* Rows are keyed by seq, or by the outbox key until then; only what changed is touched. */
function drawLog() {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  const wanted = [];
  for (const message of [...current.messages.values()].sort((a, b) => a.seq - b.seq)) {
    if (current.firstUnread && message.n === current.firstUnread) wanted.push({ id: "mark", mark: true });
    wanted.push({ id: "s" + message.seq, message });
  }
  for (const entry of outbox) if (entry.c === current.id) wanted.push({ id: "k" + entry.key, entry });
  const have = new Map([...log.children].map((row) => [row.dataset.id, row]));
  let place = log.firstChild;
  for (const want of wanted) {
    let row = have.get(want.id);
    have.delete(want.id);
    if (!row) {
      row = element("div");
      row.dataset.id = want.id;
      if (want.mark) {
        row.className = "mark";
        row.textContent = "New messages";
      } else if (want.message) {
        const m = want.message;
        row.className = m.sender.id === session.user.id ? "message mine" : "message";
        drawMessage(row, `${m.sender.handle}, ${new Date(m.ts).toLocaleString()}`, m.body.text);
      } else {
        row.className = "message mine";
      }
    }
    if (want.entry) {
      const e = want.entry;
      const state = e.failed ? "Not sent: " + e.failed : e.sent ? "Sent" : connected ? "Sending…" : "Waiting for the connection";
      if (row.dataset.state !== state) {
        row.dataset.state = state;
        drawMessage(row, session.user.handle, e.text, state, e.failed);
      }
    }
    if (row !== place) log.insertBefore(row, place);
    else place = place.nextSibling;
  }
  for (const row of have.values()) row.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

/* ---- hands ---- */

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(false);
});
$("create").addEventListener("click", () => {
  if ($("login").reportValidity()) enter(true);
});
$("logout").addEventListener("click", async () => {
  try {
    await call("DELETE", "/v1/sessions/current");
  } catch (problem) {
    /* the token stays valid until it expires; this page forgets it all the same */
  }
  leave("");
});
$("open").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("open-problem").textContent = "";
  try {
    const item = await call("POST", "/v1/conversations", { with: $("to").value.trim() });
    const c = conversation(item.id);
    c.members = item.members;
    $("to").value = "";
    if (!c.loaded) await reload(c);
    show(c, true);
  } catch (problem) {
    $("open-problem").textContent = say(problem);
  }
});
$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value;
  if (!text.trim() || !current) return;
  if (new TextEncoder().encode(text).length > 16384) {
    $("status").textContent = "A message may be 16,384 bytes long.";
    return;
  }
  $("message").value = "";
  send(text);
});
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("compose").requestSubmit();
  }
});
$("back").addEventListener("click", () => {
  current = null;
  sessionStorage.removeItem("current");
  $("app").classList.remove("talking");
  $("compose").hidden = true;
  $("hint").hidden = false;
  $("log").replaceChildren();
  render();
});
$("log").addEventListener("scroll", () => {
  if (current && $("log").scrollTop < 100) loadOlder(current);
});
document.addEventListener("visibilitychange", () => {
  if (session && current) markRead(current);
});
window.addEventListener("online", () => {
  backoff = 500;
  connect();
});
window.addEventListener("offline", () => {
  if (socket) socket.close();
});

session = JSON.parse(sessionStorage.getItem("session") || "null");
if (session) start();
else $("handle").focus();
