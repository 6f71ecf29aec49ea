// Where the account is open: each session can be ended, and all but this one at once.
import { call } from "./api.js";
import { ago, moment } from "./format.js";
import { html, useState } from "./html.js";
import { Alert, Skeleton, say } from "./parts.js";
import { zone } from "./preferences.js";
import { More, usePages } from "./ventas_lista.js";

export function Sessions() {
  const [times, setTimes] = useState(0);
  const { items, more, busy, problem, next } = usePages({}, times, "login/sesiones");
  const end = async (path, said) => {
    try {
      await call("DELETE", path);
      say(said);
    } catch (failed) {
      say(failed.message);
    }
    setTimes(times + 1);
  };
  return html`<section class="card matter" aria-label="Sesiones">
    <h2>Dónde está abierta su cuenta</h2>
    <p class="soft">¿Perdió un teléfono, o no reconoce una sesión? Termínela aquí: deja de servir en un segundo. Después cambie la contraseña.</p>
    <ul class="rows">
      ${items.map((session) => html`<li key=${session.id}>
        <div>
          <p class="strong">${device(session.agente)} ${session.actual && html`<span class="tag good">esta</span>`}</p>
          <p class="soft small">${session.direccion || "dirección desconocida"} · usada ${ago(session.uso)} · abierta el ${moment(session.creacion, zone())}</p>
        </div>
        ${!session.actual && html`<button type="button" class="danger" aria-label="Terminar la sesión de ${device(session.agente)}, ${session.direccion}"
          onClick=${() => end(`login/sesiones/${session.id}`, "Sesión terminada")}>Terminar</button>`}
      </li>`)}
    </ul>
    ${busy && html`<${Skeleton} lines=${items.length ? 1 : 3} />`}
    ${problem && html`<${Alert} problem=${problem} again=${next} />`}
    ${more && !busy && !problem && html`<${More} onReach=${next} />`}
    ${items.length > 1 && html`<div class="actions"><button type="button" class="danger" onClick=${() => end("login/sesiones", "Las otras sesiones terminaron")}>Terminar todas las demás</button></div>`}
  </section>`;
}

const PROGRAMS = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"], ["curl/", "curl"], ["python", "Python"]];
const SYSTEMS = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS", "Mac"], ["Linux", "Linux"]];

/** A user agent in words: "Chrome en Android". */
export function device(agent) {
  const named = (list) => list.find(([mark]) => agent.includes(mark))?.[1];
  const [program, system] = [named(PROGRAMS), named(SYSTEMS)];
  if (!program && !system) return agent.slice(0, 40) || "Programa desconocido";
  return [program ?? "Un programa", system].filter(Boolean).join(" en ");
}
