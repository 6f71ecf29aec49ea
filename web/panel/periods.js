// Spans of plain days ("2026-11-03"), as the calendar of a shop's zone has them, each with the span to compare it with.
import { day } from "./format.js";

export const NAMES = {
  hoy: "Hoy",
  d7: "7 días",
  d30: "30 días",
  mes: "Este mes",
  pasado: "Mes pasado",
  anio: "Este año",
  elegir: "Elegir fechas",
};

const DAY_MS = 86_400_000;
const text = (date) => date.toISOString().slice(0, 10);
const parse = (date) => new Date(`${date}T00:00:00Z`);

export const isDay = (date) => /^\d{4}-\d{2}-\d{2}$/u.test(date ?? "") && !Number.isNaN(+parse(date)) && text(parse(date)) === date;
export const plus = (date, days) => text(new Date(+parse(date) + days * DAY_MS));
export const days = (desde, hasta) => (parse(hasta) - parse(desde)) / DAY_MS + 1;

/** Today in a zone. */
export function today(zone) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format();
}

/** The same day of a month so many months later, or that month's last day. */
export function plusMonths(date, months) {
  const from = parse(date);
  const first = new Date(Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + months, 1));
  const last = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  first.setUTCDate(Math.min(from.getUTCDate(), last));
  return text(first);
}

/** { desde, hasta } of a name of NAMES, both days included, and { antes }, the span before it. */
export function span(name, zone, chosen = {}) {
  const now = today(zone);
  const month = `${now.slice(0, 8)}01`;
  switch (name) {
    case "hoy":
      return before(now, now);
    case "d7":
    case "d30":
      return before(plus(now, 1 - Number(name.slice(1))), now);
    case "pasado":
      return withMonths(plusMonths(month, -1), plus(month, -1), -1);
    case "anio":
      return withMonths(`${now.slice(0, 4)}-01-01`, now, -12);
    case "elegir":
      if (isDay(chosen.desde) && isDay(chosen.hasta) && chosen.desde <= chosen.hasta) return before(chosen.desde, chosen.hasta);
    // falls through
    default:
      return withMonths(month, now, -1);
  }
}

function before(desde, hasta) {
  const length = days(desde, hasta);
  return { desde, hasta, antes: { desde: plus(desde, -length), hasta: plus(desde, -1) } };
}

function withMonths(desde, hasta, months) {
  const ends = plus(hasta, 1).endsWith("-01"); // a whole month is compared with a whole month
  const last = ends ? plus(plusMonths(plus(hasta, 1), months), -1) : plusMonths(hasta, months);
  return { desde, hasta, antes: { desde: plusMonths(desde, months), hasta: last } };
}

export function inWords({ desde, hasta }) {
  return desde === hasta ? day(desde) : `${day(desde)} al ${day(hasta)}`;
}

/** Days, weeks or months: what draws a span in at most about 60 bars. */
export function stepFor({ desde, hasta }) {
  const length = days(desde, hasta);
  return length <= 62 ? "dia" : length <= 370 ? "semana" : "mes";
}
