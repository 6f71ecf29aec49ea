// A few choices side by side, of which one holds: radio buttons that look like one control.
import { html } from "./html.js";

export function Segments({ legend, value, options, onChange }) {
  return html`<fieldset class="segments"><legend class="hidden">${legend}</legend>
    ${Object.entries(options).map(([each, name]) => html`<label><input type="radio" name=${legend} value=${each} checked=${each === value} onChange=${() => onChange(each)} /><span>${name}</span></label>`)}
  </fieldset>`;
}
