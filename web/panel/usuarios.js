// Users, for an admin: who they are, what they may do, and why one of them cannot get in.
import { call, get } from "./api.js";
import { describe } from "./auditoria.js";
import { ago } from "./format.js";
import { Field, Form } from "./forms.js";
import { html, useState } from "./html.js";
import { Alert, Dialog, Empty, Loaded, say, Skeleton, useLoad } from "./parts.js";
import { fullName } from "./people.js";
import { go, link } from "./router.js";
import { More, usePages } from "./ventas_lista.js";

const EVENTS = 120;
const FREE = { new: 20, known: 100 }; // wrong passwords from an address, before each has to wait: docs/accounts.md
const HOUR_MS = 3_600_000;
const FILTERS = { "": "Todos", admin: "Admins", bloqueados: "Bloqueados", sin: "Sin verificar" };
const AS_QUERY = { admin: { rol: "admin" }, bloqueados: { bloqueado: true }, sin: { estado: false } };

export function Users({ me, query }) {
  const [times, setTimes] = useState(0);
  const [opened, setOpened] = useState(null);
  const wanted = { q: query.q, ...AS_QUERY[query.cuales] };
  const { items, more, busy, problem, next } = usePages(wanted, times, "user/", withMarks);
  const set = (changes) => go("usuarios", { ...query, ...changes });
  return html`
    <header class="title"><h1 tabindex="-1">Usuarios</h1></header>
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label class="field grow"><span>Buscar</span><input type="search" value=${query.q} placeholder="Usuario, nombre, apellido o correo" onChange=${({ target }) => set({ q: target.value.trim() })} /></label>
      <label class="field"><span>Cuáles</span><select onChange=${({ target }) => set({ cuales: target.value })}>
        ${Object.entries(FILTERS).map(([value, name]) => html`<option value=${value} selected=${value === (query.cuales ?? "")}>${name}</option>`)}</select></label>
    </form>
    <section aria-label="Lista de usuarios">
      <table class="list">
        <thead><tr><th scope="col">Nombre</th><th scope="col" class="desk">Usuario</th><th scope="col" class="desk">Correo</th><th scope="col">Estado</th><th scope="col"><span class="hidden">Acciones</span></th></tr></thead>
        <tbody>${items.map((user) => html`<tr key=${user.id}>
          <td class="name"><b title=${fullName(user)}>${fullName(user)}</b><span class="soft small phone">${user.username}</span></td>
          <td class="name desk">${user.username}</td>
          <td class="name desk" title=${user.correo}>${user.correo}</td>
          <td><${Marks} user=${user} /></td>
          <td class="number tools"><button type="button" class="text" aria-label="Abrir a ${fullName(user)}, ${user.username}" onClick=${() => setOpened(user)}>Abrir</button></td>
        </tr>`)}</tbody>
      </table>
      ${problem && html`<${Alert} problem=${problem} again=${next} />`}
      ${!items.length && !busy && !problem && html`<${Empty} title="Nadie coincide"><p>Se busca por cómo empieza el usuario, el nombre, el apellido o el correo.</p><//>`}
      ${busy && html`<${Skeleton} lines=${items.length ? 1 : 5} />`}
      ${more && !busy && !problem && html`<${More} onReach=${next} />`}
    </section>
    ${opened && html`<${Person} user=${items.find(({ id }) => id === opened.id) ?? opened} me=${me} onClose=${() => setOpened(null)} onDone=${() => setTimes(times + 1)} />`}
  `;
}

/** The list says who users are; which of them are admins, blocked or not verified, the same list says when asked so. */
async function withMarks(users, query, options) {
  const which = async (filter) => new Set((await get("user/", { ...query, ...filter }, options)).body.map(({ id }) => id));
  const [admins, blocked, unverified] = await Promise.all([which({ rol: "admin" }), which({ bloqueado: true }), which({ estado: false })]);
  return users.map((user) => ({ ...user, admin: admins.has(user.id), blocked: blocked.has(user.id), verified: !unverified.has(user.id) }));
}

function Marks({ user }) {
  return html`<span class="marks">
    ${user.blocked && html`<span class="tag bad">bloqueado</span>`}
    ${user.admin && html`<span class="tag good">admin</span>`}
    ${!user.verified && html`<span class="tag warn">sin verificar</span>`}
    ${!user.blocked && !user.admin && user.verified && html`<span class="soft small">activo</span>`}
  </span>`;
}

const CHANGES = [
  { when: (user) => !user.blocked, name: "Bloquear", json: { bloqueado: true }, danger: true, asks: "No podrá entrar, y sus sesiones terminan en un segundo.", said: "bloqueado" },
  { when: (user) => user.blocked, name: "Desbloquear", json: { bloqueado: false }, asks: "Podrá entrar otra vez.", said: "desbloqueado" },
  { when: (user) => !user.admin, name: "Hacer admin", json: { rol: "admin" }, asks: "Podrá ver y cambiar todo, de todos.", said: "ahora es admin" },
  { when: (user) => user.admin, name: "Quitar de admin", json: { rol: "usuario" }, danger: true, asks: "Solo verá lo suyo.", said: "ya no es admin" },
  { when: (user) => !user.verified, name: "Dar por verificado", json: { estado: true }, asks: "Su correo contará como verificado.", said: "verificado" },
];

function Person({ user, me, onClose, onDone }) {
  const [asked, setAsked] = useState(null);
  const change = async () => {
    await call("PATCH", `user/${user.id}`, { json: asked.json });
    say(`${fullName(user)}: ${asked.said}`);
    setAsked(null);
    onDone();
  };
  return html`<${Dialog} title=${fullName(user)} wide onClose=${onClose}>
    <p class="wrap">${user.username} · ${user.correo} · id ${user.id}</p>
    <p><${Marks} user=${user} /></p>
    <div class="actions gap">
      <a class="button" href=${link("ventas", { usuario: user.id })}>Sus ventas</a>
      <a class="button" href=${link("auditoria", { afectado: user.id })}>Su auditoría</a>
      ${CHANGES.filter(({ when }) => when(user)).map((each) => html`<button type="button" class=${each.danger ? "danger" : ""} onClick=${() => setAsked(each)}>${each.name}</button>`)}
    </div>
    ${asked && html`<div class="note"><${Form} onSend=${change} submit="${asked.name} a ${user.username}" danger=${asked.danger} onCancel=${() => setAsked(null)} draft=${false}>
      <p>${asked.asks}${user.id === me.id ? " Es su propia cuenta." : ""}</p><//></div>`}
    <${RemoveFactor} user=${user} />
    <${Access} user=${user} />
  <//>`;
}

/** For who has lost the app and the recovery codes; the password is the admin's own. */
function RemoveFactor({ user }) {
  const [asking, setAsking] = useState(false);
  const remove = async (values) => {
    await call("DELETE", `user/${user.id}/factor`, { json: values });
    say("Segundo factor quitado");
    setAsking(false);
  };
  if (!asking) return html`<div class="actions gap"><button type="button" class="danger" onClick=${() => setAsking(true)}>Quitar su segundo factor…</button></div>`;
  return html`<div class="note"><${Form} onSend=${remove} submit="Quitar el segundo factor a ${user.username}" danger onCancel=${() => setAsking(false)} draft=${false}>
    <p>Quien perdió el teléfono y los códigos de recuperación entra otra vez con su contraseña sola. Asegúrese de que es quien dice ser.</p>
    <${Field} label="Su propia contraseña" name="password_actual" type="password" autocomplete="current-password" autofocus required />
  <//></div>`;
}

/** What the audit knows of this user's attempts to get in, and what it means. */
function Access({ user }) {
  const loaded = useLoad((signal) => get("auditoria", { afectado_id: user.id, limit: EVENTS }, { signal }), [user.id]);
  return html`<section aria-label="Accesos">
    <h3>¿Puede entrar?</h3>
    <${Loaded} of=${loaded} lines=${3}>${({ body }) => html`
      <p>${canEnter(user, body)}</p>
      ${body.length
        ? html`<ul class="rows small">${runs(body).map(({ event, times }) => html`<li><div><b>${describe(event)}</b>${" "}
            <span class="soft">${times > 1 && `${times} veces, la última `}${ago(event.creacion)}${event.direccion && `, desde ${event.direccion}`}</span></div></li>`)}</ul>`
        : html`<p class="soft">Sin registros.</p>`}`}<//>
  </section>`;
}

function canEnter(user, events) {
  const failed = events.filter(({ accion }) => accion === "login_fallido");
  const last = events.find(({ accion }) => accion === "login" || accion === "login_fallido");
  const reason = last?.despues?.motivo;
  if (user.blocked) return "No: un admin bloqueó la cuenta.";
  if (!user.verified && failed.some(({ despues }) => despues?.motivo === "cuenta_sin_verificar"))
    return "No: este servicio pide un correo verificado, y el suyo no lo está. Pídale que abra el enlace que recibió, o delo por verificado.";
  const wrong = failed.filter(({ despues, creacion }) => despues?.motivo === "credenciales_invalidas" && Date.now() - new Date(creacion) < HOUR_MS);
  const known = new Set(events.filter(({ accion }) => accion === "login").map(({ direccion }) => direccion));
  const waits = Object.entries(Object.groupBy(wrong, ({ direccion }) => direccion)).find(([from, all]) => all.length >= (known.has(from) ? FREE.known : FREE.new));
  if (waits)
    return `Quizás no por un rato: en la última hora hubo ${waits[1].length} intentos con otra contraseña desde ${waits[0] || "una dirección"}. Después de ${FREE.new} o, donde ya había entrado, de ${FREE.known}, hay que esperar antes de cada uno, 15 minutos como mucho.`;
  if (!user.verified) return "Sí, salvo que este servicio pida un correo verificado: el suyo no lo está.";
  return reason === "credenciales_invalidas" ? "Sí, con su contraseña; la última vez escribió otra." : "Sí, con su contraseña.";
}

/** Events of which those that say the same of the same address, one after the other, are one. */
function runs(events) {
  const found = [];
  for (const event of events) {
    const before = found.at(-1);
    if (before && describe(before.event) === describe(event) && before.event.direccion === event.direccion) before.times += 1;
    else found.push({ event, times: 1 });
  }
  return found;
}
