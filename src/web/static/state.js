/* What the page knows, in one place. Whoever changes it says so; it is drawn once afterwards. */

export const state = {
  session: null, /* {token, user, expires} */
  rooms: new Map(), /* conversation id -> room, see rooms.js */
  current: null, /* the room that is shown */
  connected: false,
  disconnected: false, /* for so long that it is worth telling */
};

let draw = () => {};
let asked = false;

export function onChange(action) {
  draw = action;
}

export function changed() {
  if (asked) return;
  asked = true;
  queueMicrotask(() => {
    asked = false;
    if (state.session) draw();
  });
}
