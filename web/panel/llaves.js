// Keys for tills and scripts: made, shown once, listed, revoked.
import { call, Problem } from "./api.js";
import { ago, moment } from "./format.js";
import { Check, Field, Form } from "./forms.js";
import { html, useState } from "./html.js";
import { Alert, Empty, say, Skeleton } from "./parts.js";
import { plusMonths, today } from "./periods.js";
import { zone } from "./preferences.js";
import { More, usePages } from "./ventas_lista.js";

const SCOPES = { "ventas:leer": "Leer ventas", "ventas:crear": "Crear ventas" };

const over = (key) => new Date(key.expira) <= new Date();

export function Keys() {
  const [times, setTimes] = useState(0);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(null);
  const [removed, setRemoved] = useState(null);
  const { items, more, busy, problem, next } = usePages({}, times, "user/me/llaves");
  const reload = () => setTimes(times + 1);

  const make = async ({ nombre, expira, password_actual: password, ...scopes }, key) => {
    const ambitos = Object.keys(SCOPES).filter((scope) => scopes[scope]);
    if (!ambitos.length) throw Problem.fields({ ambitos: "elija qué puede hacer la llave" });
    const json = { nombre, ambitos, password_actual: password, ...(expira && { expira: `${expira}T23:59:59Z` }) };
    const { body } = await call("POST", "user/me/llaves", { json, headers: { "Idempotency-Key": key } });
    setMade(body);
    setMaking(false);
    reload();
  };
  const remove = async (values) => {
    await call("DELETE", `user/me/llaves/${removed.id}`, { json: values });
    say("Llave revocada");
    setRemoved(null);
    reload();
  };

  return html`<section class="card matter" aria-label="Llaves de API">
    <h2>Llaves de API</h2>
    <p class="soft">Para una caja o un programa que guarda o lee ventas sin su contraseña. Cada una se puede revocar sola.</p>
    ${made && html`<div class="note" role="status"><p><b>La llave está lista.</b> Cópiela ahora: no se vuelve a mostrar.</p><p><code class="secret-text">${made.llave}</code></p>
      <div class="actions"><button type="button" onClick=${() => navigator.clipboard?.writeText(made.llave).then(() => say("Copiada"))}>Copiar</button><button type="button" class="plain" onClick=${() => setMade(null)}>Ya la guardé</button></div></div>`}
    ${making
      ? html`<${Form} onSend=${make} submit="Crear la llave" onCancel=${() => setMaking(false)}>
          <${Field} label="Nombre" name="nombre" autocomplete="off" autofocus required rule="Para reconocerla: «Caja 2», «Planilla del contador»." />
          <fieldset class="plain-set"><legend>Puede</legend>${Object.entries(SCOPES).map(([scope, name]) => html`<${Check} label=${name} name=${scope} />`)}</fieldset>
          <${Field} label="Vence el" name="expira" type="date" min=${today(zone())} value=${plusMonths(today(zone()), 12)} required />
          <${Field} label="Contraseña actual" name="password_actual" type="password" autocomplete="current-password" required />
        <//>`
      : html`<div class="actions"><button type="button" class="primary" onClick=${() => setMaking(true)}>Nueva llave</button></div>`}
    <ul class="rows">
      ${items.map((key) => html`<li key=${key.id}>
        <div><p class="strong">${key.nombre}</p>
          <p class="soft small">${(key.ambitos ?? []).map((scope) => SCOPES[scope] ?? scope).join(", ")} · ${key.uso ? `usada ${ago(key.uso)}` : "sin usar"}${` · ${over(key) ? "venció" : "vence"} el ${moment(key.expira, zone())}`}</p></div>
        <button type="button" class="danger" aria-label="Revocar la llave ${key.nombre}" onClick=${() => setRemoved(key)}>Revocar…</button>
      </li>`)}
    </ul>
    ${removed && html`<${Form} onSend=${remove} submit="Revocar ${removed.nombre}" danger onCancel=${() => setRemoved(null)} draft=${false}>
      <${Field} label="Contraseña actual" name="password_actual" type="password" autocomplete="current-password" autofocus required /><//>`}
    ${!items.length && !busy && !problem && html`<${Empty} title="Todavía no hay llaves" />`}
    ${busy && html`<${Skeleton} lines=${2} />`}
    ${problem && html`<${Alert} problem=${problem} again=${next} />`}
    ${more && !busy && !problem && html`<${More} onReach=${next} />`}
  </section>`;
}
