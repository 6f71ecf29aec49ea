// The audit, for an admin: who did what, to whom, when, from where.
import { moment } from "./format.js";
import { html } from "./html.js";
import { Alert, Empty, Skeleton, useLoad } from "./parts.js";
import { nameOf } from "./people.js";
import { usePreferences } from "./preferences.js";
import { isDay } from "./periods.js";
import { go } from "./router.js";
import { More, usePages } from "./ventas_lista.js";
import { device } from "./sesiones.js";

const ACTIONS = {
  login: "Entró",
  login_fallido: "No pudo entrar",
  factor_activado: "Activó el segundo factor",
  factor_quitado: "Se quitó el segundo factor",
  llave_creada: "Creó una llave de API",
  llave_revocada: "Se revocó una llave de API",
  refresh_repetido: "Un token ya usado volvió: la sesión terminó",
  sesion_terminada: "Terminó una sesión",
  usuario_creado: "Cuenta creada",
  usuario_actualizado: "Cuenta cambiada",
  usuario_eliminado: "Cuenta eliminada",
  correo_verificado: "Correo verificado",
  password_restablecido: "Contraseña restablecida",
  cambio_rechazado: "Cambio rechazado",
  admin_nombrado: "Nombrado admin",
  venta_actualizada: "Venta cambiada",
  venta_eliminada: "Venta eliminada",
};
const REASONS = {
  cuenta_bloqueada: "la cuenta está bloqueada",
  cuenta_sin_verificar: "el correo no está verificado",
  codigo_invalido: "el código del segundo paso no era válido; la contraseña sí",
  credenciales_invalidas: "la contraseña no era la suya",
  demasiados_intentos: "hubo demasiados intentos",
};

const CHANGED = { correo: "el correo", nombre: "el nombre", apellido: "el apellido", username: "el usuario", telefono: "el teléfono", direccion: "la dirección", password: "la contraseña" };

/** What a change did to an account, in words. */
function changed({ bloqueado, rol, estado, ...others }) {
  const words = [bloqueado === true && "bloqueada", bloqueado === false && "desbloqueada", rol && `ahora es ${rol}`, estado === true && "verificada", estado === false && "sin verificar"];
  return [...words, ...Object.keys(others).map((name) => CHANGED[name])].filter(Boolean).join(", ");
}

export function describe({ accion, despues }) {
  const reason = accion === "usuario_actualizado" ? changed(despues ?? {}) : REASONS[despues?.motivo ?? despues?.codigo ?? despues?.causa];
  return (ACTIONS[accion] ?? accion.replaceAll("_", " ")) + (reason ? `: ${reason}` : "");
}

export function Audit({ query }) {
  const { zone } = usePreferences();
  const set = (changes) => go("auditoria", { ...query, ...changes });
  const filters = { usuario_id: query.usuario, afectado_id: query.afectado, accion: query.accion, desde: query.desde, hasta: query.hasta, zona: zone };
  const { items, more, busy, problem, next } = usePages(filters, 0, "auditoria");
  const input = (label, name, type, extra = {}) => html`<label class="field"><span>${label}</span>
    <input type=${type} value=${query[name]} ...${extra} onChange=${({ target }) => (type !== "date" || !target.value || isDay(target.value)) && set({ [name]: target.value })} /></label>`;
  return html`
    <header class="title"><h1 tabindex="-1">Auditoría</h1></header>
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label class="field"><span>Qué</span><select onChange=${({ target }) => set({ accion: target.value })}>
        <option value="">Todo</option>
        ${Object.entries(ACTIONS).map(([value, name]) => html`<option value=${value} selected=${value === query.accion}>${name}</option>`)}</select></label>
      ${input("Por el usuario (id)", "usuario", "number", { min: 1 })}
      ${input("Al usuario (id)", "afectado", "number", { min: 1 })}
      ${input("Desde", "desde", "date")}
      ${input("Hasta", "hasta", "date")}
      ${Object.keys(query).length > 0 && html`<button type="button" class="plain" onClick=${() => go("auditoria")}>Quitar los filtros</button>`}
    </form>
    <section aria-label="Registros">
      <ul class="rows">${items.map((event) => html`<${Event} key=${event.id} event=${event} zone=${zone} />`)}</ul>
      ${problem && html`<${Alert} problem=${problem} again=${next} />`}
      ${!items.length && !busy && !problem && html`<${Empty} title="No hay registros con estos filtros" />`}
      ${busy && html`<${Skeleton} lines=${items.length ? 1 : 6} />`}
      ${more && !busy && !problem && html`<${More} onReach=${next} />`}
    </section>`;
}

function Event({ event, zone }) {
  const { antes, despues } = event;
  const details = { ...(antes && { antes }), ...(despues && { despues }), ...(event.peticion && { peticion: event.peticion }) };
  return html`<li>
    <div>
      <p><b>${describe(event)}</b></p>
      <p class="soft small">
        ${moment(event.creacion, zone)} · ${event.usuario_id === null ? "sin identificarse" : html`por <${Who} id=${event.usuario_id} />`}
        ${event.afectado_id !== null && event.afectado_id !== event.usuario_id && html`, a <${Who} id=${event.afectado_id} />`}
        ${event.direccion && ` · ${event.direccion}`}${event.agente && ` · ${device(event.agente)}`}
      </p>
      ${Object.keys(details).length > 0 && html`<details><summary>Detalle</summary><pre tabindex="0">${JSON.stringify(details, null, 2)}</pre></details>`}
    </div>
  </li>`;
}

function Who({ id }) {
  const { data } = useLoad(() => nameOf(id), [id]);
  return html`<a href="#/auditoria?afectado=${id}">${data ?? `usuario ${id}`}</a>`;
}
