/* Drawing what the page knows. Rows are keyed and only what changed is touched, so that a screen reader is told of
 * additions alone (web I4, I6, I9). Text becomes text nodes, never markup (web I7). */

import { outbox } from "./outbox.js";
import { markRead, nameOf, trim, unreadOf } from "./rooms.js";
import { state } from "./state.js";

export const $ = (id) => document.getElementById(id);

const TOGETHER_MS = 5 * 60 * 1000; /* messages of one author this close are one group */
const AT_END_PX = 60;
const language = navigator.language;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const shortDay = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });

let actions = {}; /* open(room), retry(entry), discard(entry) */
let newerSince = 0; /* n of the newest message when the reader left the end */
let followEnd = true;
let jump = false; /* to the first unread message, once it is there */

export function setActions(given) {
  actions = given;
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, action) {
  const made = element("button", "", text);
  made.type = "button";
  made.onclick = action;
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function draw() {
  const pending = outbox.filter((entry) => !entry.seq && !entry.failed).length;
  const unread = [...state.rooms.values()].filter((room) => room.members.length && unreadOf(room) > 0).length;
  setText($("banner"), !state.disconnected ? "" : "Disconnected. Trying to connect again. " + (
    pending === 0 ? "" : pending === 1 ? "1 message is waiting to be sent." : `${pending} messages are waiting to be sent.`));
  document.title = (unread ? `(${unread}) ` : "") + (state.current ? nameOf(state.current) + " – " : "") + "Headwater chat";
  setText($("me"), state.session.user.handle);
  drawList();
  if (state.current) {
    setText($("title"), nameOf(state.current));
    drawLog(state.current);
  }
}

/* ---- the list ---- */

function drawList() {
  const rooms = [...state.rooms.values()].filter((room) => room.members.length);
  rooms.sort((a, b) => (b.last ? b.last.ts : "").localeCompare(a.last ? a.last.ts : "") || nameOf(a).localeCompare(nameOf(b)));
  $("empty").hidden = rooms.length > 0;
  const list = $("list");
  const have = new Map([...list.children].map((item) => [item.dataset.id, item]));
  let place = list.firstChild;
  for (const room of rooms) {
    let item = have.get(room.id);
    have.delete(room.id);
    if (!item) item = newItem(room);
    drawItem(item.firstChild, room);
    if (item === place) place = place.nextSibling;
    else list.insertBefore(item, place);
  }
  for (const item of have.values()) item.remove();
}

function newItem(room) {
  const item = element("li");
  const line = button("", () => actions.open(room));
  item.dataset.id = room.id;
  line.append(element("span", "who"), element("span", "when"), element("span", "last"), element("span", "unread"));
  item.append(line);
  return item;
}

function drawItem(line, room) {
  const unread = unreadOf(room);
  const [who, when, last, mark] = line.children;
  line.setAttribute("aria-current", room === state.current ? "true" : "false");
  line.classList.toggle("has-unread", unread > 0);
  setText(who, nameOf(room));
  setText(when, room.last ? shortTime(new Date(room.last.ts)) : "");
  const own = room.last && room.last.sender.id === state.session.user.id;
  setText(last, room.last ? (own ? "You: " : "") + room.last.body.text.slice(0, 120) : "No messages yet");
  mark.hidden = unread === 0;
  setText(mark, unread > 999 ? "999+" : String(unread));
  mark.setAttribute("aria-label", `${unread} unread`);
  mark.setAttribute("role", "img");
}

const dayOf = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

function shortTime(date) {
  return dayOf(date) === dayOf(new Date()) ? clock.format(date) : shortDay.format(date);
}

function dayName(date) {
  const away = Math.round((dayOf(new Date()) - dayOf(date)) / 86400000);
  return away === 0 ? "Today" : away === 1 ? "Yesterday" : day.format(date);
}

/* ---- the timeline ---- */

export function atEnd() {
  const log = $("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < AT_END_PX;
}

export function toEnd() {
  followEnd = true;
  $("log").scrollTop = $("log").scrollHeight;
}

/* A room is shown from where its unread begins, which stays marked as long as it is open, else from its end. */
export function clearLog(room) {
  $("log").replaceChildren();
  newerSince = room ? room.n : 0;
  jump = Boolean(room && room.firstUnread);
  toEnd();
}

/* What is wanted, from the top: {id, kind, ...}. */
function wantedRows(room) {
  const rows = [];
  let last = null;
  const messages = [...room.messages.values()].sort((a, b) => a.seq - b.seq);
  for (const message of messages) {
    const date = new Date(message.ts);
    if (!last || dayOf(new Date(last.ts)) !== dayOf(date)) {
      rows.push({ id: "d" + dayOf(date), kind: "day", text: dayName(date) });
      last = null;
    }
    if (room.firstUnread && message.n === room.firstUnread) {
      rows.push({ id: "new", kind: "new", text: "New messages" });
      last = null;
    }
    const follows = last !== null && last.sender.id === message.sender.id && date - new Date(last.ts) < TOGETHER_MS;
    rows.push({ id: "s" + message.seq, kind: "message", message, date, follows });
    last = message;
  }
  let follows = last !== null && last.sender.id === state.session.user.id;
  for (const entry of outbox) {
    if (entry.c !== room.id) continue;
    rows.push({ id: "k" + entry.key, kind: "entry", entry, follows });
    follows = true;
  }
  return rows;
}

function drawLog(room) {
  const log = $("log");
  /* What is read stays where it is, whatever comes above it. */
  const anchor = followEnd ? null : [...log.children].find((row) => row.matches("article") && row.offsetTop + row.offsetHeight > log.scrollTop);
  const anchorTop = anchor && anchor.offsetTop;
  const have = new Map([...log.children].map((row) => [row.dataset.id, row]));
  let place = log.firstChild;
  for (const want of wantedRows(room)) {
    const row = have.get(want.id) || element(want.kind === "message" || want.kind === "entry" ? "article" : "div");
    have.delete(want.id);
    drawRow(row, want);
    if (row === place) place = place.nextSibling;
    else log.insertBefore(row, place);
  }
  for (const row of have.values()) row.remove();
  if (followEnd) {
    log.scrollTop = log.scrollHeight;
    trim(room);
    if (jump && room.loaded) jumpToUnread(log);
  } else if (anchor && anchor.isConnected && anchor.offsetTop !== anchorTop) {
    log.scrollTop += anchor.offsetTop - anchorTop;
  }
  drawNewer(room);
  readIfSeen();
}

function jumpToUnread(log) {
  const mark = [...log.children].find((row) => row.dataset.id === "new");
  jump = false;
  if (mark && mark.offsetTop < log.scrollTop) {
    mark.scrollIntoView();
    followEnd = atEnd();
  }
}

function drawRow(row, want) {
  const looks = want.kind === "entry" ? stateOf(want.entry) : "";
  const mark = `${want.kind} ${want.follows} ${looks} ${want.text}`;
  if (row.dataset.drawn === mark) return;
  row.dataset.id = want.id;
  row.dataset.drawn = mark;
  row.replaceChildren();
  if (want.kind === "day" || want.kind === "new") {
    row.className = "divider " + want.kind;
    row.append(element("span", "", want.text));
    return;
  }
  const { message, entry } = want;
  const sender = message ? message.sender : state.session.user;
  const time = message ? clock.format(want.date) : "";
  row.className = "message" + (sender.id === state.session.user.id ? " mine" : "") + (want.follows ? " follows" : "");
  row.setAttribute("aria-label", message ? `${sender.handle}, ${time}` : `${sender.handle}, ${looks}`);
  if (!want.follows) row.append(by(sender, time));
  const text = element("p", "text", message ? message.body.text : entry.text);
  text.dir = "auto";
  row.append(text);
  if (entry) row.append(element("div", entry.failed ? "state failed" : "state", looks));
  if (entry && entry.failed) {
    const row2 = element("div", "row");
    row2.append(button("Try again", () => actions.retry(entry)), button("Delete", () => actions.discard(entry)));
    row.append(row2);
  }
}

function by(sender, time) {
  const line = element("div", "by");
  line.append(element("b", "", sender.handle));
  if (time) line.append(element("span", "", time));
  return line;
}

function stateOf(entry) {
  if (entry.failed) return "Not sent: " + entry.failed;
  if (entry.seq) return "Sent";
  return state.connected ? "Sending…" : "Waiting for the connection";
}

/* ---- reading ---- */

/* The reader has scrolled, or the window has changed: is the end still what is looked at? */
export function scrolled() {
  const end = atEnd();
  if (followEnd && !end && state.current) newerSince = state.current.n;
  followEnd = end;
  if (state.current) {
    drawNewer(state.current);
    readIfSeen();
  }
}

export function resized() {
  if (followEnd) toEnd();
}

function drawNewer(room) {
  const count = followEnd ? 0 : room.n - newerSince;
  $("newer").hidden = count <= 0;
  setText($("newer"), count === 1 ? "1 new message ↓" : `${count} new messages ↓`);
}

/* Read is what was on the screen of somebody who was there (web I5). */
export function readIfSeen() {
  if (state.current && followEnd && document.visibilityState === "visible" && document.hasFocus()) markRead(state.current);
}
