// The columns of a shop's own spreadsheet: which is which, and the file as the import wants it.
import { Problem } from "./api.js";
import { plural } from "./format.js";
import { html } from "./html.js";
import { COLUMNS, read } from "./planillas.js";

export const NAMES = { venta: "Importe", ventas_productos: "Productos", creacion: "Fecha", usuario_id: "Usuario", cuerpo: "La fila" };
const WORDS = {
  venta: ["importe", "total", "monto", "venta"],
  ventas_productos: ["productos", "cantidad", "unidades", "cant"],
  creacion: ["fecha", "dia"],
  usuario_id: [],
};
const PRICES = ["precio", "valor"]; // beside a quantity they may be those of one product: the person says
const OF_PRODUCTS = /unit|unidad|cantidad|producto/u; // "Total de unidades", "Importe unitario"
const MOST_FAULTS = 100;
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
  const find = (name, words = WORDS[name], others = null) => {
    const usual = names.map((each) => (COLUMNS.includes(each) || others?.test(each) ? "" : each));
    const tries = words.flatMap((word) => [usual.indexOf(word), usual.findIndex((each) => each.startsWith(word))]);
    return [names.indexOf(name), ...tries].find((at) => at !== NONE) ?? NONE;
  };
  const found = Object.fromEntries(COLUMNS.map((name) => [name, find(name)]));
  const venta = find("venta", [...WORDS.venta, ...(found.ventas_productos === NONE ? PRICES : [])], OF_PRODUCTS);
  return { ...found, venta: repeated(names, names[venta]) ? NONE : venta };
}

const repeated = (names, name) => names.indexOf(name) !== names.lastIndexOf(name);

/** Those of our columns that there will be: how many products is said by each sale. */
export const kept = (columns) => COLUMNS.filter((name) => columns[name] !== NONE || name === "ventas_productos");

export const cell = (cells, at) => (at === NONE ? "1" : cells[at] ?? "");

const quoted = (text) => (/[",;|\t\r\n]/u.test(text) ? `"${text.replace(/[\r\n]+/gu, " ").replaceAll('"', '""')}"` : text);

/** What is wrong in a record, though our columns alone would not show it: { campo, mensaje }, or undefined. */
export function fault({ cells, broken }, header, columns) {
  const found = cells.findLastIndex(Boolean) + 1;
  if (broken) return { campo: "cuerpo", mensaje: "tiene una comilla (\") sin su par" };
  if (found > header.length) return { campo: "cuerpo", mensaje: `debe tener ${plural(header.length, "columna")}, como la cabecera; tiene ${found}` };
  if (columns.creacion !== NONE && !cells[columns.creacion]) return { campo: "creacion", mensaje: "está vacía; complétela, o elija «La de ahora» para todas" };
}

/** The file with our columns alone, in UTF-8; each record stays on its line, so that an error names the right one. Throws a Problem. */
export async function rewritten(file, charset, columns) {
  const { declared = "", separator, rows } = await read(file, charset);
  const names = kept(columns);
  const text = [declared];
  const faults = [];
  let header = null;
  let linea = declared ? 2 : 1;
  for (const record of rows) {
    const { cells, lines } = record;
    if (cells.some(Boolean)) {
      const wrong = header && fault(record, header, columns);
      if (wrong) faults.push({ linea, ...wrong });
      text.push((header ? names.map((name) => quoted(cell(cells, columns[name]))) : names).join(separator));
      header ??= cells;
    }
    text.push("\n".repeat(lines));
    linea += lines;
  }
  if (faults.length) throw new Problem(422, { errores: faults.slice(0, MOST_FAULTS) });
  return new Blob([text.join("")]);
}

const titled = (header, at) => (header[at] ? `${header[at]}${repeated(header, header[at]) ? ` (columna ${at + 1})` : ""}` : `Columna ${at + 1}`);

export function ColumnPicker({ header, columns, onChange }) {
  return html`<section class="card" aria-label="Sus columnas">
    <p class="strong">¿Qué dice cada columna de su planilla?</p>
    <div class="filters">${Object.entries(REST).map(([name, rest]) => html`<label class="field"><span>${NAMES[name]}</span>
      <select name=${name} onChange=${({ target }) => onChange({ ...columns, [name]: Number(target.value) })}>
        <option value=${NONE} selected=${columns[name] === NONE}>${rest}</option>
        ${header.map((_, at) => html`<option value=${at} selected=${columns[name] === at}>${titled(header, at)}</option>`)}
      </select></label>`)}</div>
  </section>`;
}
