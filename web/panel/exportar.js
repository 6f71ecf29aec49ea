// Sales as a file, with the filters of the list.
import { Problem, send } from "./api.js";
import { bytes } from "./format.js";
import { Field, Form } from "./forms.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Dialog, say } from "./parts.js";
import { inWords } from "./periods.js";
import { zone } from "./preferences.js";

const KINDS = {
  excel: { name: "Planilla en español (Excel, LibreOffice)", query: { formato: "csv", separador: "puntoycoma", decimal: "coma", fecha: "dma", bom: "si" } },
  csv: { name: "CSV para programas (comas, centavos, RFC 3339)", query: { formato: "csv" } },
  ndjson: { name: "NDJSON (un objeto JSON por línea)", query: { formato: "ndjson" } },
};
const TOLD_BYTES = 100_000;

export function ExportDialog({ chosen, filters, onClose }) {
  const [received, setReceived] = useState(0);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);

  async function download({ tipo }) {
    const { query } = KINDS[tipo];
    const { desde, hasta } = chosen;
    const answer = await send("GET", "venta/exportar", {
      query: { ...filters, desde, hasta, zona: zone(), ...query },
      headers: { Accept: "*/*" },
      signal: stop.current.signal,
      timeless: true,
    });
    const blob = await new Response(counted(answer.body, setReceived), { headers: answer.headers }).blob().catch(() => {
      throw new Problem(0, { detail: "La descarga se cortó; intente de nuevo" });
    });
    save(blob, `ventas-${desde}-a-${hasta}.${query.formato}`);
    say("Archivo guardado en sus descargas");
    onClose();
  }

  return html`<${Dialog} title="Exportar ventas" onClose=${onClose}>
    <${Form} onSend=${download} submit="Descargar" onCancel=${onClose} draft=${false}>
      <p class="soft">Con los filtros de la lista: ${inWords(chosen)}. Lo que se exporta se puede volver a importar.</p>
      <${Field} label="Para abrirlo con" name="tipo" options=${Object.entries(KINDS).map(([value, { name }]) => [value, name])} />
      ${received > 0 && html`<p role="status">Recibidos ${bytes(received)}</p>`}
    <//>
  <//>`;
}

function counted(stream, tell) {
  let size = 0;
  let told = 0;
  return stream.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        size += chunk.byteLength;
        if (size - told >= TOLD_BYTES) tell((told = size));
        controller.enqueue(chunk);
      },
    }),
  );
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
