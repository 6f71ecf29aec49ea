// One sale: a new one, or a change of one that somebody else may change meanwhile.
import { call, get, Problem } from "./api.js";
import { cents, count, money } from "./format.js";
import { Field, Form } from "./forms.js";
import { html, useState } from "./html.js";
import { Dialog, Loaded, say, useLoad } from "./parts.js";
import { nameOf } from "./people.js";
import { priced } from "./preferences.js";

const MOST_PRODUCTS = 1_000_000;

function read({ venta, ventas_productos: products }) {
  const amount = cents(venta);
  const number = Number(products.replaceAll(".", "").trim());
  const wrong = {};
  if (amount === null) wrong.venta = "escriba el importe así: 1.500,50";
  if (!Number.isInteger(number) || number < 1 || number > MOST_PRODUCTS) wrong.ventas_productos = "un número entero de 1 a 1.000.000";
  if (Object.keys(wrong).length) throw Problem.fields(wrong);
  return { venta: amount, ventas_productos: number };
}

function Inputs({ sale }) {
  return html`
    <${Field} label="Importe" name="venta" inputmode="decimal" autocomplete="off" autofocus required value=${sale && money(sale.venta)} rule="Con coma para los centavos: 1.500,50" />
    <${Field} label="Productos" name="ventas_productos" inputmode="numeric" autocomplete="off" required value=${sale ? count(sale.ventas_productos) : "1"} rule="Cuántos productos se vendieron." />`;
}

export function SaleDialog({ sale, owner, onClose, onDone, onGone }) {
  return html`<${Dialog} title=${sale ? "Editar la venta" : "Nueva venta"} onClose=${onClose}>
    ${sale ? html`<${Edit} ...${{ sale, onClose, onDone, onGone }} />` : html`<${New} ...${{ owner, onClose, onDone }} />`}
  <//>`;
}

function New({ owner, onClose, onDone }) {
  const named = useLoad(async () => owner && nameOf(owner), [owner]);
  async function send(values, key) {
    const sold = read(values);
    await call("POST", "venta/", { json: owner ? { ...sold, usuario_id: Number(owner) } : sold, headers: { "Idempotency-Key": key } });
    say(`Venta de ${priced(sold.venta)} guardada`);
    onDone();
    onClose();
  }
  return html`<${Form} onSend=${send} submit="Guardar la venta" onCancel=${onClose}>
    ${owner && html`<p class="note">Se guarda entre las ventas de ${named.data ?? `el usuario ${owner}`}.</p>`}
    <${Inputs} />
  <//>`;
}

function Edit({ sale, onClose, onDone, onGone }) {
  const [theirs, setTheirs] = useState(null); // { sale, etag, mine }: somebody else changed it meanwhile
  const loaded = useLoad((signal) => get(`venta/${sale.id}`, {}, { signal }), [sale.id]);

  async function change(values, etag) {
    try {
      await call("PATCH", `venta/${sale.id}`, { json: values, headers: { "If-Match": etag } });
    } catch (problem) {
      if (problem.status === 404) onGone();
      if (problem.status !== 412) throw problem;
      const now = await get(`venta/${sale.id}`);
      setTheirs({ sale: now.body, etag: now.etag, mine: values });
      return;
    }
    say("Venta actualizada");
    onDone();
    onClose();
  }

  if (theirs) return html`<${Conflict} ...${theirs} onKeep=${() => change(theirs.mine, theirs.etag)} onClose=${() => (onDone(), onClose())} />`;
  return html`<${Loaded} of=${loaded}>${({ body, etag }) => html`
    <${Form} onSend=${(values) => change(read(values), etag)} submit="Guardar los cambios" onCancel=${onClose}><${Inputs} sale=${body} /><//>`}<//>`;
}

function Conflict({ sale, mine, onKeep, onClose }) {
  return html`
    <p class="note" role="alert">Otra persona cambió esta venta mientras usted la editaba. Nada se guardó todavía.</p>
    <table>
      <thead><tr><td></td><th scope="col" class="number">Ahora</th><th scope="col" class="number">Lo suyo</th></tr></thead>
      <tbody>
        <tr><th scope="row">Importe</th><td class="number">${priced(sale.venta)}</td><td class="number">${priced(mine.venta)}</td></tr>
        <tr><th scope="row">Productos</th><td class="number">${count(sale.ventas_productos)}</td><td class="number">${count(mine.ventas_productos)}</td></tr>
      </tbody>
    </table>
    <${Form} onSend=${onKeep} submit="Guardar lo mío" cancel="Dejarla como está" onCancel=${onClose} draft=${false} />`;
}
