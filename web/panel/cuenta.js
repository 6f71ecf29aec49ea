// One's own account, a page for each matter.
import { call, get, Problem } from "./api.js";
import { PASSWORD_RULE } from "./access.js";
import { Field, Form } from "./forms.js";
import { html, useState } from "./html.js";
import { save } from "./exportar.js";
import { Factor } from "./factor.js";
import { Keys } from "./llaves.js";
import { Dialog, Loaded, say, useLoad } from "./parts.js";
import { prefer, sign, zone, ZonePicker } from "./preferences.js";
import { moment } from "./format.js";
import { ended } from "./session.js";
import { Sessions } from "./sesiones.js";

const MATTERS = {
  perfil: ["Perfil", Profile],
  seguridad: ["Contraseña y acceso", Security],
  sesiones: ["Sesiones", Sessions],
  llaves: ["Llaves de API", Keys],
  datos: ["Mis datos", Data],
};

export function Account({ me, path, reload }) {
  const matter = path[0] in MATTERS ? path[0] : "perfil";
  const View = MATTERS[matter][1];
  return html`
    <header class="title"><h1 tabindex="-1">Mi cuenta</h1></header>
    <nav class="tabs" aria-label="Mi cuenta">
      ${Object.entries(MATTERS).map(([name, [title]]) => html`<a href="#/cuenta/${name}" aria-current=${name === matter ? "page" : undefined}>${title}</a>`)}
    </nav>
    <${View} me=${me} reload=${reload} />`;
}

export const Matter = ({ title, children }) => html`<section class="card matter" aria-label=${title}><h2>${title}</h2>${children}</section>`;

function Profile({ me, reload }) {
  return html`
    <${Correo} me=${me} reload=${reload} />
    <${Matter} title="Datos personales"><${Person} reload=${reload} /><//>
    <${Matter} title="En este navegador">
      <div class="form">
        <${ZonePicker} label="Zona horaria de su negocio" />
        <label class="field"><span>Signo de la moneda</span>
          <select onChange=${({ target }) => prefer("moneda", target.value)}>
            ${["$", "€", "S/", "₡", "Q", "Bs", ""].map((each) => html`<option value=${each} selected=${each === sign()}>${each || "ninguno"}</option>`)}
          </select></label>
      </div>
    <//>`;
}

function Person({ reload }) {
  const loaded = useLoad((signal) => get("user/me", {}, { signal }), []);
  const send = async (values, etag) => {
    const changes = { ...values, direccion: values.direccion || null };
    await call("PATCH", "user/me", { json: changes, headers: { "If-Match": etag } });
    say("Datos guardados");
    reload();
    loaded.again();
  };
  return html`<${Loaded} of=${loaded}>${({ body, etag }) => html`
    <${Form} onSend=${(values) => send(values, etag)} submit="Guardar">
      <div class="pair">
        <${Field} label="Nombre" name="nombre" autocomplete="given-name" value=${body.nombre} required />
        <${Field} label="Apellido" name="apellido" autocomplete="family-name" value=${body.apellido} required />
      </div>
      <${Field} label="Usuario" name="username" autocomplete="username" autocapitalize="none" value=${body.username} required rule="De 1 a 50 caracteres, sin espacios ni @." />
      <${Field} label="Teléfono" name="telefono" type="tel" autocomplete="tel" value=${body.telefono} required />
      <${Field} label="Dirección" name="direccion" autocomplete="street-address" value=${body.direccion} required=${false} />
    <//>`}<//>`;
}

const Current = () => html`<${Field} label="Contraseña actual" name="password_actual" type="password" autocomplete="current-password" required />`;

function Correo({ me, reload }) {
  const [changing, setChanging] = useState(false);
  const verify = async () => {
    try {
      const { body } = await call("POST", "user/verificar/enviar");
      say(body.respuesta);
    } catch (problem) {
      say(problem.message);
    }
  };
  const send = async (values) => {
    await call("PATCH", "user/me", { json: values });
    say("Correo cambiado; avisamos al anterior");
    setChanging(false);
    reload();
  };
  return html`<${Matter} title="Correo">
    <p><b class="wrap">${me.correo}</b> ${me.estado ? html`<span class="tag good">verificado</span>` : html`<span class="tag warn">sin verificar</span>`}</p>
    ${changing
      ? html`<${Form} onSend=${send} submit="Cambiar el correo" onCancel=${() => setChanging(false)}>
          <${Field} label="Correo nuevo" name="correo" type="email" autocomplete="email" autofocus required rule="Le enviamos un enlace para verificarlo. Sus otras sesiones terminan, y avisamos al correo anterior." />
          <${Current} /><//>`
      : html`<div class="actions">
          <button type="button" onClick=${() => setChanging(true)}>Cambiar el correo</button>
          ${!me.estado && html`<button type="button" onClick=${verify}>Enviar otra vez el enlace para verificarlo</button>`}
        </div>`}
  <//>`;
}

function Security({ me }) {
  const [times, setTimes] = useState(0);
  const send = async (values) => {
    await call("PATCH", "user/me", { json: values });
    say("Contraseña cambiada; sus otras sesiones terminaron");
    setTimes(times + 1);
  };
  return html`
    <${Matter} title="Contraseña" key=${times}>
      <${Form} onSend=${send} submit="Cambiar la contraseña">
        <input class="hidden" name="" autocomplete="username" value=${me.username} tabindex="-1" aria-hidden="true" readonly />
        <${Current} />
        <${Field} label="Contraseña nueva" name="password" type="password" autocomplete="new-password" required rule="${PASSWORD_RULE} Sus otras sesiones terminan." />
      <//>
    <//>
    <${Factor} />`;
}

function Data({ me }) {
  const [asking, setAsking] = useState(false);
  const [failed, setFailed] = useState("");
  const download = async () => {
    try {
      const { body } = await get("user/me/datos");
      save(new Blob([JSON.stringify(body, null, 2)], { type: "application/json" }), "mis-datos.json");
      setFailed("");
    } catch (problem) {
      setFailed(problem.message);
    }
  };
  const remove = async ({ confirmo }) => {
    if (confirmo.trim() !== me.username) throw Problem.fields({ confirmo: "no es su usuario" });
    await call("DELETE", "user/me");
    ended("logout");
    say("Su cuenta fue eliminada");
  };
  return html`
    <${Matter} title="Descargar mis datos">
      <p class="soft">Todo lo que el servicio guarda sobre usted, en un archivo JSON. Sus ventas se descargan aparte, desde <a href="#/ventas">Ventas</a>, «Exportar». La cuenta es del ${moment(me.creacion, zone())}.</p>
      ${failed && html`<p class="error" role="alert">${failed}</p>`}
      <div class="actions"><button type="button" onClick=${download}>Descargar mis datos</button></div>
    <//>
    <${Matter} title="Eliminar mi cuenta">
      <p class="soft">Se eliminan la cuenta y todas sus ventas. No se puede deshacer.</p>
      <div class="actions"><button type="button" class="danger" onClick=${() => setAsking(true)}>Eliminar mi cuenta…</button></div>
    <//>
    ${asking && html`<${Dialog} title="Eliminar la cuenta y sus ventas" onClose=${() => setAsking(false)}>
      <${Form} onSend=${remove} submit="Eliminar para siempre" danger onCancel=${() => setAsking(false)} draft=${false}>
        <${Field} label="Para confirmar, escriba su usuario: ${me.username}" name="confirmo" autocomplete="off" autocapitalize="none" required />
      <//><//>`}`;
}
