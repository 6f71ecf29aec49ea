// Before a session: log in, in one step or two; register; recover an account.
import { call, Problem } from "./api.js";
import { Check, Field, Form } from "./forms.js";
import { html, useState } from "./html.js";
import { begin, grant } from "./session.js";

const SECOND_STEP = "urn:ventas:params:oauth:grant-type:mfa-otp";
export const LEAST = Number(document.documentElement.dataset.passwordMin) || 8;
export const PASSWORD_RULE = `${LEAST} caracteres o más. Una frase larga es mejor que signos raros.`;

export function Access({ view, ended, username }) {
  return html`<main class="access" id="main">
    <div class="card">
      <p class="brand">Ventas</p>
      ${view === "registro" ? html`<${Register} />` : view === "olvide" ? html`<${Forgot} />` : html`<${Login} ended=${ended} username=${username} />`}
    </div>
  </main>`;
}

async function enter(fields, keep) {
  let answer;
  try {
    answer = await grant("login/", { ...fields, scope: "offline_access" });
  } catch {
    throw new Problem(0, { detail: "No hay conexión con el servicio; intente de nuevo" });
  }
  if (!answer.ok) throw await Problem.of(answer);
  begin(await answer.json(), keep);
}

export function Login({ ended, username }) {
  const [second, setSecond] = useState(null); // { token, keep }
  async function send({ username, password, keep }) {
    try {
      await enter({ username, password }, Boolean(keep));
    } catch (problem) {
      if (problem.body?.error !== "mfa_required") throw problem;
      setSecond({ token: problem.body.mfa_token, keep: Boolean(keep) });
    }
  }
  if (second) return html`<${SecondStep} ...${second} back=${() => setSecond(null)} />`;
  return html`
    <h1 tabindex="-1">Iniciar sesión</h1>
    ${ended && html`<p class="note">Su sesión terminó. ${username ? "Inicie sesión para seguir donde estaba." : "Inicie sesión otra vez."}</p>`}
    <${Form} onSend=${send} submit="Entrar" draft=${false}>
      <${Field} label="Usuario o correo" name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} value=${username} required />
      <${Field} label="Contraseña" name="password" type="password" autocomplete="current-password" required />
      <${Check} label="Seguir conectado en este equipo" name="keep" rule="Solo en un equipo suyo: quien lo use después entrará a su cuenta." />
    <//>
    <p><a href="#/olvide">Olvidé mi contraseña</a></p>
    <p>¿No tiene cuenta? <a href="#/registro">Regístrese</a></p>`;
}

function SecondStep({ token, keep, back }) {
  const [old, setOld] = useState(false); // too long ago, or the password was changed meanwhile
  const send = async ({ otp }) => {
    try {
      await enter({ grant_type: SECOND_STEP, mfa_token: token, otp }, keep);
    } catch (problem) {
      setOld(problem.codigo === "mfa_token_invalido");
      throw problem;
    }
  };
  return html`
    <h1 tabindex="-1">Segundo paso</h1>
    <${Form} onSend=${send} submit="Entrar" draft=${false} onCancel=${back} cancel=${old ? "Empezar de nuevo" : "Volver"}>
      <${Field} label="Código" name="otp" inputmode="text" autocomplete="one-time-code" autocapitalize="none" autofocus required
        rule="Los 6 números que muestra su aplicación ahora, o uno de sus códigos de recuperación." />
    <//>`;
}

function Register() {
  async function send({ repeat, direccion, ...person }) {
    const body = direccion ? { ...person, direccion } : person;
    await call("POST", "user/", { json: body, anonymous: true });
    await enter({ username: person.username, password: person.password }, false);
    location.hash = "#/ventas?nueva=cuenta";
  }
  return html`
    <h1 tabindex="-1">Crear una cuenta</h1>
    <p class="soft">Después le enviamos un correo para verificar su dirección; mientras tanto ya puede trabajar.</p>
    <${Form} onSend=${send} submit="Crear la cuenta">
      <div class="pair">
        <${Field} label="Nombre" name="nombre" autocomplete="given-name" required />
        <${Field} label="Apellido" name="apellido" autocomplete="family-name" required />
      </div>
      <${Field} label="Usuario" name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} required
        rule="De 1 a 50 caracteres, sin espacios ni @. Con él inicia sesión." />
      <${Field} label="Correo" name="correo" type="email" autocomplete="email" required rule="Por él recupera la cuenta si olvida la contraseña." />
      <${Field} label="Teléfono" name="telefono" type="tel" autocomplete="tel" required />
      <${Field} label="Dirección" name="direccion" autocomplete="street-address" required=${false} />
      <${Field} label="Contraseña" name="password" type="password" autocomplete="new-password" required rule=${PASSWORD_RULE} />
    <//>
    <p>¿Ya tiene cuenta? <a href="#/entrar">Inicie sesión</a></p>`;
}

function Forgot() {
  const [done, setDone] = useState("");
  async function send({ correo }) {
    const { body } = await call("POST", "login/recuperar", { json: { correo }, anonymous: true });
    setDone(body.respuesta);
  }
  return html`
    <h1 tabindex="-1">Recuperar la cuenta</h1>
    ${done
      ? html`<div role="status"><p class="note">${done}.</p>
          <p class="soft">El enlace abre una página para elegir otra contraseña. Si no llega en unos minutos, mire el correo no deseado.</p></div>`
      : html`<p class="soft">Le enviamos un enlace para elegir otra contraseña.</p>
          <${Form} onSend=${send} submit="Enviar el enlace" draft=${false}>
            <${Field} label="Correo de la cuenta" name="correo" type="email" autocomplete="email" required />
          <//>`}
    <p><a href="#/entrar">Volver a iniciar sesión</a></p>`;
}
