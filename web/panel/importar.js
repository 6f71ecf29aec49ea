// A file of sales: chosen or dropped, looked at, checked, sent.
import { address, newKey, offline, Problem } from "./api.js";
import { cell, ColumnPicker, fault, guess, isOurs, kept, NAMES, rewritten } from "./columnas.js";
import { bytes, count, day, duration, money, plural } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Alert, Icon, Loaded, told, useLoad } from "./parts.js";
import { amount, CHARSETS, date, isJson, quantity, sample } from "./planillas.js";
import { sign, usePreferences, ZonePicker } from "./preferences.js";
import { renew, token } from "./session.js";

const MEDIA = { ndjson: "application/x-ndjson", csv: "text/csv" };
const OPTIONS = {
  decimal: { coma: "1.500,50 con coma", punto: "1,500.50 con punto", "": "150050 en centavos" },
  fecha: { dma: "31/01/2026 día primero", mda: "01/31/2026 mes primero", "": "2026-01-31 año primero" },
  charset: CHARSETS,
};
const MOST_REWRITTEN = 100e6; // bytes of a file whose columns are put in order here

export function Import() {
  const { zone } = usePreferences();
  const [file, setFile] = useState(null);
  const [dialect, setDialect] = useState({ decimal: "coma", fecha: "dma", charset: "" });
  const [over, setOver] = useState(false);
  const choose = ([chosen]) => chosen && setFile(chosen);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    choose(event.dataTransfer.files);
  };
  return html`
    <header class="title"><h1 tabindex="-1">Importar ventas</h1></header>
    <p class="soft">Una planilla con una venta en cada fila y el nombre de cada columna en la primera: el importe y, si las tiene, cuántos productos y la fecha.
      Entran todas las filas, o ninguna.</p>
    <p class="soft small">En Excel: Archivo, Guardar como, «CSV (delimitado por comas)».</p>
    <label class="drop ${over ? "over" : ""}" onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      <input type="file" class="hidden" accept=".csv,.txt,.tsv,.ndjson,.xls,.xlsx,text/csv" onClick=${({ target }) => (target.value = "")} onChange=${({ target }) => choose(target.files)} />
      <${Icon} name="up" />
      <span>${file ? html`<b>${file.name}</b> <span class="soft">${bytes(file.size)}</span>` : html`<b>Elija un archivo</b> o suéltelo aquí`}</span>
    </label>
    ${file && html`<${Chosen} key=${file} ...${{ file, dialect, setDialect, zone }} />`}
  `;
}

function Chosen({ file, dialect, setDialect, zone }) {
  const loaded = useLoad(() => sample(file, dialect.charset), [file, dialect.charset]);
  const [columns, setColumns] = useState(null);
  const set = ({ target }) => setDialect({ ...dialect, [target.name]: target.value });
  const choice = (label, name) => html`<${Choice} label=${label} name=${name} value=${dialect[name]} onChange=${set} options=${OPTIONS[name]} />`;
  return html`
    <section class="card filters" aria-label="Cómo leer el archivo">
      ${choice("Importes", "decimal")}${choice("Fechas", "fecha")}${choice("Letras con acento", "charset")}
      <${ZonePicker} label="Hora de" />
    </section>
    <${Loaded} of=${loaded} lines=${4}>${(data) => html`<${Looked} ...${{ file, data, dialect, zone, columns: columns ?? (data.header && guess(data.header)), setColumns }} />`}<//>`;
}

/** What was found in the file: how to read its columns, its first rows, and what to do with them. */
function Looked({ file, data, dialect, zone, columns, setColumns }) {
  if (data.workbook) return html`<div class="alert" role="alert">Es un libro de Excel. Ábralo, elija Archivo, Guardar como, «CSV (delimitado por comas)», y traiga ese archivo.</div>`;
  const ours = isJson(file) || isOurs(data.header);
  if (!ours && !data.header.length) return html`<div class="alert" role="alert">El archivo no tiene filas.</div>`;
  const small = ours || file.size <= MOST_REWRITTEN;
  return html`
    ${!ours && html`<${ColumnPicker} header=${data.header} columns=${columns} onChange=${setColumns} />`}
    ${columns.venta < 0 && html`<div class="alert" role="alert">Falta saber qué columna es el importe${ours ? "" : ": elíjala arriba"}.</div>`}
    ${!small && html`<div class="alert" role="alert">Es un archivo muy grande: llame a sus columnas venta, ventas_productos y creacion, y deje solo esas.</div>`}
    ${columns.venta >= 0 && small && html`
      <${Preview} ...${{ ...data, dialect, columns, ours }} />
      <${Upload} ...${{ file, zone, dialect: { ...dialect, charset: data.charset }, rows: data.lines, columns: ours ? null : columns }} />`}`;
}

function Choice({ label, options, value, ...select }) {
  return html`<label class="field"><span>${label}</span><select ...${select}>
    ${Object.entries(options).map(([each, name]) => html`<option value=${each} selected=${each === value}>${name}</option>`)}</select></label>`;
}

function Preview({ header, rows, lines, whole, dialect, columns, ours }) {
  const names = kept(columns);
  const shown = rows.map((row) => ({ wrong: ours ? null : fault(row, header, columns), cells: names.map((name) => [name, cell(row.cells, columns[name])]) }));
  const clear = shown.every(({ wrong, cells }) => !wrong && cells.every(([name, text]) => readCell(name, text, dialect) !== null));
  return html`<section class="card matter preview" aria-label="Vista previa">
    <h2>Así se leerán las primeras filas</h2>
    <p class="soft small">${whole ? "" : "Unas "}${plural(Math.max(0, lines), "fila")} en total.${clear ? "" : " Lo que no se entiende está marcado."}</p>
    <div class="scroll tall" tabindex="0" role="group" aria-label="Primeras filas"><table>
      <thead><tr>${names.map((name) => html`<th scope="col" class=${name === "creacion" ? "" : "number"}>${NAMES[name]}</th>`)}</tr></thead>
      <tbody>${shown.map(({ wrong, cells }) => html`<tr>${wrong
        ? html`<td class="error" colspan=${names.length}>${NAMES[wrong.campo]} ${wrong.mensaje}</td>`
        : cells.map(([name, text]) => html`<${Cell} ...${{ name, text, dialect }} />`)}</tr>`)}</tbody>
    </table></div>
  </section>`;
}

function Cell({ name, text, dialect }) {
  const side = name === "creacion" ? "" : "number";
  const read = readCell(name, text, dialect);
  return read === null ? html`<td class="${side} error">«${text.slice(0, 60)}» <span class="small">no se entiende</span></td>` : html`<td class=${side}>${read}</td>`;
}

function readCell(name, text, dialect) {
  if (name === "venta") {
    const cents = amount(text, dialect.decimal);
    return cents === null ? null : `${sign()} ${money(cents)}`;
  }
  if (name === "creacion") {
    if (!text) return "ahora";
    const read = date(text, dialect.fecha);
    return read && `${day(read.plain)} ${read.time}`;
  }
  const read = quantity(text, dialect.decimal);
  return read === null ? null : count(read);
}

function Upload({ file, dialect, zone, rows, columns }) {
  const [state, setState] = useState(null); // { sent, size, began } while it goes; then { done } or { problem }
  const request = useRef(null);
  const key = useRef(newKey());
  useEffect(() => () => request.current?.abort(), []);
  useEffect(() => setState(null), [JSON.stringify([dialect, columns]), zone]);

  async function begin(simular) {
    key.current = simular || state?.simular !== false ? newKey() : key.current;
    const began = performance.now();
    request.current = new AbortController();
    setState({ simular, sent: 0, size: file.size, began });
    try {
      const body = columns ? await rewritten(file, dialect.charset, columns) : file;
      const media = isJson(file) ? MEDIA.ndjson : `${MEDIA.csv}; charset=${columns ? "utf-8" : dialect.charset}`;
      const query = isJson(file) ? {} : { decimal: dialect.decimal, fecha: dialect.fecha };
      const onSent = (sent) => setState({ simular, sent, size: body.size, began });
      const done = await upload({ body, media, query: { ...query, simular: simular || null, zona: zone }, key: key.current, signal: request.current.signal, onSent });
      setState({ simular, done });
    } catch (problem) {
      const changed = await file.slice(0, 1).arrayBuffer().then(() => false, () => true);
      setState({ simular, problem: changed ? new Problem(0, { detail: "El archivo cambió después de elegirlo; elíjalo otra vez" }) : told(problem) });
    }
  }

  if (state?.sent !== undefined) return html`<${Progress} ...${state} rows=${rows} onCancel=${() => request.current?.abort()} />`;
  return html`
    ${state?.problem && html`<${Faults} problem=${state.problem} />`}
    ${state?.done && html`<div class="note" role="status">${state.simular
      ? html`<b>La planilla está bien: ${plural(state.done.filas, "venta")}.</b> No se guardó nada todavía.`
      : html`<b>${state.done.respuesta}:</b> ${count(state.done.filas)}. <a href="#/ventas">Ver las ventas</a>`}</div>`}
    ${(!state?.done || state.simular) && html`<div class="actions">
      <button type="button" onClick=${() => begin(true)}>Comprobar sin guardar</button>
      <button type="button" class="primary" onClick=${() => begin(false)}>Importar</button>
    </div>`}`;
}

function Progress({ sent, size, began, simular, rows, onCancel }) {
  const share = size ? sent / size : 1;
  const seconds = (performance.now() - began) / 1000;
  const left = share > 0 && share < 1 ? duration((seconds / share) * (1 - share)) : null;
  return html`<div class="card progress" role="status">
    <p class="strong">${simular ? "Comprobando" : "Importando"}…</p>
    <progress aria-label="Filas enviadas" max="1" value=${share}></progress>
    <p>${share < 1 ? `Unas ${count(Math.floor(share * rows))} de ${count(rows)} filas` : "Enviado; el servicio termina de leerlas"}${left && `; faltan ${left}`}</p>
    <div class="actions"><button type="button" onClick=${onCancel}>Cancelar</button></div>
  </div>`;
}

/** Each wrong line with what is wrong in it. */
function Faults({ problem }) {
  const faults = (problem.body.errores ?? []).filter(({ linea }) => linea !== undefined);
  if (!faults.length) return html`<${Alert} problem=${problem} fields=${{ elements: {} }} />`;
  return html`<section aria-label="Errores" class="alert" role="alert">
    <p><b>No se guardó nada.</b> ${faults.length >= 100 ? "Los primeros 100 errores" : faults.length === 1 ? "Hay un error" : `Hay ${faults.length} errores`}; corríjalos en la planilla y elíjala otra vez.</p>
    <div class="scroll" tabindex="0" role="group" aria-label="Errores por línea"><table>
      <thead><tr><th scope="col" class="number">Línea</th><th scope="col">Columna</th><th scope="col">Qué pasa</th></tr></thead>
      <tbody>${faults.map(({ linea, campo, mensaje }) => html`<tr><td class="number">${linea}</td><td>${NAMES[campo] ?? campo}</td><td>${inWords(mensaje)}</td></tr>`)}</tbody>
    </table></div>
  </section>`;
}

/** What the API says of its parameters, as what they are called here: "se lee con decimal=punto". */
const inWords = (text) =>
  text.replace(/se lee con (\w+)=([\w-]+)/u, (said, name, value) => (OPTIONS[name]?.[value] ? `arriba, elija «${OPTIONS[name][value]}»` : said));

const cancelled = (perhaps) =>
  new Problem(0, {
    codigo: "cancelado",
    detail: perhaps
      ? "Se canceló cuando todo estaba enviado: quizá ya se guardó. Pulse «Importar» otra vez para saberlo; no se guardará dos veces"
      : "Se canceló; no se guardó nada",
  });

/** XMLHttpRequest, since fetch does not say how much of a body has left. */
async function upload({ body, media, query, key, signal, onSent }) {
  const access = token() ?? (await renew(null));
  if (signal.aborted) throw cancelled(false);
  if (!access) throw new Problem(401, { detail: "Su sesión terminó: inicie sesión otra vez" });
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    let whole = false; // all of it left, so that the sales may be kept already
    signal.onabort = () => sent.abort();
    sent.open("POST", address("venta/importar", query));
    sent.setRequestHeader("Authorization", `Bearer ${access}`);
    sent.setRequestHeader("Content-Type", media);
    sent.setRequestHeader("Idempotency-Key", key);
    sent.upload.onprogress = ({ loaded }) => onSent(loaded);
    sent.upload.onload = () => (whole = true);
    sent.onabort = () => reject(cancelled(whole && !query.simular));
    sent.onerror = () => reject(offline());
    sent.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(sent.responseText);
      } catch {
        // told below as something unexpected
      }
      if (sent.status < 300) resolve(answer);
      else reject(new Problem(sent.status, answer, Number(sent.getResponseHeader("retry-after")) || null));
    };
    sent.send(body);
  });
}
