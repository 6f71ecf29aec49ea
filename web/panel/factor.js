// The second factor: set up with a QR code, confirmed with a code, taken away with the password.
import { call, get } from "./api.js";
import { Field, Form } from "./forms.js";
import { html, useState } from "./html.js";
import { Loaded, say, useLoad } from "./parts.js";

export function Factor() {
  const loaded = useLoad((signal) => get("user/me/factor", {}, { signal }), []);
  const [step, setStep] = useState(null); // null, "ask", { enrolment }, { codes }, "remove"
  const done = () => {
    setStep(null);
    loaded.again();
  };
  return html`<section class="card matter" aria-label="Segundo factor">
    <h2>Segundo factor</h2>
    <p class="soft">Además de la contraseña, un código de su teléfono: quien le robe una no entra sin el otro. Al activarlo, sus otras sesiones terminan.</p>
    <${Loaded} of=${loaded} lines=${2}>${({ body }) => html`<${Step} ...${{ active: body.activo, body, step, setStep, done }} />`}<//>
  </section>`;
}

function Step({ active, body, step, setStep, done }) {
  if (step?.codes) return html`<${Codes} codes=${step.codes} done=${done} />`;
  if (step?.enrolment) return html`<${Enrol} enrolment=${step.enrolment} onCodes=${(codes) => setStep({ codes })} cancel=${done} />`;
  if (step === "ask") {
    const begin = async (values) => setStep({ enrolment: (await call("POST", "user/me/factor", { json: values })).body });
    return html`<${Form} onSend=${begin} submit="Seguir" onCancel=${() => setStep(null)} draft=${false}><${Password} /><//>`;
  }
  if (step === "remove") {
    const remove = async (values) => {
      await call("DELETE", "user/me/factor", { json: values });
      say("Segundo factor quitado");
      done();
    };
    return html`<${Form} onSend=${remove} submit="Quitar el segundo factor" danger onCancel=${() => setStep(null)} draft=${false}><${Password} /><//>`;
  }
  return active
    ? html`<p><span class="tag good">activo</span> ${body.codigos_restantes !== undefined && html`<span class="soft">Quedan ${body.codigos_restantes} códigos de recuperación.</span>`}</p>
        <div class="actions"><button type="button" class="danger" onClick=${() => setStep("remove")}>Quitarlo…</button></div>`
    : html`${body.requerido && html`<p class="note">Este servicio lo pide a los admins: hasta que lo active, su cuenta actúa como la de un usuario.</p>`}
      <div class="actions"><button type="button" onClick=${() => setStep("ask")}>Configurar el segundo factor</button></div>`;
}

const Password = () => html`<${Field} label="Contraseña actual" name="password_actual" type="password" autocomplete="current-password" required />`;

function Enrol({ enrolment, onCodes, cancel }) {
  const send = async ({ codigo }) => onCodes((await call("POST", "user/me/factor/confirmar", { json: { codigo: codigo.replace(/\s/gu, "") } })).body.codigos);
  return html`
    <p>1. Abra una aplicación de códigos (Google Authenticator, Aegis, 1Password…) y lea este dibujo.</p>
    <${Picture} svg=${enrolment.qr} />
    <p class="small soft">¿No puede? Escriba esta clave en la aplicación: <code>${enrolment.secreto}</code></p>
    <${Form} onSend=${send} submit="Activar" onCancel=${cancel} draft=${false}>
      <${Field} label="2. Código que muestra la aplicación" name="codigo" inputmode="numeric" autocomplete="one-time-code" required />
    <//>`;
}

/** The QR code as an image: an SVG in an <img> runs nothing. */
function Picture({ svg }) {
  if (!svg) return null;
  return html`<img class="qr" alt="Código QR del segundo factor" src=${svg.startsWith("data:") ? svg : `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`} />`;
}

function Codes({ codes, done }) {
  return html`
    <div class="note" role="status"><b>El segundo factor está activo.</b> Guarde estos códigos fuera de este teléfono: cada uno sirve una vez si lo pierde. No se vuelven a mostrar.</div>
    <ul class="codes">${codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>
    <div class="actions">
      <button type="button" onClick=${() => navigator.clipboard?.writeText(codes.join("\n")).then(() => say("Copiados"))}>Copiar</button>
      <button type="button" class="primary" onClick=${done}>Ya los guardé</button>
    </div>`;
}
