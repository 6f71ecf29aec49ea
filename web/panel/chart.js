// A chart of bars in SVG: the pointer and the arrow keys show a bar's figures, and a table says them all.
import { html, useEffect, useRef, useState } from "./html.js";

const HEIGHT = 220;
const LEFT = 56;
const FOOT = 26;
const TOP = 12;
const LABEL_PX = 72;

/** `bars` are { name, label, value, before, figures }; `label` is the short name below, `figures` what the reader is told. */
export function Chart({ title, bars, short, columns }) {
  const frame = useRef();
  const [width, setWidth] = useState(640);
  const [at, setAt] = useState(null);

  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.max(240, Math.round(entry.contentRect.width))));
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);

  const steps = ticks(Math.max(1, ...bars.flatMap(({ value, before }) => [value, before ?? 0])));
  const most = steps.at(-1);
  const slot = (width - LEFT) / bars.length;
  const bar = Math.max(1, Math.min(48, slot * 0.7));
  const y = (value) => TOP + (HEIGHT - TOP - FOOT) * (1 - value / most);
  const every = Math.ceil(LABEL_PX / slot);
  const current = at === null ? null : bars[Math.min(at, bars.length - 1)];

  const point = (event) => {
    const x = event.clientX - frame.current.getBoundingClientRect().left - LEFT;
    setAt(x < 0 ? null : Math.min(bars.length - 1, Math.floor(x / slot)));
  };
  const press = (event) => {
    const last = bars.length - 1;
    const next = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last, Escape: null }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    setAt(next === null ? null : Math.max(0, Math.min(last, next)));
  };

  return html`<figure class="chart">
    <div ref=${frame} class="frame" tabindex="0" role="slider" aria-label="${title}; las flechas recorren los períodos" aria-valuemin="1" aria-valuemax=${bars.length}
      aria-valuenow=${(at ?? bars.length - 1) + 1} aria-valuetext=${(current ?? bars.at(-1)).figures} onKeyDown=${press} onPointerMove=${point} onPointerDown=${point}
      onPointerLeave=${() => setAt(null)} onBlur=${() => setAt(null)}>
      <svg width=${width} height=${HEIGHT} viewBox="0 0 ${width} ${HEIGHT}" aria-hidden="true">
        ${steps.map(
          (value) => html`<g class="step">
            <line x1=${LEFT} x2=${width} y1=${y(value)} y2=${y(value)} />
            <text x=${LEFT - 8} y=${y(value) + 4} text-anchor="end">${short(value)}</text>
          </g>`,
        )}
        ${bars.map(({ value, before, label }, n) => {
          const x = LEFT + slot * n + (slot - bar) / 2;
          return html`<g class="bar ${n === at ? "at" : ""}">
            <rect class="reach" x=${LEFT + slot * n} y=${TOP} width=${slot} height=${HEIGHT - TOP - FOOT} />
            <rect class="value" x=${x} y=${y(value)} width=${bar} height=${Math.max(0, HEIGHT - FOOT - y(value))} rx=${Math.min(3, bar / 3)} />
            ${before !== undefined && html`<line class="before" x1=${x - 1} x2=${x + bar + 1} y1=${y(before)} y2=${y(before)} />`}
            ${(bars.length - 1 - n) % every === 0 && x > LEFT && html`<text x=${n === bars.length - 1 ? width : x + bar / 2} y=${HEIGHT - 8} text-anchor=${n === bars.length - 1 ? "end" : "middle"}>${label}</text>`}
          </g>`;
        })}
      </svg>
      ${current && html`<div class="tip" style=${tipPlace(at, slot, width)}><b>${current.name}</b>${current.lines.map((line) => html`<span>${line}</span>`)}</div>`}
    </div>
    <details>
      <summary>Ver las cifras en una tabla</summary>
      <div class="scroll" tabindex="0" role="group" aria-label=${title}>
        <table>
          <thead><tr>${columns.map((name, n) => html`<th scope="col" class=${n ? "number" : ""}>${name}</th>`)}</tr></thead>
          <tbody>${bars.map(({ cells }) => html`<tr>${cells.map((cell, n) => (n ? html`<td class="number">${cell}</td>` : html`<th scope="row">${cell}</th>`))}</tr>`)}</tbody>
        </table>
      </div>
    </details>
  </figure>`;
}

function tipPlace(at, slot, width) {
  const x = LEFT + slot * (at + 0.5);
  return x > width / 2 ? { right: `${width - x + slot / 2 + 6}px` } : { left: `${x + slot / 2 + 6}px` };
}

/** Three to five round values from 0 to the first that is not below `most`. */
function ticks(most) {
  const power = 10 ** Math.floor(Math.log10(most / 4 || 1));
  const size = Math.max(1, [1, 2, 2.5, 5, 10].map((times) => times * power).find((step) => step * 4 >= most));
  return Array.from({ length: Math.ceil(most / size) + 1 }, (_, n) => n * size);
}
