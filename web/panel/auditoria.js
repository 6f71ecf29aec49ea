import { html } from "./html.js";
export const Audit = () => html`<h1 tabindex="-1">Pronto</h1>`;
