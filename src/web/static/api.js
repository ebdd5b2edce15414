/* Calls of the chat's HTTP interface, and what its problems are called here. */

let token = null;
let ended = () => {};

export function setToken(value) {
  token = value;
}

/* What to do when the server no longer knows the session. */
export function onSessionEnd(action) {
  ended = action;
}

/* Read marks and log-outs are sent to their end also when the page is being left. */
export async function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = "Bearer " + token;
  const mine = token;
  const keepalive = method === "PUT" || method === "DELETE";
  const answer = await fetch(path, { method, headers, keepalive, body: body === undefined ? undefined : JSON.stringify(body) });
  const data = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return data;
  const problem = new Error((data && (data.detail || data.title)) || `The server answered ${answer.status}.`);
  problem.code = data && data.code;
  problem.status = answer.status;
  if (problem.code === "bad-token" && mine && mine === token) ended();
  throw problem;
}

const words = {
  "handle-taken": "This handle is taken. Choose another one.",
  "bad-credentials": "The handle or the password is wrong.",
  "no-such-user": "There is no user with this handle.",
  "too-many-attempts": "Too many attempts. Wait a minute and try again.",
  "busy": "The server is busy. Try again.",
};

/* A sentence for a person. */
export function say(problem) {
  if (problem instanceof TypeError) return "The server cannot be reached. Try again.";
  if (words[problem.code]) return words[problem.code];
  const text = problem.message;
  return text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
}
