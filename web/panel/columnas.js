// The columns of a shop's own spreadsheet: which is which, and the file as the import wants it.
import { html } from "./html.js";
import { COLUMNS, read } from "./planillas.js";

export const NAMES = { venta: "Importe", ventas_productos: "Productos", creacion: "Fecha", usuario_id: "Usuario" };
const WORDS = {
  venta: ["importe", "total", "monto", "venta", "precio", "valor"],
  ventas_productos: ["productos", "cantidad", "unidades", "cant"],
  creacion: ["fecha", "dia"],
  usuario_id: [],
};
const REST = { venta: "Elija cuál", ventas_productos: "1 en cada venta", creacion: "La de ahora" };
const NONE = -1;

const plain = (name) => name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Whether the import takes a header as it is. */
export const isOurs = (header) => {
  const names = header.slice(0, header.findLastIndex(Boolean) + 1).map(plain);
  return ["venta", "ventas_productos"].every((name) => names.includes(name)) && names.every((name) => [...COLUMNS, "id"].includes(name));
};

/** Which column of a header each of ours is, or NONE: by its own name, or else by a usual one or how that begins. */
export function guess(header) {
  const names = header.map(plain);
  const find = (name) => {
    const usual = names.map((each) => (COLUMNS.includes(each) ? "" : each));
    const tries = WORDS[name].flatMap((word) => [usual.indexOf(word), usual.findIndex((each) => each.startsWith(word))]);
    return [names.indexOf(name), ...tries].find((at) => at !== NONE) ?? NONE;
  };
  return Object.fromEntries(COLUMNS.map((name) => [name, find(name)]));
}

/** Those of our columns that there will be: how many products is said by each sale. */
export const kept = (columns) => COLUMNS.filter((name) => columns[name] !== NONE || name === "ventas_productos");

export const cell = (cells, at) => (at === NONE ? "1" : cells[at] ?? "");

const quoted = (text) => (/[",;|\t\r\n]/u.test(text) ? `"${text.replace(/[\r\n]+/gu, " ").replaceAll('"', '""')}"` : text);

/** The file with our columns alone, in UTF-8; each record stays on its line, so that an error names the right one. */
export async function rewritten(file, charset, columns) {
  const { declared = "", separator, rows } = await read(file, charset);
  const names = kept(columns);
  const text = [declared];
  let header = true;
  for (const { cells, lines } of rows) {
    if (cells.some(Boolean)) {
      text.push((header ? names : names.map((name) => quoted(cell(cells, columns[name])))).join(separator));
      header = false;
    }
    text.push("\n".repeat(lines));
  }
  return new Blob([text.join("")]);
}

export function ColumnPicker({ header, columns, onChange }) {
  return html`<section class="card" aria-label="Sus columnas">
    <p class="strong">¿Qué dice cada columna de su planilla?</p>
    <div class="filters">${Object.entries(REST).map(([name, rest]) => html`<label class="field"><span>${NAMES[name]}</span>
      <select name=${name} onChange=${({ target }) => onChange({ ...columns, [name]: Number(target.value) })}>
        <option value=${NONE} selected=${columns[name] === NONE}>${rest}</option>
        ${header.map((title, at) => html`<option value=${at} selected=${columns[name] === at}>${title || `Columna ${at + 1}`}</option>`)}
      </select></label>`)}</div>
  </section>`;
}
