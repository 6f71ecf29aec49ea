// The login of this tab: an access token that a reload keeps and the tab's end forgets.
import { html, useState } from "../panel/html.js";

const PLACE = `ventas.docs${document.documentElement.dataset.base}`;

/** { token, username } of who logged in here, or null. */
export const login = () => JSON.parse(sessionStorage.getItem(PLACE) ?? "null");

export function LogIn({ base }) {
  const [who, setWho] = useState(login());
  const [wrong, setWrong] = useState("");

  async function send(event) {
    event.preventDefault();
    const fields = new FormData(event.target);
    setWrong("");
    try {
      const answer = await fetch(`${base}/login/`, { method: "POST", body: new URLSearchParams(fields), cache: "no-store" });
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.detail ?? body.error_description);
      sessionStorage.setItem(PLACE, JSON.stringify({ token: body.access_token, username: fields.get("username") }));
      setWho(login());
    } catch (error) {
      setWrong(error.message);
    }
  }

  function leave() {
    const { token } = login();
    sessionStorage.removeItem(PLACE);
    setWho(null);
    fetch(`${base}/login/revocar`, { method: "POST", body: new URLSearchParams({ token }) }).catch(() => {});
  }

  return html`<section class="card" aria-label="Su cuenta">
    <h2>Su cuenta</h2>
    ${who
      ? html`<p role="status">Las llamadas van como <b>${who.username}</b>.</p><div class="actions"><button type="button" onClick=${leave}>Salir</button></div>`
      : html`<form class="form pairs" onSubmit=${send}>
          <div class="field"><label for="docs-username">Usuario o correo</label><input id="docs-username" name="username" autocomplete="username" autocapitalize="none" required /></div>
          <div class="field"><label for="docs-password">Contraseña</label><input id="docs-password" name="password" type="password" autocomplete="current-password" required /></div>
          <div class="actions"><button class="primary">Entrar</button></div>
          ${wrong && html`<p class="error" role="alert">${wrong}</p>`}
        </form>`}
  </section>`;
}
