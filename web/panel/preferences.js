// What this browser prefers: the shop's zone and the sign of its money. Kept here alone; the API is told with each call.
import { html, useEffect, useMemo, useState } from "./html.js";
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

const COMMON = {
  "America/Argentina/Buenos_Aires": "Argentina", "America/La_Paz": "Bolivia", "America/Santiago": "Chile", "America/Bogota": "Colombia",
  "America/Costa_Rica": "Costa Rica", "America/Havana": "Cuba", "America/Guayaquil": "Ecuador", "America/El_Salvador": "El Salvador",
  "Europe/Madrid": "España", "Atlantic/Canary": "España: Canarias", "America/Guatemala": "Guatemala", "America/Tegucigalpa": "Honduras",
  "America/Mexico_City": "México: Centro", "America/Cancun": "México: Cancún", "America/Tijuana": "México: Tijuana", "America/Managua": "Nicaragua",
  "America/Panama": "Panamá", "America/Asuncion": "Paraguay", "America/Lima": "Perú", "America/Puerto_Rico": "Puerto Rico",
  "America/Santo_Domingo": "República Dominicana", "America/Montevideo": "Uruguay", "America/Caracas": "Venezuela",
};

/** A zone's name as this browser writes it: one zone may have two, America/Buenos_Aires too. */
const own = (name) => new Intl.DateTimeFormat("es", { timeZone: name }).resolvedOptions().timeZone;
const otherName = (name) => name.replaceAll("_", " ").split("/").reverse().join(", ");

/** The zones that there are, by the words for them: first the countries that speak Spanish, then all others. */
function zones(chosen) {
  const common = new Map(Object.entries(COMMON).map(([name, words]) => [own(name), words]));
  const others = [...(Intl.supportedValuesOf?.("timeZone") ?? []), "UTC", chosen].filter((name) => !common.has(name));
  return { "Países": [...common], "Otras": [...new Set(others)].map((name) => [name, otherName(name)]) };
}

export function ZonePicker({ label = "Zona horaria", name = "zona", value = zone(), onChange = (chosen) => prefer("zona", chosen) }) {
  const chosen = own(value);
  const groups = useMemo(() => zones(chosen), []);
  return html`<label class="field">
    <span>${label}</span>
    <select name=${name} onChange=${(event) => onChange(event.target.value)}>
      ${Object.entries(groups).map(([group, names]) => html`<optgroup label=${group}>
        ${names.map(([each, words]) => html`<option value=${each} selected=${each === chosen}>${words}</option>`)}</optgroup>`)}
    </select>
  </label>`;
}
