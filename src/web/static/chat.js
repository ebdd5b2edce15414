/* The chat page: the door, and what hands do. The session is kept in sessionStorage, so that two tabs may be two
 * people (web I8); what waits to be sent is in outbox.js, the conversations in rooms.js, the socket in link.js. */

import { call, onSessionEnd, say, setToken } from "./api.js";
import { connect, disconnect, flush, lost, onEnd, reconnect } from "./link.js";
import { addToOutbox, dropFromOutbox, forgetOutbox, loadOutbox, retryInOutbox } from "./outbox.js";
import { load, loadOlder, takeItem, unreadOf } from "./rooms.js";
import { changed, onChange, state } from "./state.js";
import { $, clearLog, draw, readIfSeen, resized, scrolled, setActions, toEnd } from "./view.js";

const TEXT_BYTES_MAX = 16384;

/* ---- the door ---- */

let entering = false;
async function enter(create) {
  const handle = $("handle").value.trim();
  const password = $("password").value;
  if (entering) return;
  $("door-problem").textContent = "";
  if (!handle || !password) {
    $("door-problem").textContent = "Write a handle and a password.";
    $(handle ? "password" : "handle").focus();
    return;
  }
  entering = true;
  try {
    if (create) await call("POST", "/v1/users", { handle, password });
    const session = await call("POST", "/v1/sessions", { handle, password });
    sessionStorage.setItem("session", JSON.stringify(session));
    sessionStorage.removeItem("current");
    $("password").value = "";
    start(session);
    $("to").focus();
  } catch (problem) {
    $("door-problem").textContent = say(problem);
  }
  entering = false;
}

function start(session) {
  state.session = session;
  setToken(session.token);
  loadOutbox();
  $("door").hidden = true;
  $("app").hidden = false;
  connect();
  changed();
}

function leave(reason) {
  disconnect();
  setToken(null);
  closeRoom();
  sessionStorage.removeItem("session");
  state.session = null;
  state.rooms.clear();
  forgetOutbox();
  $("list").replaceChildren();
  $("open-problem").textContent = "";
  $("to").value = "";
  $("app").hidden = true;
  showDoor(reason);
}

function showDoor(reason) {
  document.title = "Headwater chat";
  $("door").hidden = false;
  $("door-problem").textContent = reason;
  $("handle").focus();
}

const sessionEnded = () => leave("Your session has ended. Log in again.");
onSessionEnd(sessionEnded);
onEnd(sessionEnded);

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(false);
});
$("create").addEventListener("click", () => enter(true));
$("logout").addEventListener("click", () => {
  /* Should the server not hear it, the token ends with its time; this page forgets it all the same. */
  call("DELETE", "/v1/sessions/current").catch(() => {});
  leave("");
});

/* ---- conversations ---- */

function openRoom(room) {
  if (state.current !== room) {
    state.current = room;
    room.firstUnread = unreadOf(room) > 0 ? room.readN + 1 : 0;
    sessionStorage.setItem("current", room.id);
    $("app").classList.add("talking");
    $("compose").hidden = false;
    $("compose-problem").textContent = "";
    clearLog(room);
    /* So that a phone's way back leads to the list. */
    if (!history.state) history.pushState("talking", "");
  }
  if (!room.loaded) load(room);
  changed();
}

function closeRoom() {
  state.current = null;
  sessionStorage.removeItem("current");
  $("app").classList.remove("talking");
  $("compose").hidden = true;
  $("newer").hidden = true;
  clearLog(null);
  changed();
}

setActions({
  open(room) {
    openRoom(room);
    $("message").focus();
  },
  retry(entry) {
    retryInOutbox(entry);
    flush();
    changed();
  },
  discard(entry) {
    dropFromOutbox(entry);
    changed();
  },
});

/* What was shown before a reload is shown again as soon as it is known. */
function reopen() {
  const room = state.rooms.get(sessionStorage.getItem("current"));
  if (!state.current && room && room.members.length) openRoom(room);
}

onChange(() => {
  reopen();
  draw();
});

$("open").addEventListener("submit", async (event) => {
  event.preventDefault();
  const handle = $("to").value.trim();
  $("open-problem").textContent = handle ? "" : "Write a handle.";
  if (!handle) return;
  try {
    const room = takeItem(await call("POST", "/v1/conversations", { with: handle }));
    $("to").value = "";
    openRoom(room);
    $("message").focus();
  } catch (problem) {
    $("open-problem").textContent = say(problem);
  }
});
$("back").addEventListener("click", () => {
  if (history.state) history.back();
  else closeRoom();
});
window.addEventListener("popstate", () => {
  if (state.current && !history.state) {
    const line = document.querySelector("#list [aria-current=true]");
    closeRoom();
    line.focus();
  }
});
$("list").addEventListener("keydown", (event) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const item = step && event.target.closest("li")[step];
  if (!item) return;
  event.preventDefault();
  item.firstChild.focus();
});

/* ---- messages ---- */

function fitMessage() {
  const field = $("message");
  field.style.height = "auto";
  field.style.height = field.scrollHeight + 2 + "px";
  resized();
}

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.replace(/[\uD800-\uDFFF]/gu, "\uFFFD");
  const bytes = new TextEncoder().encode(text).length;
  $("compose-problem").textContent = "";
  $("message").focus();
  if (!text.trim() || !state.current) return;
  if (bytes > TEXT_BYTES_MAX) {
    $("compose-problem").textContent =
      `This message is too long: ${bytes.toLocaleString("en")} bytes. The longest is ${TEXT_BYTES_MAX.toLocaleString("en")}.`;
    return;
  }
  $("message").value = "";
  fitMessage();
  addToOutbox(state.current.id, text);
  toEnd();
  flush();
  changed();
});
$("message").addEventListener("input", fitMessage);
$("message").addEventListener("keydown", (event) => {
  /* While an input method composes, Enter is its own; 229 is what one browser says of the Enter that ends it. */
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
    event.preventDefault();
    $("compose").requestSubmit();
  } else if (event.key === "Escape" && !event.isComposing) {
    const line = document.querySelector("#list [aria-current=true]");
    if (line.offsetParent) line.focus();
    else $("back").focus();
  }
});
$("newer").addEventListener("click", () => {
  toEnd();
  scrolled();
  $("message").focus();
});
$("log").addEventListener("scroll", () => {
  scrolled();
  if (state.current && $("log").scrollTop < 200) loadOlder(state.current);
});
new ResizeObserver(resized).observe($("log"));

/* ---- the world outside ---- */

for (const name of ["visibilitychange", "focus"]) {
  window.addEventListener(name, () => {
    if (!state.session) return;
    readIfSeen();
    if (document.visibilityState === "visible") reconnect();
  });
}
window.addEventListener("online", () => state.session && reconnect());
window.addEventListener("offline", () => state.session && lost());

const kept = JSON.parse(sessionStorage.getItem("session") || "null");
if (kept) start(kept);
else showDoor("");
