// The list of sales, page after page by its cursor; a deletion can be undone while its message stands.
import { call, get } from "./api.js";
import { count, dayOrMoment, plural } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Alert, Empty, Icon, say, Skeleton, told, useLoad } from "./parts.js";
import { nameOf } from "./people.js";
import { priced } from "./preferences.js";
import { SaleDialog } from "./venta.js";

const PAGE = 50;
const LONG = 10 ** 10; // cents that may take two lines on a phone
const UNDO_MS = 10_000;

export function SalesList({ chosen, zone, filters, admin, added, changed }) {
  const { sales, more, problem, busy, next, replace } = usePages({ ...filters, desde: chosen.desde, hasta: chosen.hasta, zona: zone }, added);
  const [edited, setEdited] = useState(null);
  const remove = useDeletion(replace, changed);

  return html`<section aria-label="Lista de ventas">
    <table class="list">
      <caption class="hidden">Ventas, las más nuevas primero</caption>
      <thead>
        <tr><th scope="col">Fecha</th>${admin && html`<th scope="col" class="desk">Vendedor</th>`}<th scope="col" class="number">Importe</th><th scope="col" class="number desk">Productos</th><th scope="col"><span class="hidden">Acciones</span></th></tr>
      </thead>
      <tbody>
        ${sales.map((sale) => {
          const what = `la venta de ${priced(sale.venta)} del ${dayOrMoment(sale.creacion, zone)}`;
          return html`<tr key=${sale.id}>
            <td class="name when">${dayOrMoment(sale.creacion, zone)}${admin && html`<span class="soft small phone"><${Seller} id=${sale.usuario_id} /></span>`}</td>
            ${admin && html`<td class="name desk"><${Seller} id=${sale.usuario_id} /></td>`}
            <td class="number strong ${sale.venta >= LONG ? "long" : ""}">${priced(sale.venta)}<span class="soft small phone">${plural(sale.ventas_productos, "producto")}</span></td>
            <td class="number desk">${count(sale.ventas_productos)}</td>
            <td class="number tools">
              <button type="button" class="plain icon" aria-label="Editar ${what}" onClick=${() => setEdited(sale)}><${Icon} name="edit" /></button>
              <button type="button" class="plain icon" aria-label="Eliminar ${what}" onClick=${() => remove(sale)}><${Icon} name="delete" /></button>
            </td>
          </tr>`;
        })}
      </tbody>
    </table>
    ${problem && html`<${Alert} problem=${problem} again=${next} />`}
    ${!sales.length && !busy && !problem && html`<${Empty} title="No hay ventas en este período">
      <p>Agregue una con «Nueva venta», <a href="#/importar">importe una planilla</a> o elija otro período.</p><//>`}
    ${busy && html`<${Skeleton} lines=${sales.length ? 1 : 5} />`}
    ${more && !busy && !problem && html`<${More} onReach=${next} />`}
    ${edited && html`<${SaleDialog} sale=${edited} onClose=${() => setEdited(null)} onDone=${changed} onGone=${() => changed()} />`}
  </section>`;
}

function Seller({ id }) {
  const { data } = useLoad(() => nameOf(id), [id]);
  return html`<span title=${data}>${data ?? `#${id}`}</span>`;
}

/** The pages of a list so far, and `next` to ask for another; `complete` adds to the items of each. */
export function usePages(query, added, path = "venta/", complete = (items) => items) {
  const start = { items: [], cursor: null, more: true, problem: null, busy: false };
  const [state, setState] = useState(start);
  const asked = useRef();
  const key = JSON.stringify([query, added]);

  async function load(before) {
    const stop = new AbortController();
    asked.current?.abort();
    asked.current = stop;
    setState({ ...before, problem: null, busy: true });
    try {
      const page = { ...query, limit: PAGE, despues: before.cursor };
      const { body, next } = await get(path, page, { signal: stop.signal });
      const items = await complete(body, page, { signal: stop.signal });
      if (!stop.signal.aborted) setState({ items: [...before.items, ...items], cursor: next, more: next !== null, problem: null, busy: false });
    } catch (error) {
      if (!stop.signal.aborted) setState({ ...before, problem: told(error), busy: false });
    }
  }

  useEffect(() => {
    load(start);
    return () => asked.current?.abort();
  }, [key]);
  const replace = (change) => setState((before) => ({ ...before, items: change(before.items) }));
  return { ...state, sales: state.items, next: () => load(state), replace };
}

export function More({ onReach }) {
  const button = useRef();
  useEffect(() => {
    const watch = new IntersectionObserver(([entry]) => entry.isIntersecting && onReach(), { rootMargin: "300px" });
    watch.observe(button.current);
    return () => watch.disconnect();
  });
  return html`<button type="button" class="plain more-rows" ref=${button} onClick=${onReach}>Ver más</button>`;
}

/** Deletes a sale when nobody undid that in time, or when the page is left. */
function useDeletion(replace, changed) {
  const waiting = useRef(new Map());
  const flush = () => waiting.current.forEach((run) => run());
  useEffect(() => {
    addEventListener("pagehide", flush);
    return () => {
      removeEventListener("pagehide", flush);
      flush();
    };
  }, []);

  return async (sale) => {
    let etag;
    try {
      const now = await get(`venta/${sale.id}`);
      if (now.body.venta !== sale.venta || now.body.ventas_productos !== sale.ventas_productos) {
        say("La venta cambió mientras tanto: mire cómo está ahora antes de eliminarla");
        changed();
        return;
      }
      etag = now.etag;
    } catch (problem) {
      say(problem.message);
      if (problem.status === 404) changed();
      return;
    }
    let place;
    replace((sales) => {
      place = sales.findIndex(({ id }) => id === sale.id);
      return sales.filter(({ id }) => id !== sale.id);
    });
    const restore = () => replace((sales) => (sales.some(({ id }) => id === sale.id) ? sales : [...sales.slice(0, place), sale, ...sales.slice(place)]));
    const run = async () => {
      clearTimeout(timer);
      waiting.current.delete(sale.id);
      try {
        await call("DELETE", `venta/${sale.id}`, { headers: { "If-Match": etag }, keepalive: true });
        changed();
      } catch (problem) {
        if (problem.status === 404) return;
        restore();
        say(problem.status === 412 ? "No se eliminó: otra persona cambió la venta mientras tanto" : `No se eliminó: ${problem.message}`);
      }
    };
    const timer = setTimeout(run, UNDO_MS);
    waiting.current.set(sale.id, run);
    say(`Venta de ${priced(sale.venta)} eliminada`, {
      lasts: UNDO_MS,
      undo: () => {
        clearTimeout(timer);
        waiting.current.delete(sale.id);
        restore();
      },
    });
  };
}
