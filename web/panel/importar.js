// A file of sales: chosen or dropped, looked at, checked, sent.
import { address, newKey, offline, Problem } from "./api.js";
import { bytes, count, day, duration, money } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Alert, Icon, Loaded, told, useLoad } from "./parts.js";
import { amount, CHARSETS, COLUMNS, date, sample } from "./planillas.js";
import { sign, usePreferences, ZonePicker } from "./preferences.js";
import { renew, token } from "./session.js";

const MEDIA = { ndjson: "application/x-ndjson", csv: "text/csv" };
const NAMES = { venta: "Importe", ventas_productos: "Productos", creacion: "Fecha", usuario_id: "Usuario" };

export function Import() {
  const { zone } = usePreferences();
  const [file, setFile] = useState(null);
  const [dialect, setDialect] = useState({ decimal: "coma", fecha: "dma", charset: "utf-8" });
  const [over, setOver] = useState(false);
  const choose = ([chosen]) => chosen && setFile(chosen);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    choose(event.dataTransfer.files);
  };
  return html`
    <header class="title"><h1 tabindex="-1">Importar ventas</h1></header>
    <p class="soft">Una planilla guardada como CSV, con una columna <code>venta</code> (el importe) y otra <code>ventas_productos</code> (cuántos productos); si quiere,
      también <code>creacion</code> (la fecha). Entran todas las filas, o ninguna.</p>
    <label class="drop ${over ? "over" : ""}" onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      <input type="file" class="hidden" accept=".csv,.txt,.tsv,.ndjson,text/csv" onChange=${({ target }) => choose(target.files)} />
      <${Icon} name="up" />
      <span>${file ? html`<b>${file.name}</b> <span class="soft">${bytes(file.size)}</span>` : html`<b>Elija un archivo</b> o suéltelo aquí`}</span>
    </label>
    ${file && html`<${Chosen} key=${`${file.name}${file.lastModified}`} ...${{ file, dialect, setDialect, zone }} />`}
  `;
}

function Chosen({ file, dialect, setDialect, zone }) {
  const loaded = useLoad(() => sample(file, dialect.charset), [file, dialect.charset]);
  const set = ({ target }) => setDialect({ ...dialect, [target.name]: target.value });
  return html`
    <section class="card filters" aria-label="Cómo leer el archivo">
      <${Choice} label="Importes" name="decimal" value=${dialect.decimal} onChange=${set} options=${{ coma: "Con coma: 1.500,50", punto: "Con punto: 1,500.50", "": "En centavos: 150050" }} />
      <${Choice} label="Fechas" name="fecha" value=${dialect.fecha} onChange=${set} options=${{ dma: "Día/mes/año: 31/01/2026", mda: "Mes/día/año: 01/31/2026", "": "Año-mes-día: 2026-01-31" }} />
      <${Choice} label="Letras" name="charset" value=${dialect.charset} onChange=${set} options=${CHARSETS} />
      <${ZonePicker} label="Zona de las fechas" />
    </section>
    <${Loaded} of=${loaded} lines=${4}>${(data) => html`<${Preview} ...${{ ...data, dialect }} /><${Upload} ...${{ file, dialect, zone, rows: data.lines }} />`}<//>`;
}

function Choice({ label, options, value, ...select }) {
  return html`<label class="field"><span>${label}</span><select ...${select}>
    ${Object.entries(options).map(([each, name]) => html`<option value=${each} selected=${each === value}>${name}</option>`)}</select></label>`;
}

function Preview({ header, rows, lines, dialect }) {
  const columns = COLUMNS.filter((name) => header.includes(name));
  const missing = ["venta", "ventas_productos"].filter((name) => !header.includes(name));
  if (missing.length) {
    return html`<div class="alert" role="alert">La primera línea debe nombrar las columnas; falta ${missing.map((name, n) => html`${n > 0 && " y "}<code>${name}</code>`)}.
      Dice: ${header.slice(0, 6).join(", ") || "nada"}.</div>`;
  }
  return html`<section class="card matter preview" aria-label="Vista previa">
    <h2>Así se leerán las primeras filas</h2>
    <p class="soft small">Unas ${count(Math.max(0, lines))} filas en total. Lo que no se entiende está marcado.</p>
    <div class="scroll" tabindex="0" role="group" aria-label="Primeras filas"><table>
      <thead><tr>${columns.map((name) => html`<th scope="col" class=${name === "creacion" ? "" : "number"}>${NAMES[name]}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${columns.map((name) => html`<${Cell} name=${name} text=${row[header.indexOf(name)] ?? ""} dialect=${dialect} />`)}</tr>`)}</tbody>
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
  return /^\d+$/u.test(text) ? count(Number(text)) : null;
}

function Upload({ file, dialect, zone, rows }) {
  const [state, setState] = useState(null); // { sent, began } while it goes; then { done } or { problem }
  const request = useRef(null);
  const key = useRef(newKey());
  useEffect(() => () => request.current?.abort(), []);
  useEffect(() => setState(null), [dialect, zone]);

  async function begin(simular) {
    key.current = simular || state?.simular !== false ? newKey() : key.current;
    const began = performance.now();
    setState({ simular, sent: 0, began });
    try {
      const done = await upload({ file, dialect, zone, simular, key: key.current, request, onSent: (sent) => setState({ simular, sent, began }) });
      setState({ simular, done });
    } catch (problem) {
      setState({ simular, problem: told(problem) });
    }
  }

  if (state?.sent !== undefined) return html`<${Progress} ...${state} file=${file} rows=${rows} onCancel=${() => request.current?.abort()} />`;
  return html`
    ${state?.problem && html`<${Faults} problem=${state.problem} />`}
    ${state?.done && html`<div class="note" role="status"><b>${state.done.respuesta}.</b> ${count(state.done.filas)} filas.
      ${state.simular ? " No se guardó nada todavía." : html` <a href="#/ventas">Ver las ventas</a>`}</div>`}
    ${(!state?.done || state.simular) && html`<div class="actions">
      <button type="button" onClick=${() => begin(true)}>Comprobar sin guardar</button>
      <button type="button" class="primary" onClick=${() => begin(false)}>Importar</button>
    </div>`}`;
}

function Progress({ sent, began, simular, file, rows, onCancel }) {
  const share = file.size ? sent / file.size : 1;
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
      <tbody>${faults.map(({ linea, campo, mensaje }) => html`<tr><td class="number">${linea}</td><td>${campo}</td><td>${mensaje}</td></tr>`)}</tbody>
    </table></div>
  </section>`;
}

/** XMLHttpRequest, since fetch does not say how much of a body has left. */
async function upload({ file, dialect, zone, simular, key, request, onSent }) {
  const access = token() ?? (await renew(null));
  if (!access) throw new Problem(401, { detail: "Su sesión terminó: inicie sesión otra vez" });
  const { charset, decimal, fecha } = dialect;
  const ndjson = file.name.endsWith(".ndjson");
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    request.current = sent;
    sent.open("POST", address("venta/importar", ndjson ? { simular: simular || null, zona: zone } : { simular: simular || null, decimal, fecha, zona: zone }));
    sent.setRequestHeader("Authorization", `Bearer ${access}`);
    sent.setRequestHeader("Content-Type", ndjson ? MEDIA.ndjson : `${MEDIA.csv}; charset=${charset}`);
    sent.setRequestHeader("Idempotency-Key", key);
    sent.upload.onprogress = ({ loaded }) => onSent(loaded);
    sent.onabort = () => reject(new Problem(0, { codigo: "cancelado", detail: "Se canceló; no se guardó nada" }));
    sent.onerror = () => reject(offline());
    sent.onload = () => {
      let body = {};
      try {
        body = JSON.parse(sent.responseText);
      } catch {
        // told below as something unexpected
      }
      if (sent.status < 300) resolve(body);
      else reject(new Problem(sent.status, body, Number(sent.getResponseHeader("retry-after")) || null));
    };
    sent.send(file);
  });
}
