// Whose session this browser has. The access token stays in this tab's memory. The refresh token is kept in
// sessionStorage, which ends with the tab, or in localStorage where a person asked to stay logged in. Tabs tell each
// other of logins, renewals and logouts; one renews for all.
export const base = new URL(`${import.meta.url.split("/assets/")[0]}/`);

const PLACE = `ventas${base.pathname}sesion`;
const ANSWER_MS = 150;
const channel = new BroadcastChannel(PLACE);
const listeners = new Set();

let access = null;

export const token = () => access;
export const has = () => Boolean(stored());

/** Calls `listener` with "login", "ended" (elsewhere, or by time) or "logout"; returns how to stop that. */
export function watch(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = (what) => listeners.forEach((listener) => listener(what));

function stored() {
  const text = sessionStorage.getItem(PLACE) ?? localStorage.getItem(PLACE);
  return text && { refresh: text, keep: sessionStorage.getItem(PLACE) === null };
}

function keepIt(refresh, keep) {
  forget();
  (keep ? localStorage : sessionStorage).setItem(PLACE, refresh);
}

function forget() {
  sessionStorage.removeItem(PLACE);
  localStorage.removeItem(PLACE);
}

/** Begins a session with the token endpoint's answer; `keep` outlives the browser's window. */
export function begin(answer, keep) {
  access = answer.access_token;
  keepIt(answer.refresh_token, keep);
  channel.postMessage({ what: "login", access, refresh: answer.refresh_token, keep });
  tell("login");
}

/** A session that ended by itself: revoked, or too old. */
export function ended(what = "ended") {
  const had = access !== null || has();
  access = null;
  forget();
  if (had) {
    channel.postMessage({ what });
    tell(what);
  }
}

/** Ends the session here and at the server. */
export async function logout() {
  const refresh = stored()?.refresh;
  ended("logout");
  if (refresh) await grant("login/revocar", { token: refresh }).catch(() => {});
}

/** In a new tab: takes over the session that another tab has. */
export async function join() {
  if (has()) return;
  await new Promise((resolve) => {
    const stop = watch(resolve);
    channel.postMessage({ what: "ask" });
    setTimeout(() => resolve(stop()), ANSWER_MS);
  });
}

/** A new access token instead of `stale`, or null when the session is over. One tab at a time asks for it. */
export async function renew(stale) {
  return navigator.locks ? navigator.locks.request(PLACE, () => rotate(stale)) : rotate(stale);
}

async function rotate(stale) {
  await new Promise((resolve) => setTimeout(resolve)); // what another tab told meanwhile comes first
  if (access && access !== stale) return access;
  const kept = stored();
  if (!kept) {
    ended();
    return null;
  }
  const answer = await grant("login/", { grant_type: "refresh_token", refresh_token: kept.refresh });
  if (answer.ok) {
    const body = await answer.json();
    access = body.access_token;
    keepIt(body.refresh_token, kept.keep);
    channel.postMessage({ what: "renewed", access, refresh: body.refresh_token, keep: kept.keep });
    return access;
  }
  if (answer.status === 400 || answer.status === 401 || answer.status === 403) {
    ended();
    return null;
  }
  throw answer;
}

/** Posts a form to the token endpoint or its neighbour. */
export function grant(path, fields) {
  return fetch(new URL(path, base), {
    method: "POST",
    body: new URLSearchParams(fields),
    cache: "no-store",
    credentials: "omit",
  });
}

channel.onmessage = ({ data }) => {
  switch (data.what) {
    case "ask":
      if (has()) channel.postMessage({ what: "login", access, ...stored() });
      break;
    case "login":
    case "renewed":
      {
        const began = !has() && access === null;
        access = data.access ?? access;
        keepIt(data.refresh, data.keep);
        if (began) tell("login");
      }
      break;
    default:
      access = null;
      forget();
      tell(data.what);
  }
};
