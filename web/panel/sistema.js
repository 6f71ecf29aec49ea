import { html } from "./html.js";
export const System = () => html`<h1 tabindex="-1">Pronto</h1>`;
