// Calls of the API: what a client of it may do, and no more. Everything that goes wrong is a Problem.
import { base, ended, renew, token } from "./session.js";

const ANSWER_MS = 30_000;
const BUSY_TRIES = 3;
const LONGEST_WAIT_S = 3;

/** What went wrong: RFC 9457's members of the answer, or what the browser knows when there is none (status 0). */
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = null) {
    super(body.detail ?? body.error_description ?? "El servicio respondió algo inesperado; intente de nuevo");
    this.status = status;
    this.codigo = body.codigo ?? "";
    this.body = body;
    this.fields = Object.fromEntries((body.errores ?? []).map(({ campo, mensaje }) => [campo, mensaje]));
    this.retryAfter = retryAfter;
  }

  /** Whether nobody can say if the change was made. */
  get unknown() {
    return this.status === 0 || this.status >= 500;
  }

  static fields(fields) {
    return new Problem(422, {
      detail: "Revise los campos marcados",
      errores: Object.entries(fields).map(([campo, mensaje]) => ({ campo, mensaje })),
    });
  }

  static async of(answer) {
    let body;
    try {
      body = await answer.json();
    } catch {
      body = {};
    }
    return new Problem(answer.status, body, Number(answer.headers.get("retry-after")) || null);
  }
}

export const offline = () =>
  new Problem(0, { codigo: "sin_conexion", detail: "No hay conexión con el servicio. Lo que escribió sigue aquí; intente de nuevo" });
const silent = () => new Problem(0, { codigo: "sin_respuesta", detail: "El servicio no respondió a tiempo; intente de nuevo" });

/** The address of a path and its query, in which empty values are left out. */
export function address(path, query = {}) {
  const url = new URL(path.replace(/^\//u, ""), base);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

const any = (signals) => AbortSignal.any(signals.filter(Boolean));

/** Sends a request with the session's token, renewed where it is too old. Returns the Response; raises Problem. */
export async function send(method, path, { query, json, body, headers = {}, signal, anonymous = false, keepalive = false, timeless = false } = {}) {
  const request = {
    method,
    headers: { Accept: "application/json", ...headers },
    body: json === undefined ? body : JSON.stringify(json),
    cache: "no-store",
    credentials: "omit",
    keepalive,
    signal: any([signal, !timeless && AbortSignal.timeout(ANSWER_MS)]),
  };
  if (json !== undefined) request.headers["Content-Type"] = "application/json";
  for (let tries = 1; ; tries += 1) {
    const sent = anonymous ? null : token() ?? (await renewed(null));
    if (!anonymous && sent === null) throw over();
    if (sent) request.headers.Authorization = `Bearer ${sent}`;
    const answer = await attempt(() => fetch(address(path, query), request), signal);
    if (answer.ok || answer.status === 304) return answer;
    if (answer.status === 401 && !anonymous) {
      if (tries > 2) ended();
      else if ((await renewed(sent)) !== null) continue;
      throw over();
    }
    const problem = await Problem.of(answer);
    const repeatable = method === "GET" && answer.status === 503 && tries < BUSY_TRIES;
    if (!repeatable) throw problem;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(problem.retryAfter ?? 1, LONGEST_WAIT_S)));
  }
}

const over = () => new Problem(401, { codigo: "sesion_terminada", detail: "Su sesión terminó: inicie sesión otra vez" });

async function attempt(work, signal) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error;
    throw error.name === "TimeoutError" ? silent() : offline();
  }
}

async function renewed(stale) {
  try {
    return await renew(stale);
  } catch (failed) {
    throw failed instanceof Response ? await Problem.of(failed) : offline();
  }
}

/** As send, and reads the answer: { body, etag, next }. */
export async function call(method, path, options) {
  const answer = await send(method, path, options);
  const text = await attempt(() => answer.text(), options?.signal);
  return {
    status: answer.status,
    body: text ? JSON.parse(text) : null,
    etag: answer.headers.get("etag"),
    next: cursor(answer),
    total: answer.headers.get("x-total-count"),
    replayed: answer.headers.has("idempotent-replayed"),
  };
}

export const get = (path, query, options) => call("GET", path, { query, ...options });

/** The cursor of a list's next page, or null at its end. */
function cursor(answer) {
  const link = /<([^>]*)>;\s*rel="next"/u.exec(answer.headers.get("link") ?? "");
  return answer.headers.get("x-next-cursor") ?? (link && new URL(link[1], base).searchParams.get("despues"));
}

/** A key for one change, so that however often it is sent it happens once. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
