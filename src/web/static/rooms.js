/* Conversations and their events. Events are applied only in order: the next one is last + 1; an older one is
 * dropped, a gap is read from the server (web I1). A room's messages are loaded when it is shown; before that its line
 * in the list is kept up to date by the events themselves. */

import { call } from "./api.js";
import { settle, settlePassed } from "./outbox.js";
import { changed, state } from "./state.js";

const PAGE = 50;
const KEPT_MAX = 1000; /* messages of a room that is read at its end */
const RETRY_MS = 1000;

export function roomOf(id) {
  let room = state.rooms.get(id);
  if (!room) {
    room = {
      id, members: [], last: null,
      head: 0, n: 0, readN: 0, readSeq: 0, /* readSeq: to be told to the server, 0: nothing */
      messages: new Map(), applied: 0, loaded: false, older: null,
      loading: false, filling: false, firstUnread: 0,
    };
    state.rooms.set(id, room);
  }
  return room;
}

export function nameOf(room) {
  return room.members.filter((member) => member.id !== state.session.user.id).map((member) => member.handle).join(", ");
}

export const unreadOf = (room) => Math.max(0, room.n - room.readN);

export function applyEvent(ev) {
  const room = roomOf(ev.c);
  room.head = Math.max(room.head, ev.seq);
  room.n = Math.max(room.n, ev.n);
  if (ev.type === "conversation.created") room.members = ev.data.members;
  if (ev.type === "message.created") note(room, ev.data);
  if (!room.members.length) refresh();
  if (room.loaded && !room.loading) {
    if (ev.seq === room.applied + 1) take(room, ev);
    else if (ev.seq > room.applied) fill(room);
  } else if (!room.loading && ev.type === "message.created") {
    settle(ev.data);
  }
  changed();
}

/* The newest message of the list's line; one's own word is also one's read mark. */
function note(room, message) {
  if (!room.last || message.seq > room.last.seq) room.last = message;
  if (message.sender.id === state.session.user.id) room.readN = Math.max(room.readN, message.n);
}

function take(room, ev) {
  room.applied = ev.seq;
  if (ev.type !== "message.created") return;
  room.messages.set(ev.seq, ev.data);
  note(room, ev.data);
  settle(ev.data);
}

/* Reads what lies between applied and head. One at a time for a room; events that come meanwhile raise head. */
async function fill(room) {
  if (room.filling) return;
  room.filling = true;
  try {
    while (room.loaded && !room.loading && room.applied < room.head) {
      const page = await call("GET", `/v1/conversations/${room.id}/events?after=${room.applied}`);
      room.head = Math.max(room.head, page.head_seq);
      for (const ev of page.items) if (ev.seq === room.applied + 1) take(room, ev);
      settlePassed(room);
      changed();
    }
    room.filling = false;
  } catch (problem) {
    room.filling = false;
    again(problem, () => fill(room));
  }
}

/* From the newest page on: the first look at a room, or one too far behind to catch up. */
export async function load(room) {
  if (room.loading) return;
  room.loading = true;
  try {
    const page = await call("GET", `/v1/conversations/${room.id}/messages?limit=${PAGE}`);
    room.messages = new Map(page.items.map((message) => [message.seq, message]));
    room.applied = page.head_seq;
    room.head = Math.max(room.head, page.head_seq);
    room.older = page.prev;
    room.loaded = true;
    room.loading = false;
    for (const message of page.items) {
      room.n = Math.max(room.n, message.n);
      note(room, message);
      settle(message);
    }
    settlePassed(room);
    if (room.applied < room.head) fill(room);
  } catch (problem) {
    room.loading = false;
    again(problem, () => load(room));
  }
  changed();
}

export async function loadOlder(room) {
  if (!room.older || room.loadingOlder) return;
  room.loadingOlder = true;
  try {
    const page = await call("GET", `/v1/conversations/${room.id}/messages?before=${room.older}&limit=${PAGE}`);
    for (const message of page.items) room.messages.set(message.seq, message);
    room.older = page.prev;
  } catch (problem) {
    /* scrolling up again asks again */
  }
  room.loadingOlder = false;
  changed();
}

/* Messages far above the end are forgotten; scrolling up loads them again. */
export function trim(room) {
  if (room.messages.size <= KEPT_MAX) return;
  const seqs = [...room.messages.keys()].sort((a, b) => a - b);
  for (const seq of seqs.slice(0, seqs.length - KEPT_MAX / 2)) room.messages.delete(seq);
  room.older = seqs[seqs.length - KEPT_MAX / 2];
}

/* The list, as the server has it. Once more when asked meanwhile. */
let refreshing = false;
let refreshAgain = false;
export async function refresh() {
  if (refreshing) {
    refreshAgain = true;
    return;
  }
  refreshing = true;
  const session = state.session;
  try {
    let cursor = null;
    do {
      const page = await call("GET", "/v1/conversations?limit=200" + (cursor ? "&cursor=" + cursor : ""));
      if (session !== state.session) break;
      page.items.forEach(takeItem);
      cursor = page.next;
    } while (cursor);
  } catch (problem) {
    again(problem, refresh);
  }
  refreshing = false;
  if (refreshAgain) {
    refreshAgain = false;
    if (state.session) refresh();
  }
  changed();
}

export function takeItem(item) {
  const room = roomOf(item.id);
  room.members = item.members;
  room.head = Math.max(room.head, item.head_seq);
  room.n = Math.max(room.n, item.n);
  if (item.last) note(room, item.last);
  if (item.read_n < room.readN && room.readSeq) saveRead(room);
  room.readN = Math.max(room.readN, item.read_n);
  if (room.loaded && !room.loading && room.applied < room.head) fill(room);
  return room;
}

let readTimer = 0;
export function markRead(room) {
  if (!room.loaded || room.n <= room.readN || room.applied < room.head) return;
  room.readN = room.n;
  room.readSeq = room.applied;
  if (!readTimer) saveRead(room);
  changed();
}

/* At once, then at most once a second. Should one not arrive, the next refresh finds it missing. */
function saveRead(room) {
  const seq = room.readSeq;
  call("PUT", `/v1/conversations/${room.id}/read`, { seq }).catch(() => {});
  readTimer = setTimeout(() => {
    readTimer = 0;
    if (state.session && room.readSeq > seq) saveRead(room);
  }, 1000);
}

function again(problem, action) {
  const session = state.session;
  if (!session || problem.status === 401 || problem.status === 403) return;
  setTimeout(() => {
    if (session === state.session && state.connected) action();
  }, RETRY_MS);
}
