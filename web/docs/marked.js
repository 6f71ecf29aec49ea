// The little Markdown that descriptions have: paragraphs, `code` and [links](…).
import { html } from "../panel/html.js";

const PARTS = /`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)/gu;

export function Marked({ text }) {
  const parts = [];
  let at = 0;
  for (const { 0: whole, 1: code, 2: label, 3: target, index } of text.matchAll(PARTS)) {
    parts.push(text.slice(at, index), code ? html`<code>${code}</code>` : html`<a href=${target}>${label}</a>`);
    at = index + whole.length;
  }
  return [...parts, text.slice(at)];
}

export const Paragraphs = ({ text }) => text.split(/\n\n+/u).map((each) => html`<p><${Marked} text=${each} /></p>`);
