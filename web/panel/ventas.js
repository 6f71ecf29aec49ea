// The sales: their sums, their chart, their list.
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { cents, change, compact, count, day, plural } from "./format.js";
import { html, useMemo, useState } from "./html.js";
import { ExportDialog } from "./exportar.js";
import { Alert, Icon, Loaded, useLoad } from "./parts.js";
import { inWords, isDay, NAMES, span, stepFor } from "./periods.js";
import { priced, usePreferences, ZonePicker } from "./preferences.js";
import { go } from "./router.js";
import { nameOf } from "./people.js";
import { Segments } from "./segments.js";
import { SaleDialog } from "./venta.js";
import { SalesList } from "./ventas_lista.js";

const STEPS = { dia: "Días", semana: "Semanas", mes: "Meses" };
const total = (rows, field) => rows.reduce((sum, row) => sum + BigInt(row[field]), 0n);

export function Sales({ me, query }) {
  const { zone } = usePreferences();
  const [dialog, setDialog] = useState(null);
  const [added, setAdded] = useState(0);
  const admin = me.rol === "admin";
  const period = query.periodo in NAMES ? query.periodo : "mes";
  const chosen = useMemo(() => span(period, zone, query), [period, zone, query.desde, query.hasta]);
  const whose = admin ? query.usuario ?? "" : "";
  const filters = { usuario_id: whose === "mias" ? me.id : whose, minimo: cents(query.minimo ?? ""), maximo: cents(query.maximo ?? "") };
  const reload = () => setAdded(added + 1);
  const set = (changes) => go("ventas", { ...query, ...changes });

  return html`
    <header class="title">
      <h1 tabindex="-1">Ventas</h1>
      <div class="actions">
        <button type="button" onClick=${() => setDialog("export")}><${Icon} name="down" />Exportar</button>
        <button type="button" class="primary" onClick=${() => setDialog("new")}><${Icon} name="plus" />Nueva venta</button>
      </div>
    </header>
    <${Filters} ...${{ query, period, chosen, admin, whose, set }} />
    <${Summary} ...${{ chosen, zone, filters, step: query.por, set, added }} key=${`${zone}`} />
    <${SalesList} ...${{ chosen, zone, filters, admin, added, changed: reload }} />
    ${dialog === "new" && html`<${SaleDialog} owner=${filters.usuario_id && filters.usuario_id !== me.id ? filters.usuario_id : null} onClose=${() => setDialog(null)} onDone=${reload} />`}
    ${dialog === "export" && html`<${ExportDialog} chosen=${chosen} filters=${filters} onClose=${() => setDialog(null)} />`}
  `;
}

function Filters({ query, period, chosen, admin, whose, set }) {
  const wrong = ["minimo", "maximo"].find((name) => query[name] && cents(query[name]) === null);
  return html`<section class="filters" aria-label="Filtros">
    <fieldset class="segments">
      <legend class="hidden">Período</legend>
      ${Object.entries(NAMES).map(
        ([value, name]) => html`<label><input type="radio" name="periodo" value=${value} checked=${value === period}
          onChange=${() => set(value === "elegir" ? { periodo: value, desde: chosen.desde, hasta: chosen.hasta } : { periodo: value, desde: null, hasta: null })} /><span>${name}</span></label>`,
      )}
    </fieldset>
    ${period === "elegir" && html`
      <label class="field"><span>Desde</span><input type="date" value=${chosen.desde} max=${chosen.hasta} onChange=${({ target }) => isDay(target.value) && set({ desde: target.value })} /></label>
      <label class="field"><span>Hasta</span><input type="date" value=${chosen.hasta} min=${chosen.desde} onChange=${({ target }) => isDay(target.value) && set({ hasta: target.value })} /></label>`}
    ${admin && html`<label class="field"><span>De quién</span>
      <select onChange=${({ target }) => set({ usuario: target.value })}>
        <option value="" selected=${whose === ""}>Todos</option>
        <option value="mias" selected=${whose === "mias"}>Mis ventas</option>
        ${whose && whose !== "mias" && html`<option value=${whose} selected><${Name} id=${whose} /></option>`}
      </select></label>`}
    <details class="more" open=${Boolean(query.minimo || query.maximo)}>
      <summary>Más filtros</summary>
      <div class="row">
        <label class="field"><span>Importe desde</span><input inputmode="decimal" size="10" value=${query.minimo} aria-invalid=${wrong === "minimo"} onChange=${({ target }) => set({ minimo: target.value })} /></label>
        <label class="field"><span>Importe hasta</span><input inputmode="decimal" size="10" value=${query.maximo} aria-invalid=${wrong === "maximo"} onChange=${({ target }) => set({ maximo: target.value })} /></label>
        <${ZonePicker} />
      </div>
      ${wrong && html`<p class="error" role="alert">Escriba el importe así: 1.500,50</p>`}
    </details>
  </section>`;
}

function Name({ id }) {
  const { data } = useLoad(() => nameOf(id), [id]);
  return data ?? `Usuario ${id}`;
}

function Summary({ chosen, zone, filters, step, set, added }) {
  const [field, setField] = useState("importe");
  const por = step in STEPS ? step : stepFor(chosen);
  const loaded = useLoad(
    async (signal) => {
      const sums = ({ desde, hasta }) => get("venta/resumen", { por, desde, hasta, zona: zone, usuario_id: filters.usuario_id }, { signal });
      const [now, before] = await Promise.all([sums(chosen), sums(chosen.antes)]);
      return { now: now.body, before: before.body, por, chosen };
    },
    [chosen, zone, por, filters.usuario_id, added],
  );
  return html`<section aria-label="Resumen">
    <${Loaded} of=${loaded} lines=${6}>${(data) => html`<${Sums} ...${data} /><${Bars} ...${{ ...data, field, setField, set }} />`}<//>
  </section>`;
}

function Sums({ now, before, chosen }) {
  const figures = [
    ["Importe", "importe", priced],
    ["Ventas", "ventas", count],
    ["Productos", "productos", count],
  ];
  const [amount, sales] = [total(now, "importe"), total(now, "ventas")];
  const [amountBefore, salesBefore] = [total(before, "importe"), total(before, "ventas")];
  const mean = (sum, number) => (number ? sum / number : 0n);
  return html`<dl class="sums">
    ${figures.map(([name, field, write]) => html`<${Figure} key=${field} name=${name} text=${write(total(now, field))} change=${change(total(now, field), total(before, field))} before=${write(total(before, field))} />`)}
    <${Figure} name="Importe por venta" text=${priced(mean(amount, sales))} change=${change(mean(amount, sales), mean(amountBefore, salesBefore))} before=${priced(mean(amountBefore, salesBefore))} />
    </dl>
    <p class="soft small">${inWords(chosen)}, frente al ${inWords(chosen.antes)}.</p>`;
}

function Figure({ name, text, change: changed, before }) {
  const tone = !changed || changed === "0%" ? "" : changed.startsWith("-") ? "less" : "more";
  return html`<div><dt>${name}</dt><dd class="strong">${text}</dd>
    <dd class="small change"><span class=${tone}>${changed ? `${tone === "more" ? "▲" : tone === "less" ? "▼" : ""} ${changed}` : ""}</span> <span class="soft">antes ${before}</span></dd></div>`;
}

const NAMED = {
  dia: (date) => [day(date, "long"), day(date, "tick")],
  semana: (date) => [`semana del ${day(date)}`, day(date, "tick")],
  mes: (date) => [day(date, "longMonth"), day(date, "month")],
};

function Bars({ now, before, por, field, setField, set }) {
  const bars = now.map((row, n) => {
    const date = String(row.periodo).slice(0, 10);
    const [name, label] = NAMED[por](date);
    const was = before[n];
    const lines = [priced(row.importe), plural(row.ventas, "venta"), plural(row.productos, "producto")];
    if (was) lines.push(`antes: ${field === "importe" ? priced(was.importe) : count(was[field])}`);
    return {
      name, label, lines, value: Number(row[field]), before: was && Number(was[field]),
      figures: [name, ...lines].join(", "),
      cells: [name, priced(row.importe), count(row.ventas), count(row.productos)],
    };
  });
  if (!bars.length) return html`<${Alert} problem=${{ message: "No hay períodos que mostrar", fields: {} }} />`;
  return html`<div class="card">
    <div class="row between">
      <${Segments} legend="Cifra del gráfico" value=${field} options=${{ importe: "Importe", ventas: "Ventas" }} onChange=${setField} />
      <p class="legend soft small" aria-hidden="true"><i class="now"></i>Este período <i class="was"></i>Anterior</p>
      <${Segments} legend="Barras del gráfico" value=${por} options=${STEPS} onChange=${(value) => set({ por: value })} />
    </div>
    <${Chart} title="${field === "importe" ? "Importe" : "Ventas"} por ${por === "dia" ? "día" : por}" bars=${bars} columns=${["Período", "Importe", "Ventas", "Productos"]}
      short=${(value) => compact(field === "importe" ? value / 100 : value)} />
  </div>`;
}
