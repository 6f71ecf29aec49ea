// Forms: fields with a label, a hint and an error of their own; one way of sending, waiting and failing for all.
import { newKey, Problem } from "./api.js";
import { createContext, html, useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "./html.js";
import { Alert } from "./parts.js";

const Errors = createContext({});
const typed = new Set(); // forms in which something was typed that is not saved

export const anythingTyped = () => typed.size > 0;

addEventListener("beforeunload", (event) => {
  if (anythingTyped()) event.preventDefault();
});

/** `onSend(values, key)` does the work: the same key for as long as the same values are sent again. */
export function Form({ onSend, submit, cancel, onCancel, danger = false, draft = true, children, class: name = "" }) {
  const form = useRef();
  const last = useRef({ text: "", key: "" });
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => () => typed.delete(last), []);
  // The focus moves before the page is seen again. Later, it would take what is typed into another field.
  // A dialog gives the focus to a form that it has when it opens; this one may have had to load first.
  useLayoutEffect(() => {
    const first = form.current.querySelector("[autofocus]");
    first?.focus();
    first?.select();
  }, []);
  useLayoutEffect(() => {
    if (problem) form.current?.querySelector("[aria-invalid=true], [role=alert]")?.focus();
  }, [problem]);

  async function send(event) {
    event.preventDefault();
    if (busy) return;
    const values = Object.fromEntries(new FormData(form.current));
    const text = JSON.stringify(values);
    if (last.current.text !== text) last.current = Object.assign(last.current, { text, key: newKey() });
    setBusy(true);
    setProblem(null);
    try {
      const missing = [...form.current.elements].filter((field) => field.required && !field.value.trim());
      if (missing.length) throw Problem.fields(Object.fromEntries(missing.map(({ name }) => [name, "complete este campo"])));
      await onSend(values, last.current.key);
      typed.delete(last);
      last.current.text = "";
    } catch (error) {
      setProblem(error instanceof Problem ? error : unexpected(error));
    }
    setBusy(false);
  }

  return html`<form ref=${form} class="form ${name}" novalidate onSubmit=${send} onInput=${() => draft && typed.add(last)}>
    <${Errors.Provider} value=${problem?.fields ?? {}}>
      ${children}
      ${problem && html`<${Alert} problem=${problem} fields=${form.current} />`}
      <div class="actions">
        <button class=${danger ? "danger" : "primary"} aria-disabled=${busy}>${busy ? "Un momento…" : submit}</button>
        ${onCancel && html`<button type="button" class="plain" onClick=${onCancel}>${cancel ?? "Cancelar"}</button>`}
      </div>
    <//>
  </form>`;
}

function unexpected(error) {
  if (error?.name === "AbortError") return new Problem(0, { detail: "Se canceló" });
  console.error(error);
  return new Problem(0, { detail: "El panel tuvo un error; recargue la página" });
}

/** One input, with `value` at first: what is typed stays when the form is drawn anew. `rule` is said before it is broken;
 *  the API's own sentence stands below once it was. */
export function Field({ label, name, rule, options, children, value, class: wrapper = "", ...input }) {
  const id = useId();
  const error = useContext(Errors)[name];
  const said = [rule && `${id}-rule`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const common = { id, name, "aria-describedby": said, "aria-invalid": error ? "true" : undefined, defaultValue: value, ...input };
  return html`<div class="field ${wrapper}">
    <label for=${id}>${label}${input.required === false && html` <span class="soft">(opcional)</span>`}</label>
    ${options
      ? html`<select ...${common}>${options.map(([each, text]) => html`<option value=${each} selected=${each === value}>${text}</option>`)}</select>`
      : input.type === "password"
        ? html`<${Secret} ...${common} />`
        : html`<input ...${common} />`}
    ${rule && html`<p class="rule" id="${id}-rule">${rule}</p>`}
    ${error && html`<p class="error" id="${id}-error">${sentence(error)}</p>`}
    ${children}
  </div>`;
}

function Secret(input) {
  const [shown, setShown] = useState(false);
  return html`<span class="secret">
    <input ...${input} type=${shown ? "text" : "password"} autocapitalize="none" spellcheck=${false} />
    <button type="button" class="plain" aria-pressed=${shown} onClick=${() => setShown(!shown)}>
      ${shown ? "Ocultar" : "Mostrar"}<span class="hidden"> la contraseña</span>
    </button>
  </span>`;
}

export function Check({ label, name, rule, ...input }) {
  const id = useId();
  return html`<div class="check">
    <input type="checkbox" id=${id} name=${name} aria-describedby=${rule && `${id}-rule`} ...${input} />
    <label for=${id}>${label}</label>
    ${rule && html`<p class="rule" id="${id}-rule">${rule}</p>`}
  </div>`;
}

export const sentence = (text) => text && text[0].toUpperCase() + text.slice(1);
