// Sums by user, the best sellers first, for an admin.
import { get } from "./api.js";
import { count, plural } from "./format.js";
import { html, useMemo } from "./html.js";
import { Empty, Loaded, useLoad } from "./parts.js";
import { nameOf } from "./people.js";
import { inWords, NAMES, span } from "./periods.js";
import { priced, usePreferences } from "./preferences.js";
import { go, link } from "./router.js";
import { Segments } from "./segments.js";

const MOST = 200;
const LONG = 10 ** 10; // cents that may take two lines on a phone

export function Sellers({ query }) {
  const { zone } = usePreferences();
  const period = query.periodo in NAMES && query.periodo !== "elegir" ? query.periodo : "mes";
  const chosen = useMemo(() => span(period, zone), [period, zone]);
  const { desde, hasta } = chosen;
  const loaded = useLoad((signal) => best({ por: "usuario", desde, hasta, zona: zone }, { signal }), [desde, hasta, zone]);
  const { elegir: _, ...names } = NAMES;
  return html`
    <header class="title"><h1 tabindex="-1">Vendedores</h1></header>
    <${Segments} legend="Período" value=${period} options=${names} onChange=${(periodo) => go("vendedores", { periodo })} />
    <p class="soft small">Quiénes vendieron más, del ${inWords(chosen)}.</p>
    <section aria-label="Vendedores"><${Loaded} of=${loaded} lines=${6}>${(rows) => html`<${Ranking} rows=${rows} period=${period} />`}<//></section>`;
}

/** Who sold most comes first; an API that does not put them in order is asked for all of them. */
async function best(query, options) {
  try {
    return (await get("venta/resumen", { ...query, orden: "importe", limit: MOST }, options)).body;
  } catch (problem) {
    if (!problem.fields?.orden && !problem.fields?.limit) throw problem;
    const { body } = await get("venta/resumen", query, options);
    return body.toSorted((a, b) => Number(b.importe) - Number(a.importe)).slice(0, MOST);
  }
}

function Ranking({ rows, period }) {
  if (!rows.length) return html`<${Empty} title="Nadie vendió en este período" />`;
  const most = Math.max(1, ...rows.map(({ importe }) => Number(importe)));
  return html`
    <table class="list">
      <thead><tr><th scope="col" class="number">#</th><th scope="col">Vendedor</th><th scope="col" class="number">Importe</th><th scope="col" class="number desk">Ventas</th><th scope="col" class="number desk">Productos</th></tr></thead>
      <tbody>${rows.map((row, n) => html`<tr key=${row.usuario_id}>
        <td class="number soft rank">${n + 1}</td>
        <td class="name"><a href=${link("ventas", { usuario: row.usuario_id, periodo: period })}><${Seller} id=${row.usuario_id} /></a>
          <progress aria-label="Parte del mayor importe" max=${most} value=${Number(row.importe)}></progress></td>
        <td class="number strong ${Number(row.importe) >= LONG ? "long" : ""}">${priced(row.importe)}<span class="soft small phone">${plural(row.ventas, "venta")}</span></td>
        <td class="number desk">${count(row.ventas)}</td>
        <td class="number desk">${count(row.productos)}</td>
      </tr>`)}</tbody>
    </table>
    ${rows.length === MOST && html`<p class="soft small">Los ${count(MOST)} que más vendieron.</p>`}`;
}

function Seller({ id }) {
  const { data } = useLoad(() => nameOf(id), [id]);
  return data ?? `Usuario ${id}`;
}
