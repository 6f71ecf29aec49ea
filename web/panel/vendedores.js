// Sums by user, the best sellers first, for an admin.
import { count } from "./format.js";
import { html, useMemo } from "./html.js";
import { Alert, Empty, Skeleton, useLoad } from "./parts.js";
import { nameOf } from "./people.js";
import { inWords, NAMES, span } from "./periods.js";
import { priced, usePreferences } from "./preferences.js";
import { go, link } from "./router.js";
import { Segments } from "./segments.js";
import { More, usePages } from "./ventas_lista.js";

export function Sellers({ query }) {
  const { zone } = usePreferences();
  const period = query.periodo in NAMES && query.periodo !== "elegir" ? query.periodo : "mes";
  const chosen = useMemo(() => span(period, zone), [period, zone]);
  const { desde, hasta } = chosen;
  const { items, more, busy, problem, next } = usePages({ por: "usuario", orden: "importe", desde, hasta, zona: zone }, 0, "venta/resumen");
  const most = Math.max(1, ...items.map(({ importe }) => Number(importe)));
  const { elegir: _, ...names } = NAMES;
  return html`
    <header class="title"><h1 tabindex="-1">Vendedores</h1></header>
    <${Segments} legend="Período" value=${period} options=${names} onChange=${(periodo) => go("vendedores", { periodo })} />
    <p class="soft small">Quiénes vendieron más, del ${inWords(chosen)}.</p>
    <section aria-label="Vendedores">
      <table class="list">
        <thead><tr><th scope="col" class="number">#</th><th scope="col">Vendedor</th><th scope="col" class="number">Importe</th><th scope="col" class="number desk">Ventas</th><th scope="col" class="number desk">Productos</th></tr></thead>
        <tbody>${items.map((row, n) => html`<tr key=${row.usuario_id}>
          <td class="number soft">${n + 1}</td>
          <td class="name"><a href=${link("ventas", { usuario: row.usuario_id, periodo: period })}><${Seller} id=${row.usuario_id} /></a>
            <progress aria-label="Parte del mayor importe" max=${most} value=${Number(row.importe)}></progress></td>
          <td class="number strong">${priced(row.importe)}<span class="soft small phone">${count(row.ventas)} ventas</span></td>
          <td class="number desk">${count(row.ventas)}</td>
          <td class="number desk">${count(row.productos)}</td>
        </tr>`)}</tbody>
      </table>
      ${problem && html`<${Alert} problem=${problem} again=${next} />`}
      ${!items.length && !busy && !problem && html`<${Empty} title="Nadie vendió en este período" />`}
      ${busy && html`<${Skeleton} lines=${items.length ? 1 : 5} />`}
      ${more && !busy && !problem && html`<${More} onReach=${next} />`}
    </section>`;
}

function Seller({ id }) {
  const { data } = useLoad(() => nameOf(id), [id]);
  return data ?? `Usuario ${id}`;
}
