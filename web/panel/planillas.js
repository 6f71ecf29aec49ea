// A file of sales as the import reads it, to be looked at before it is sent.
export const CHARSETS = { "": "Automático", "utf-8": "UTF-8", "windows-1252": "Windows (windows-1252)", "iso-8859-1": "ISO 8859-1" };
export const COLUMNS = ["venta", "ventas_productos", "creacion", "usuario_id"];
const SAMPLE_BYTES = 64 * 1024;
const WORKBOOKS = [[0x50, 0x4b, 0x03, 0x04], [0xd0, 0xcf, 0x11, 0xe0]]; // how .xlsx and .xls begin

/** { header, rows, charset, lines, whole, workbook }: rows as `records` has them; `lines` is how many rows the file has, about unless `whole`. */
export async function sample(file, chosen, most = 8) {
  const buffer = new Uint8Array(await file.slice(0, SAMPLE_BYTES).arrayBuffer());
  if (WORKBOOKS.some((mark) => mark.every((byte, at) => byte === buffer[at]))) return { workbook: true };
  const charset = chosen || guessed(buffer);
  const text = new TextDecoder(encoding(buffer, charset)).decode(buffer);
  const whole = file.size <= SAMPLE_BYTES;
  const lines = text.split(/\r\n|\n|\r/u).filter((line) => line.trim());
  const about = (found) => (whole ? found : Math.round((found * file.size) / buffer.length));
  if (isJson(file)) return { ...objects(lines.slice(0, most)), charset, whole, lines: about(lines.length) };
  const { separator, body } = begins(text);
  const [{ cells: header } = { cells: [] }, ...rows] = [...records(body, separator)].filter(({ cells }) => cells.some(Boolean));
  return { header, rows: rows.slice(0, most), charset, whole, lines: about(rows.length) };
}

/** All of a file of cells: { declared, separator, rows }. */
export async function read(file, charset) {
  const buffer = new Uint8Array(await file.arrayBuffer());
  const { declared, separator, body } = begins(new TextDecoder(encoding(buffer, charset)).decode(buffer));
  return { declared: declared?.[0], separator, rows: records(body, separator) };
}

export const isJson = (file) => file.name.endsWith(".ndjson");

function encoding([first, second], charset) {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return charset;
}

/** UTF-8, or what Excel writes on Windows where it is not that. */
function guessed(buffer) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(buffer, { stream: true });
    return "utf-8";
  } catch {
    return "windows-1252";
  }
}

/** What separates the cells of a text; `declared` is its line that says so, and `body` what follows. */
function begins(text) {
  const declared = /^"?sep=([;,\t|])"?\s*?(?:\r\n|\n|\r)/iu.exec(text);
  const body = declared ? text.slice(declared[0].length) : text;
  const header = (body.split(/[\r\n]/u).find((line) => line.trim()) ?? "").replace(/"[^"]*"/gu, "");
  return { declared, body, separator: declared?.[1] ?? [";", "\t", ","].find((mark) => header.includes(mark)) ?? ";" };
}

/** Each record: its trimmed cells, how many lines it ends, and whether a quote in it is broken: not closed, or followed by more text. */
function* records(text, separator) {
  let record = { cells: [], lines: 0, broken: false };
  let cell = "";
  let quote = ""; // of this cell: none yet, "open" or "closed"
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    const ends = mark === "\n" || (mark === "\r" && text[at + 1] !== "\n");
    if (ends) record.lines += 1;
    if (quote === "open") {
      if (mark !== '"') cell += mark;
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else quote = "closed";
    } else if (mark === '"' && !quote && !cell.trim()) {
      [quote, cell] = ["open", ""];
    } else if (mark === separator || ends) {
      record.cells.push(cell.trim());
      [quote, cell] = ["", ""];
      if (!ends) continue;
      yield record;
      record = { cells: [], lines: 0, broken: false };
    } else {
      record.broken ||= quote === "closed" && Boolean(mark.trim());
      cell += mark;
    }
  }
  if (cell || record.cells.length) yield { cells: [...record.cells, cell.trim()], lines: record.lines + 1, broken: record.broken || quote === "open" };
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
  return { header, rows: found.map((each) => ({ cells: header.map((name) => String(each?.[name] ?? "")) })) };
}

const SPACES = " \u00a0\u2009\u202f";
const SIGN = String.raw`(?:[$€₡₲£]|S\/\.?|Bs\.?|Gs\.?|Q|L\.?|C\$|B\/\.?|RD\$|\$U)`;
const units = (group, mark) =>
  new RegExp(`^(?:${SIGN}[${SPACES}]*)?(\\d{1,16}|[1-9]\\d{0,2}([${group}${SPACES}])\\d{3}(?:\\2\\d{3}){0,4})(?:${mark}(\\d{1,2}))?(?:[${SPACES}]*${SIGN})?$`, "u");
const AMOUNTS = { coma: units(".", ","), punto: units(",", "\\.") };

/** A cell of `venta` in cents, or null: whole cents or, with `decimal` "coma" or "punto", units. */
export function amount(text, decimal) {
  if (!decimal) return /^\d+$/u.test(text) ? BigInt(text) : null;
  const [, whole, , cents = ""] = AMOUNTS[decimal].exec(text) ?? [];
  return whole ? BigInt(whole.replace(/\D/gu, "")) * 100n + BigInt(cents.padEnd(2, "0")) : null;
}

/** A cell of `ventas_productos`, or null: digits or, with `decimal`, grouped ones and a fraction of zeros too. */
export function quantity(text, decimal) {
  if (/^\d+$/u.test(text)) return Number(text);
  const cents = /^\d.*\d$/u.test(text) && decimal ? amount(text, decimal) : null;
  return cents !== null && cents % 100n === 0n ? Number(cents / 100n) : null;
}

const DATE = new RegExp(
  `^(\\d{1,2})([/.-])(\\d{1,2})\\2(\\d{4}|\\d{2})(?:(?:T|,? ) *(\\d{1,2}:\\d{2}(?::\\d{2})?(?:[.,]\\d{1,9})?(?:[${SPACES}]?[ap]\\.?[${SPACES}]?m\\.?)?(?: ?[+-]\\d{2}:?\\d{2})?))?$`,
  "iu",
);

/** A cell of `creacion` as "2026-01-31" and its time, or null: RFC 3339 or, with `order` "dma" or "mda", 31/01/2026 22:15. */
export function date(text, order) {
  const [, first, , second, year, time = ""] = DATE.exec(text) ?? [];
  const [day, month] = order === "mda" ? [second, first] : [first, second];
  const plain = year && order ? `${year.padStart(4, "20")}-${month.padStart(2, "0")}-${day.padStart(2, "0")}` : /^\d{4}-\d{2}-\d{2}/u.exec(text)?.[0];
  if (!plain || Number.isNaN(Date.parse(plain)) || new Date(plain).toISOString().slice(0, 10) !== plain) return null;
  return { plain, time: year ? time : text.slice(11, 16) };
}
