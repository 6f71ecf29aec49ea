// What every page is made of: alerts, dialogs, messages, and what is shown while something loads, is empty or failed.
import { Problem } from "./api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { duration } from "./format.js";

/** Runs `load(signal)` at first and whenever `when` changes: { data, problem, busy, again }. */
export function useLoad(load, when) {
  const [state, setState] = useState({ data: null, problem: null, busy: true });
  const [times, setTimes] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, problem: null, busy: true }));
    load(stop.signal).then(
      (data) => stop.signal.aborted || setState({ data, problem: null, busy: false }),
      (problem) => stop.signal.aborted || setState((before) => ({ ...before, problem: told(problem), busy: false })),
    );
    return () => stop.abort();
  }, [...when, times]);
  return { ...state, again: () => setTimes((before) => before + 1) };
}

export function told(error) {
  if (error instanceof Problem) return error;
  console.error(error);
  return new Problem(0, { detail: "El panel tuvo un error; recargue la página" });
}

/** What went wrong, read out at once; fields that `fields`, a form, does not have are named here. */
export function Alert({ problem, fields, again }) {
  const elsewhere = Object.entries(problem.fields).filter(([name]) => !fields?.elements[name]);
  const wait = problem.status === 429 && problem.retryAfter;
  return html`<div class="alert" role="alert" tabindex="-1">
    <p>
      ${Object.keys(problem.fields).length && !elsewhere.length ? "Revise los campos marcados" : problem.message}.
      ${wait && html` Espere ${duration(wait)}.`}
      ${problem.unknown && fields && html` Si vuelve a enviar lo mismo, no se hará dos veces.`}
    </p>
    ${elsewhere.length > 0 && html`<ul>${elsewhere.map(([name, text]) => html`<li><b>${name}</b>: ${text}</li>`)}</ul>`}
    ${again && html`<button type="button" class="plain" onClick=${again}>Reintentar</button>`}
    ${problem.status >= 500 && problem.body.request_id && html`<p class="soft small">Referencia: ${problem.body.request_id}</p>`}
  </div>`;
}

/** `children(data)` once there is data; a failed reload keeps showing what was there. */
export function Loaded({ of: { data, problem, busy, again }, lines = 4, children }) {
  return html`
    ${problem && html`<${Alert} problem=${problem} again=${again} />`}
    ${data === null ? busy && html`<${Skeleton} lines=${lines} />` : html`<div class="loaded ${busy ? "stale" : ""}" aria-busy=${busy}>${children(data)}</div>`}
  `;
}

export function Skeleton({ lines }) {
  return html`<div class="skeleton" role="status"><span class="hidden">Cargando…</span>${Array.from({ length: lines }, () => html`<i></i>`)}</div>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><p class="strong">${title}</p>${children}</div>`;
}

export function Dialog({ title, onClose, wide = false, children }) {
  const dialog = useRef();
  const before = useRef(document.activeElement);
  useLayoutEffect(() => {
    dialog.current.showModal();
    return () => {
      dialog.current?.close();
      before.current?.focus?.();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${dialog} class=${wide ? "wide" : ""} aria-labelledby="dialog-title" onCancel=${cancel}>
    <header>
      <h2 id="dialog-title">${title}</h2>
      <button type="button" class="plain icon" aria-label="Cerrar" onClick=${onClose}><${Icon} name="close" /></button>
    </header>
    ${children}
  </dialog>`;
}

const MESSAGE_MS = 6000;
let announce = () => {};

/** Says something at the foot of the page. With `undo`, says it for as long as it can be undone. */
export function say(text, { undo, lasts = MESSAGE_MS } = {}) {
  return announce({ text, undo, lasts });
}

export function Messages() {
  const [messages, setMessages] = useState([]);
  useEffect(() => {
    announce = (message) => {
      const remove = () => setMessages((before) => before.filter((other) => other !== message));
      setMessages((before) => [...before.slice(-3), message]);
      message.remove = remove;
      setTimeout(remove, message.lasts);
      return remove;
    };
  }, []);
  useEffect(() => {
    const press = (event) => {
      const last = messages.findLast(({ undo }) => undo);
      if (!last || event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.target.closest("input, dialog")) return;
      event.preventDefault();
      last.undo();
      last.remove();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [messages]);
  return html`<div class="messages" role="status" aria-live="polite">
    ${messages.map(
      (message) => html`<div class="message">
        <span>${message.text}</span>
        ${message.undo && html`<button type="button" aria-keyshortcuts="Control+Z" onClick=${() => (message.undo(), message.remove())}>Deshacer <kbd class="desk" aria-hidden="true">Ctrl Z</kbd></button>`}
      </div>`,
    )}
  </div>`;
}

const SHAPES = {
  close: "M6 6l12 12M18 6L6 18",
  edit: "M4 20l1-5L16 4l4 4L9 19z M13.5 6.5l4 4",
  delete: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  menu: "M4 7h16M4 12h16M4 17h16",
  plus: "M12 5v14M5 12h14",
  down: "M12 4v12M6 11l6 6 6-6M5 21h14",
  up: "M12 20V8M6 13l6-6 6 6M5 3h14",
  sales: "M4 20V10M10 20V4M16 20v-8M21 20H3",
  person: "M12 12a4 4 0 100-8 4 4 0 000 8zM4 21c0-4 4-6 8-6s8 2 8 6",
  people: "M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2 20c0-4 3-6 7-6s7 2 7 6M16 4.5a3.5 3.5 0 010 6.5M18.5 14.5c2 .8 3.5 2.5 3.5 5.5",
  star: "M12 4l2.5 5.2 5.5.8-4 4 1 5.8-5-2.8-5 2.8 1-5.8-4-4 5.5-.8z",
  list: "M8 6h13M8 12h13M8 18h13M3.5 6h.01M3.5 12h.01M3.5 18h.01",
  pulse: "M3 12h4l3-8 4 16 3-8h4",
  out: "M14 4h5v16h-5M4 12h11M11 8l4 4-4 4",
};

export function Icon({ name }) {
  return html`<svg viewBox="0 0 24 24" aria-hidden="true" class="shape"><path d=${SHAPES[name]} /></svg>`;
}
