import { html } from "./html.js";
export const Import = () => html`<h1 tabindex="-1">Pronto</h1>`;
