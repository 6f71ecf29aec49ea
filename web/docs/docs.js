// The API's description as a page: every call to read, and to try with the login of this tab.
import { html, render, useEffect, useRef, useState } from "../panel/html.js";
import { Call } from "./call.js";
import { LogIn } from "./login.js";
import { Marked } from "./marked.js";

const base = document.documentElement.dataset.base;
const TAGS = {
  users: "Usuarios", verification: "Verificar el correo", ventas: "Ventas", bulk: "Importar, exportar y lotes", resumen: "Sumas", login: "Iniciar sesión",
  oauth: "OAuth", sessions: "Sesiones", recovery: "Recuperar la cuenta", audit: "Auditoría", sistema: "Sistema", docs: "Páginas de la API", panel: "Panel",
  health: "Salud", metrics: "Métricas", factor: "Segundo factor", llaves: "Llaves de API",
};
const METHODS = ["get", "post", "put", "patch", "delete"];

function operationsOf(spec) {
  return Object.entries(spec.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ path, method, ...methods[method], tag: methods[method].tags[0] })),
  );
}

function Docs({ spec }) {
  const operations = operationsOf(spec);
  const [words, setWords] = useState("");
  const [opened, setOpened] = useState(() => new Set([named(location.hash)]));
  const fits = ({ path, method, summary, operationId }) => `${method} ${path} ${summary} ${operationId}`.toLowerCase().includes(words.trim().toLowerCase());
  const toggle = (id, open = !opened.has(id)) => setOpened((before) => new Set(open ? [...before, id] : [...before].filter((other) => other !== id)));

  useEffect(() => {
    const show = () => {
      const id = named(location.hash);
      if (!id) return;
      toggle(id, true);
      requestAnimationFrame(() => document.getElementById(id)?.scrollIntoView());
    };
    addEventListener("hashchange", show);
    show();
    return () => removeEventListener("hashchange", show);
  }, []);

  return html`
    <h1>API de Ventas <span class="soft small">${spec.info.version}</span></h1>
    <p>Usuarios y sus ventas, sobre PostgreSQL. El dinero es un número entero de centavos, las horas son RFC 3339 en UTC y los errores son <a href="${base}/problemas">problemas</a> con un <code>codigo</code> que
      no cambia. Las descripciones de cada llamada están en inglés; lo que la API responde, en español. Para los programas: <a href="${base}/openapi.json">openapi.json</a>.</p>
    <section class="card" aria-label="En dos minutos"><h2>En dos minutos</h2>
      <ol>
        <li>Regístrese: <${To} id="users_create" of=${operations} />, con el ejemplo que ya está escrito.</li>
        <li>Inicie sesión en «Su cuenta», aquí abajo.</li>
        <li>Venda: <${To} id="ventas_create" of=${operations} /> con un importe en centavos, o <${To} id="bulk_load" of=${operations} /> con una planilla entera.</li>
        <li>Sume: <${To} id="resumen_show" of=${operations} />, por día, semana, mes o usuario; <${To} id="ventas_index" of=${operations} /> da la lista.</li>
      </ol>
    </section>
    <${LogIn} base=${base} />
    <form class="form" role="search" onSubmit=${(event) => event.preventDefault()}><div class="field"><label for="filter">Buscar una llamada</label>
      <input id="filter" type="search" value=${words} onInput=${({ target }) => setWords(target.value)} /></div></form>
    ${spec.tags.map(({ name, description }) => {
      const found = operations.filter((operation) => operation.tag === name && fits(operation));
      return found.length > 0 && html`<section class="tag-of" aria-labelledby="tag-${name}" key=${name}>
        <h2 id="tag-${name}">${TAGS[name] ?? name}</h2>
        <p class="soft small" lang="en"><${Marked} text=${description} /></p>
        ${found.map((operation) => html`<${Operation} key=${operation.operationId} ...${{ operation, spec, open: opened.has(operation.operationId), toggle }} />`)}
      </section>`;
    })}`;
}

function To({ id, of }) {
  const { method, path, tag } = of.find(({ operationId }) => operationId === id);
  return html`<a href="#/${tag}/${id}">${method.toUpperCase()} ${path}</a>`;
}

/** The operation that #/tag/operation names. */
const named = (hash) => hash.split("/")[2] ?? "";

function Operation({ operation, spec, open, toggle }) {
  const { operationId: id, method, path, summary, tag } = operation;
  const head = useRef();
  return html`<div class="operation" id=${id}>
    <h3 ref=${head}><button type="button" aria-expanded=${open} aria-controls="${id}-body" onClick=${() => {
      toggle(id);
      history.replaceState(null, "", `#/${tag}/${id}`);
    }}>
      <span class="method ${method}">${method.toUpperCase()}</span> <code>${path}</code> <span class="soft" lang="en">${summary}</span></button></h3>
    <div id="${id}-body" hidden=${!open}>${open && html`<${Call} ...${{ operation, spec, base }} />`}</div>
  </div>`;
}

const root = document.getElementById("docs");
const answer = await fetch(`${base}/openapi.json`);
const spec = await answer.json();
root.replaceChildren();
render(html`<${Docs} spec=${spec} />`, root);
