// What this browser prefers: the shop's zone and the sign of its money. Kept here alone; the API is told with each call.
import { html, useEffect, useState } from "./html.js";
import { base } from "./session.js";
import { money } from "./format.js";

const PLACE = `ventas${base.pathname}`;
const listeners = new Set();

export const zone = () => localStorage.getItem(`${PLACE}zona`) ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";
export const sign = () => localStorage.getItem(`${PLACE}moneda`) ?? "$";
export const priced = (cents) => `${sign()}\u00a0${money(cents)}`.trim();

export function prefer(name, value) {
  localStorage.setItem(`${PLACE}${name}`, value);
  listeners.forEach((listener) => listener({}));
}

/** Draws the caller anew when a preference changes. */
export function usePreferences() {
  const [, redraw] = useState();
  useEffect(() => {
    listeners.add(redraw);
    return () => listeners.delete(redraw);
  }, []);
  return { zone: zone(), sign: sign() };
}

const COMMON = [
  "America/Argentina/Buenos_Aires", "America/Asuncion", "America/Bogota", "America/Caracas", "America/Costa_Rica", "America/El_Salvador",
  "America/Guatemala", "America/Guayaquil", "America/Havana", "America/La_Paz", "America/Lima", "America/Managua", "America/Mexico_City",
  "America/Montevideo", "America/Panama", "America/Puerto_Rico", "America/Santiago", "America/Santo_Domingo", "America/Tegucigalpa",
  "Atlantic/Canary", "Europe/Madrid",
];

export function zones() {
  const others = (Intl.supportedValuesOf?.("timeZone") ?? []).filter((name) => !COMMON.includes(name));
  return [...new Set([zone(), ...COMMON, ...others, "UTC"])];
}

export const zoneName = (name) => name.replaceAll("_", " ").split("/").reverse().join(", ");

export function ZonePicker({ label = "Zona horaria", name = "zona", value = zone(), onChange = (chosen) => prefer("zona", chosen) }) {
  return html`<label class="field">
    <span>${label}</span>
    <select name=${name} onChange=${(event) => onChange(event.target.value)}>
      ${zones().map((each) => html`<option value=${each} selected=${each === value}>${zoneName(each)}</option>`)}
    </select>
  </label>`;
}
