// One call: what it takes and answers, a form to send it, and what came back.
import { html, useState } from "../panel/html.js";
import { login } from "./login.js";
import { Marked, Paragraphs } from "./marked.js";

const SHOWN = 200_000; // characters of an answer

export function Call({ operation, spec, base }) {
  const parameters = (operation.parameters ?? []).map((each) => resolve(each, spec)).filter(({ name }) => name !== "X-Request-ID");
  const contents = Object.entries(operation.requestBody?.content ?? {});
  return html`
    <div lang="en" class="said"><${Paragraphs} text=${operation.description ?? ""} /></div>
    <${Try} ...${{ operation, base, parameters, contents }} />
    ${contents.map(([media, { schema }]) => schema && html`<details><summary>Cuerpo: ${media}</summary><${Schema} schema=${schema} spec=${spec} /></details>`)}
    <h4>Respuestas</h4>
    <ul class="answers">${Object.entries(operation.responses).map(([status, answer]) => html`<li><details>
      <summary><b>${status}</b> <${Marked} text=${resolve(answer, spec).description} /></summary>
      ${Object.entries(resolve(answer, spec).content ?? {}).map(([media, content]) => html`<p class="small soft">${media}</p><${Schema} schema=${content.schema} spec=${spec} example=${content.example} />`)}
    </details></li>`)}</ul>`;
}

function resolve(value, spec) {
  return value?.$ref ? value.$ref.slice(2).split("/").reduce((at, name) => at[name.replaceAll("~1", "/")], spec) : value;
}

function Schema({ schema, spec, example }) {
  const found = resolve(schema, spec);
  return html`${example !== undefined && html`<pre tabindex="0">${JSON.stringify(example, null, 2)}</pre>`}
    ${found && Object.keys(found).length > 0 && html`<pre tabindex="0">${JSON.stringify(found, null, 2)}</pre>`}`;
}

function Try({ operation, base, parameters, contents }) {
  const { operationId: id, method, path } = operation;
  const [media, setMedia] = useState(contents[0]?.[0] ?? "");
  const [came, setCame] = useState(null);
  const file = /csv|ndjson|octet-stream/u.test(media);
  const example = contents.find(([each]) => each === media)?.[1].example;
  const written = typeof example === "string" ? example : JSON.stringify(example ?? {}, null, 2);

  async function send(event) {
    event.preventDefault();
    const fields = new FormData(event.target);
    const value = (name) => String(fields.get(`p:${name}`) ?? "").trim();
    const url = new URL(base + path.replace(/\{(\w+)\}/gu, (_, name) => encodeURIComponent(value(name))), location.origin);
    const headers = {};
    for (const { name, in: where } of parameters) {
      if (value(name) && where === "query") url.searchParams.set(name, value(name));
      if (value(name) && where === "header") headers[name] = value(name);
    }
    const who = login();
    if (who && operation.security?.length !== 0) headers.Authorization = `Bearer ${who.token}`;
    let body;
    if (media) {
      const chosen = fields.get("file");
      body = chosen?.size ? chosen : fields.get("body");
      if (media === "application/x-www-form-urlencoded") body = form(body);
      if (media !== "multipart/form-data") headers["Content-Type"] = media;
    }
    setCame({ busy: true });
    const began = performance.now();
    try {
      const answer = await fetch(url, { method: method.toUpperCase(), headers, body, cache: "no-store", credentials: "omit" });
      const text = await answer.text();
      setCame({ status: answer.status, ms: Math.round(performance.now() - began), headers: [...answer.headers], text: pretty(text) });
    } catch (error) {
      setCame({ failed: `No hay conexión con el servicio (${error.message})` });
    }
  }

  return html`<form class="try" onSubmit=${send} aria-label="Probar ${method.toUpperCase()} ${path}">
    ${parameters.length > 0 && html`<div class="parameters">${parameters.map((each) => html`<${Parameter} key=${each.name} id=${id} parameter=${each} />`)}</div>`}
    ${contents.length > 1 && html`<div class="field"><label for="${id}-media">Tipo del cuerpo</label>
      <select id="${id}-media" onChange=${({ target }) => setMedia(target.value)}>${contents.map(([each]) => html`<option value=${each}>${each}</option>`)}</select></div>`}
    ${media && file && html`<div class="field"><label for="${id}-file">Archivo <span class="soft">(o escríbalo abajo)</span></label><input id="${id}-file" type="file" name="file" /></div>`}
    ${media && html`<div class="field"><label for="${id}-body">Cuerpo</label><textarea id="${id}-body" name="body" rows=${Math.min(14, written.split("\n").length + 1)} spellcheck=${false} key=${media}>${written}</textarea></div>`}
    <div class="actions"><button class="primary" aria-disabled=${came?.busy}>Enviar</button>
      <span class="soft small">${operation.security?.length === 0 ? "No pide iniciar sesión." : login() ? "" : "Pide iniciar sesión."}</span></div>
    <div class="came" role="status">${came?.failed && html`<p class="error">${came.failed}</p>`}
      ${came?.status && html`<p><b class="${came.status < 400 ? "good" : "bad"}">${came.status}</b> <span class="soft small">${came.ms} ms</span></p>
        <pre tabindex="0" class="body">${came.text.slice(0, SHOWN)}</pre>
        <details><summary>Cabeceras</summary><pre tabindex="0">${came.headers.map(([name, value]) => `${name}: ${value}`).join("\n")}</pre></details>`}</div>
  </form>`;
}

function Parameter({ id, parameter: { name, in: where, required, description, schema = {} } }) {
  const field = `${id}-${name}`;
  const choices = schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : null);
  return html`<div class="field">
    <label for=${field}><code>${name}</code>${required && html` <span class="bad">*</span>`} <span class="soft">${where}</span></label>
    ${choices
      ? html`<select id=${field} name="p:${name}" aria-describedby="${field}-said"><option value=""></option>${choices.map((each) => html`<option>${String(each)}</option>`)}</select>`
      : html`<input id=${field} name="p:${name}" required=${Boolean(required)} placeholder=${schema.examples?.[0]} autocomplete="off" spellcheck=${false} aria-describedby="${field}-said" />`}
    <p class="rule" id="${field}-said" lang="en">${description && html`<${Marked} text=${description} />`}</p>
  </div>`;
}

function form(text) {
  try {
    return new URLSearchParams(JSON.parse(text));
  } catch {
    return text;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
