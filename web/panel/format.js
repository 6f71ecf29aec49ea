// How Spanish speakers write money, numbers and times; and how they type them.
const LOCALE = "es-AR";
const decimal = new Intl.NumberFormat(LOCALE, {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  useGrouping: "always",
});
const whole = new Intl.NumberFormat(LOCALE, { useGrouping: "always" });
const percent = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
const short = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });

export const MOST_CENTS = 10n ** 15n;

/** Cents (a number, or a text of digits where they pass 2^53) as units: 150050 → "1.500,50". */
export function money(cents) {
  const value = BigInt(cents);
  const fraction = String(value % 100n).padStart(2, "0");
  return decimal.format(`${value / 100n}.${fraction}`);
}

export const count = (value) => whole.format(value);
export const plural = (value, noun) => `${count(value)} ${noun}${Number(value) === 1 ? "" : "s"}`;
export const compact = (value) => short.format(value);

/** The change from `before` to `now` as a share, or null where there is nothing to compare with. */
export function change(now, before) {
  return Number(before) ? percent.format(Number(now) / Number(before) - 1) : null;
}

/** Typed units as cents: "1.500,50", "1500,5" and "$ 1.500" are understood; returns null for what is not clear. */
export function cents(text) {
  const typed = text.replace(/[\s$€]/gu, "");
  const parts = /^(\d+|\d{1,3}(?:\.\d{3})+)(?:,(\d{1,2}))?$/u.exec(typed);
  if (!parts) return null;
  const value = BigInt(parts[1].replaceAll(".", "")) * 100n + BigInt((parts[2] ?? "").padEnd(2, "0"));
  return value <= MOST_CENTS ? Number(value) : null;
}

const formats = new Map();
function formatter(options, zone) {
  const key = JSON.stringify([options, zone]);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(LOCALE, { ...options, timeZone: zone }));
  return formats.get(key);
}

const plain = (text) => text.replaceAll(" de ", " ");

/** A moment (RFC 3339) in a zone: "26 nov 2026, 14:05". */
export function moment(text, zone) {
  const options = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return plain(formatter(options, zone).format(new Date(text)));
}

/** The same without the time where that is midnight: of a sale whose file had a day alone. */
export const dayOrMoment = (text, zone) => moment(text, zone).replace(", 00:00", "");

/** How long ago a moment was: "hace 5 minutos". */
export function ago(text) {
  const seconds = (new Date(text) - Date.now()) / 1000;
  const relative = new Intl.RelativeTimeFormat("es", { numeric: "auto" });
  for (const [unit, size] of [["day", 86_400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "hace un momento";
}

/** A plain day, "2026-11-03", in words: "3 nov 2026"; `style` chooses how many. */
export function day(date, style = "short") {
  const options = {
    tick: { day: "numeric", month: "short" },
    month: { month: "short", year: "numeric" },
    short: { day: "numeric", month: "short", year: "numeric" },
    long: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
    longMonth: { month: "long", year: "numeric" },
  }[style];
  const text = formatter(options, "UTC").format(new Date(`${date}T00:00:00Z`));
  return style.startsWith("long") ? text : plain(text);
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.ceil((seconds % 3600) / 60)} min`;
}

export function bytes(size) {
  const [unit, by] = size < 1e6 ? ["kB", 1e3] : [size < 1e9 ? "MB" : "GB", size < 1e9 ? 1e6 : 1e9];
  return `${new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 }).format(size / by)} ${unit}`;
}
