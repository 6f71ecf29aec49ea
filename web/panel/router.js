// Where in the panel one is: #/ventas?periodo=mes is { path: ["ventas"], query: { periodo: "mes" } }.
import { useEffect, useState } from "./html.js";

export function place() {
  const [path, query] = location.hash.replace(/^#\/?/u, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: Object.fromEntries(new URLSearchParams(query)) };
}

export function link(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(kept).toString();
  return `#/${path}${text && `?${text}`}`;
}

export function go(path, query) {
  location.hash = link(path, query);
}

export function usePlace() {
  const [at, setAt] = useState(place);
  useEffect(() => {
    const moved = () => setAt(place());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return at;
}
