// How the service is, for an admin.
import { get } from "./api.js";
import { bytes, count, duration } from "./format.js";
import { html, useEffect } from "./html.js";
import { Loaded, useLoad } from "./parts.js";

const LOOK_MS = 10_000;

export function System() {
  const loaded = useLoad((signal) => get("sistema", {}, { signal }), []);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && loaded.again(), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return html`
    <header class="title"><h1 tabindex="-1">Sistema</h1><button type="button" onClick=${loaded.again}>Actualizar</button></header>
    <${Loaded} of=${loaded} lines=${8}>${({ body }) => html`<${Figures} of=${body} />`}<//>`;
}

function Figures({ of }) {
  const ready = of.estado === "listo";
  const figures = [
    ["Peticiones", count(of.peticiones), `${count(of.fallas)} con una falla del servicio`],
    ["Respuesta mediana", `${milliseconds(of.mediana_ms)}`, `95 de cada 100, en ${milliseconds(of.p95_ms)} o menos`],
    ["Conexiones a la base", `${count(of.conexiones_abiertas)} de ${count(of.conexiones_max)}`, `${count(of.conexiones_libres)} libres, ${count(of.esperando_conexion)} peticiones esperan`],
    ["Sesiones conocidas", count(of.sesiones), "por las que preguntaron hace poco"],
    ["Correos por salir", of.correos === null ? "—" : count(of.correos), of.correos ? `el más viejo espera hace ${duration(of.correo_segundos)}` : "ninguno espera"],
    ["Procesos", count(of.procesos), `${bytes(of.memoria_bytes)} de memoria`],
  ];
  return html`
    <p class=${ready ? "note" : "alert"} role="status"><b>${ready ? "Todo funciona." : "El servicio no está listo."}</b> ${of.motivo} Versión ${of.version}.</p>
    <dl class="sums">${figures.map(([name, text, more]) => html`<div><dt>${name}</dt><dd class="strong">${text}</dd><dd class="soft small">${more}</dd></div>`)}</dl>
    <section class="card" aria-label="Por ruta">
      <h2>Por ruta, desde que empezó</h2>
      <div class="scroll tall" tabindex="0" role="group" aria-label="Tabla por ruta"><table class="list">
        <thead><tr><th scope="col">Ruta</th><th scope="col" class="number">Peticiones</th><th scope="col" class="number">Fallas</th><th scope="col" class="number desk">Mediana</th><th scope="col" class="number">95 %</th></tr></thead>
        <tbody>${of.rutas.map((route) => html`<tr>
          <th scope="row" class="wrap"><span class="soft small">${route.metodo}</span> ${route.ruta || "ninguna ruta"}</th>
          <td class="number">${count(route.peticiones)}</td><td class="number ${route.fallas ? "error" : ""}">${count(route.fallas)}</td>
          <td class="number desk">${milliseconds(route.mediana_ms)}</td><td class="number">${milliseconds(route.p95_ms)}</td></tr>`)}</tbody>
      </table></div>
    </section>`;
}

const milliseconds = (value) => (value === null ? "—" : value < 1000 ? `${count(Math.round(value * 10) / 10)} ms` : `${count(value / 1000)} s`);
