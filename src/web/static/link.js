/* The socket: connecting again whenever it ends, resuming where each room stands, and sending the outbox (web I3). */

import { dropFromOutbox, failInOutbox, outbox, settlePassed } from "./outbox.js";
import { applyEvent, load, refresh } from "./rooms.js";
import { changed, state } from "./state.js";

const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 15000;
const TELL_AFTER_MS = 2000; /* a short break is not worth a banner */
const ANSWER_MS = 10000; /* after a ping */

let socket = null;
let frameId = 0;
let connectId = 0;
let waiting = new Map(); /* frame id -> entry of the outbox */
let backoff = BACKOFF_MS;
let reconnectTimer = 0;
let tellTimer = 0;
let pingTimer = 0;
let deadTimer = 0;
let ended = () => {};

/* What to do when the server ends the session. */
export function onEnd(action) {
  ended = action;
}

export function connect() {
  clearTimeout(reconnectTimer);
  if (!state.session || socket) return;
  tellTimer = tellTimer || setTimeout(tell, TELL_AFTER_MS);
  const mine = new WebSocket(location.origin.replace(/^http/, "ws") + "/v1/ws", "chat.v1");
  socket = mine;
  mine.onopen = () => {
    const conv = {};
    for (const room of state.rooms.values()) if (room.loaded && !room.loading) conv[room.id] = room.applied;
    connectId = frame({ connect: { token: state.session.token, resume: { conv } } });
    expectAnswer();
  };
  mine.onmessage = (message) => {
    if (mine !== socket) return;
    clearTimeout(deadTimer);
    for (const line of message.data.split("\n")) if (line && mine === socket) receive(JSON.parse(line));
  };
  mine.onclose = (end) => {
    if (mine === socket) closed(end.code);
  };
}

/* Forgets the socket, without wanting another. */
export function disconnect() {
  const old = socket;
  forget();
  clearTimeout(reconnectTimer);
  clearTimeout(tellTimer);
  tellTimer = 0;
  state.disconnected = false;
  if (old) old.close();
}

/* The socket may be dead without knowing it. */
export function reconnect() {
  backoff = BACKOFF_MS;
  if (socket && state.connected) ping();
  else connect();
}

export function lost() {
  const old = socket;
  if (!old) return;
  closed(0);
  old.close();
}

function forget() {
  socket = null;
  state.connected = false;
  waiting = new Map();
  for (const entry of outbox) entry.inFlight = false;
  clearTimeout(pingTimer);
  clearTimeout(deadTimer);
}

function closed(code) {
  forget();
  if (code >= 4500 && code < 5000) {
    ended();
    return;
  }
  tellTimer = tellTimer || setTimeout(tell, TELL_AFTER_MS);
  reconnectTimer = setTimeout(connect, backoff * (0.5 + Math.random() / 2));
  backoff = Math.min(backoff * 2, BACKOFF_MAX_MS);
  changed();
}

function tell() {
  state.disconnected = true;
  changed();
}

function frame(object) {
  object.id = ++frameId;
  socket.send(JSON.stringify(object));
  return object.id;
}

/* Browsers do not show the server's pings: the page asks itself whether it is still heard. */
function ping() {
  frame({ ping: {} });
  expectAnswer();
}

function expectAnswer() {
  clearTimeout(deadTimer);
  deadTimer = setTimeout(lost, ANSWER_MS);
}

function receive(message) {
  if (message.ev) {
    applyEvent(message.ev);
  } else if (message.connect) {
    welcome(message.connect);
  } else if (message.pong) {
    /* it is */
  } else if (message.id === connectId) {
    lost(); /* busy; a wrong session ends with a code of its own */
  } else if (waiting.has(message.id)) {
    const entry = waiting.get(message.id);
    waiting.delete(message.id);
    answered(entry, message);
  }
}

function welcome(answer) {
  state.connected = true;
  state.disconnected = false;
  clearTimeout(tellTimer);
  tellTimer = 0;
  backoff = BACKOFF_MS;
  for (const [id, range] of Object.entries(answer.conv)) if (!range.recovered) load(state.rooms.get(id));
  clearInterval(pingTimer);
  pingTimer = setInterval(ping, answer.ping * 1000);
  refresh();
  flush();
  changed();
}

/* ---- sending ---- */

/* In order within a conversation: the next goes when the one before has its answer. */
export function flush() {
  if (!state.connected) return;
  const busy = new Set();
  for (const entry of outbox) {
    if (entry.seq || entry.failed) continue;
    if (!busy.has(entry.c) && !entry.inFlight) {
      entry.inFlight = true;
      waiting.set(frame({ send: { c: entry.c, key: entry.key, body: { text: entry.text } } }), entry);
    }
    busy.add(entry.c);
  }
}

function answered(entry, message) {
  entry.inFlight = false;
  if (message.send) {
    entry.seq = message.send.seq;
    const room = state.rooms.get(entry.c);
    if (room) settlePassed(room);
  } else if (message.error.code === "idempotency-key-reuse") {
    dropFromOutbox(entry); /* another tab has sent it */
  } else if (message.error.retryable) {
    setTimeout(flush, 1000);
    return;
  } else {
    failInOutbox(entry, message.error.detail || message.error.title);
  }
  flush();
  changed();
}
