import { html } from "./html.js";
export const Sellers = () => html`<h1 tabindex="-1">Pronto</h1>`;
