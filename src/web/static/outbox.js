/* Messages on their way out. Each has its key before the first attempt and keeps it through retries, reloads and
 * a manual "Try again", so none can be sent twice (web I2). Each is an entry of its own in localStorage, so that tabs of
 * one user do not overwrite each other's; should two send the same one, the server answers the second from the first. */

import { state } from "./state.js";

/* {key, c, text, at, failed, seq, inFlight}, oldest first. seq: the server has it. */
export let outbox = [];

const prefix = () => `outbox ${state.session.user.id} `;

export function loadOutbox() {
  outbox = [];
  for (let i = 0; i < localStorage.length; i++) {
    const name = localStorage.key(i);
    if (!name.startsWith(prefix())) continue;
    const { c, text, at, failed } = JSON.parse(localStorage.getItem(name));
    outbox.push({ key: name.slice(prefix().length), c, text, at, failed });
  }
  outbox.sort((a, b) => a.at - b.at);
}

export function forgetOutbox() {
  outbox = [];
}

function save(entry) {
  const { c, text, at, failed } = entry;
  try {
    localStorage.setItem(prefix() + entry.key, JSON.stringify({ c, text, at, failed }));
  } catch (full) {
    /* It is still sent; only a reload would lose it. */
  }
}

export function addToOutbox(c, text) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const last = outbox.length ? outbox[outbox.length - 1].at : 0;
  const entry = { key, c, text, at: Math.max(Date.now(), last + 1) };
  outbox.push(entry);
  save(entry);
}

export function dropFromOutbox(entry) {
  outbox = outbox.filter((other) => other !== entry);
  localStorage.removeItem(prefix() + entry.key);
}

export function failInOutbox(entry, reason) {
  entry.failed = reason;
  save(entry);
}

export function retryInOutbox(entry) {
  entry.failed = undefined;
  save(entry);
}

/* This message of ours has been seen in its conversation. */
export function settle(message) {
  const entry = outbox.find((other) => other.key === message.client_id);
  if (entry && message.sender.id === state.session.user.id) dropFromOutbox(entry);
}

/* What the server has and the room has passed is shown, or further up than is loaded. */
export function settlePassed(room) {
  for (const entry of outbox) {
    if (entry.c === room.id && entry.seq && room.loaded && entry.seq <= room.applied) dropFromOutbox(entry);
  }
}
