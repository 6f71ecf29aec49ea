// The first rows of a file of sales as the import reads them, to be looked at before it is sent.
export const SEPARATORS = { "": "Según la primera línea", ",": "Coma", ";": "Punto y coma", "\t": "Tabulador" };
export const CHARSETS = { "utf-8": "UTF-8", "windows-1252": "Windows (windows-1252)", "iso-8859-1": "ISO 8859-1" };
const SAMPLE_BYTES = 64 * 1024;
export const COLUMNS = ["venta", "ventas_productos", "creacion", "usuario_id"];

/** { header, rows, separator, lines }: cells as text; `lines` is how many rows the file has, about. */
export async function sample(file, charset, most = 8) {
  const buffer = new Uint8Array(await file.slice(0, SAMPLE_BYTES).arrayBuffer());
  const text = new TextDecoder(encoding(buffer, charset)).decode(buffer).replace(/^\uFEFF/u, "");
  const whole = file.size <= SAMPLE_BYTES;
  const sampled = text.split(/\r\n|\n|\r/u).filter((line) => line.replace(/[;,\t\s]/gu, ""));
  const lines = whole ? sampled.length : Math.round((sampled.length * file.size) / buffer.length);
  if (file.name.endsWith(".ndjson")) return { ...objects(sampled.slice(0, most)), lines };
  const named = /^sep=(.)\s*(?:\r\n|\n|\r)/u.exec(text);
  const separator = named?.[1] ?? guess(sampled[0] ?? "");
  const [header = [], ...rows] = table(named ? text.slice(named[0].length) : text, separator, most + 1);
  return { header: header.map((cell) => cell.trim().toLowerCase()), rows, separator, lines: lines - 1 - (named ? 1 : 0) };
}

function encoding([first, second], charset) {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return charset;
}

const guess = (header) => [";", "\t"].find((mark) => header.includes(mark)) ?? ",";

function table(text, separator, most) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const mark = text[at];
    if (quoted) {
      if (mark !== '"') cell += mark;
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else quoted = false;
    } else if (mark === '"' && !cell.trim()) {
      quoted = true;
      cell = "";
    } else if (mark === separator || mark === "\n" || mark === "\r") {
      row.push(cell.trim());
      cell = "";
      if (mark === separator) continue;
      if (row.some(Boolean)) rows.push(row);
      row = [];
    } else cell += mark;
  }
  if (cell || row.length) rows.push([...row, cell.trim()]);
  return rows.slice(0, most);
}

function objects(lines) {
  const found = lines.map((line) => {
    try {
      return JSON.parse(line);
    } catch {
      return {};
    }
  });
  const header = COLUMNS.filter((name) => found.some((each) => each && name in each));
  return { header, rows: found.map((each) => header.map((name) => String(each?.[name] ?? ""))), separator: "" };
}

/** A cell of `venta` in cents, or null: whole cents or, with `decimal` "coma" or "punto", units. */
export function amount(text, decimal) {
  if (!decimal) return /^\d+$/u.test(text) ? BigInt(text) : null;
  const [thousands, mark] = decimal === "coma" ? [".", ","] : [",", "."];
  const plain = text.replace(/[\s$€]/gu, "");
  const [units, fraction = "", ...more] = plain.split(mark);
  const grouped = units.split(thousands);
  const fits = grouped.length === 1 ? /^\d+$/u.test(units) : /^\d{1,3}$/u.test(grouped[0]) && grouped.slice(1).every((group) => /^\d{3}$/u.test(group));
  if (more.length || !fits || !/^\d{0,2}$/u.test(fraction)) return null;
  return BigInt(grouped.join("")) * 100n + BigInt(fraction.padEnd(2, "0"));
}

/** A cell of `creacion` as "2026-01-31" and its time, or null: RFC 3339 or, with `order` "dma" or "mda", 31/01/2026 22:15. */
export function date(text, order) {
  const [, first, second, year, time = ""] = /^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T](\d{1,2}:\d{2}(?::\d{2})?))?$/u.exec(text) ?? [];
  const [day, month] = order === "mda" ? [second, first] : [first, second];
  const plain = year && order ? `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}` : /^\d{4}-\d{2}-\d{2}/u.exec(text)?.[0];
  if (!plain || Number.isNaN(Date.parse(plain)) || new Date(plain).toISOString().slice(0, 10) !== plain) return null;
  return { plain, time: year ? time : text.slice(11, 16) };
}
