import { html } from "./html.js";
export const Users = () => html`<h1 tabindex="-1">Pronto</h1>`;
