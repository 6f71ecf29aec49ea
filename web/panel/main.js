// The panel's frame: who is here, where they are, and what is shown for that.
import { Access } from "./access.js";
import { get } from "./api.js";
import { keepFocus } from "./focus.js";
import { anythingTyped } from "./forms.js";
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Account } from "./cuenta.js";
import { Audit } from "./auditoria.js";
import { Import } from "./importar.js";
import { Alert, Icon, Messages, say, Skeleton, told } from "./parts.js";
import { forgetNames, fullName } from "./people.js";
import { Sellers } from "./vendedores.js";
import { usePlace } from "./router.js";
import { has, join, logout, watch } from "./session.js";
import { System } from "./sistema.js";
import { Users } from "./usuarios.js";
import { Sales } from "./ventas.js";

const LOOK_MS = 5000;
const PAGES = {
  ventas: { name: "Ventas", icon: "sales", view: Sales },
  importar: { name: "Importar", icon: "up", view: Import },
  cuenta: { name: "Mi cuenta", icon: "person", view: Account },
  vendedores: { name: "Vendedores", icon: "star", view: Sellers, admin: true },
  usuarios: { name: "Usuarios", icon: "people", view: Users, admin: true },
  auditoria: { name: "Auditoría", icon: "list", view: Audit, admin: true },
  sistema: { name: "Sistema", icon: "pulse", view: System, admin: true },
};

function Panel() {
  const at = usePlace();
  const [inside, setInside] = useState(has());
  const [ended, setEnded] = useState(false);
  const [me, setMe] = useState(null);
  const [problem, setProblem] = useState(null);
  const known = useRef(null); // who the forms on the page belong to
  const online = useOnline();

  async function look() {
    try {
      const { body, etag, status } = await get("user/me", {}, { headers: known.current ? { "If-None-Match": known.current.etag } : {} });
      if (status === 304) return;
      known.current = { id: body.id, username: body.username, etag };
      setMe(body);
      setProblem(null);
    } catch (error) {
      if (!known.current) setProblem(told(error));
    }
  }

  useEffect(() => watch((what) => {
    if (what === "login") {
      setInside(true);
      setEnded(false);
    } else {
      const keeps = what === "ended" && anythingTyped();
      setInside(false);
      setEnded(what === "ended");
      if (!keeps) leave();
    }
  }), []);

  // A modal dialog would keep everything else from being used, the login too.
  useLayoutEffect(() => {
    for (const dialog of document.querySelectorAll("dialog")) {
      if (!inside) dialog.close();
      else if (!dialog.open) dialog.showModal();
    }
  }, [inside]);

  function leave() {
    known.current = null;
    setMe(null);
    forgetNames();
  }

  useEffect(() => {
    if (!inside) return undefined;
    if (known.current) known.current.etag = "";
    look();
    const timer = setInterval(() => document.visibilityState === "visible" && look(), LOOK_MS);
    const seen = () => document.visibilityState === "visible" && look();
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [inside]);

  const page = PAGES[at.path[0]]?.admin && me?.rol !== "admin" ? null : at.path[0] ?? "ventas";
  const shown = inside ? PAGES[page]?.name ?? "No encontrada" : "Entrar";
  useLayoutEffect(() => {
    document.title = `${shown} · Ventas`;
    document.querySelector("main h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [shown, at.path.join("/"), Boolean(me)]);

  return html`
    ${!online && html`<p class="offline" role="status">Sin conexión: lo que escriba sigue aquí hasta que vuelva.</p>`}
    ${!inside && html`<${Access} view=${at.path[0]} ended=${ended} username=${known.current?.username} />`}
    ${inside && !me && html`<main class="access" id="main">${problem ? html`<${Alert} problem=${problem} again=${look} />` : html`<${Skeleton} lines=${5} />`}</main>`}
    ${me && html`<div class="shell" hidden=${!inside} key=${me.id}><${Shell} me=${me} page=${page} at=${at} reload=${look} /></div>`}
    <${Messages} />
  `;
}

function Shell({ me, page, at, reload }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [page]);
  const View = PAGES[page]?.view ?? Missing;
  return html`
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), document.querySelector("#main").focus())}>Ir al contenido</a>
    <header class="side">
      <a class="brand" href="#/ventas">Ventas</a>
      <button type="button" class="plain icon menu" aria-expanded=${open} aria-controls="menu" onClick=${() => setOpen(!open)}><${Icon} name="menu" /><span class="hidden">Menú</span></button>
      <div id="menu" class=${open ? "open" : ""}>
        <nav aria-label="Secciones">
          ${Object.entries(PAGES).filter(([, { admin }]) => !admin || me.rol === "admin").map(
            ([path, { name, icon }]) => html`<a href="#/${path}" aria-current=${path === page ? "page" : undefined}><${Icon} name=${icon} />${name}</a>`,
          )}
        </nav>
        <div class="who">
          <p title=${fullName(me)}><b>${fullName(me)}</b><span class="soft small">${me.rol === "admin" ? "admin · " : ""}${me.username}</span></p>
          <button type="button" class="plain" onClick=${leaveNow}><${Icon} name="out" />Salir</button>
        </div>
      </div>
    </header>
    <main id="main" tabindex="-1"><${View} me=${me} query=${at.query} path=${at.path.slice(1)} reload=${reload} /></main>`;
}

async function leaveNow() {
  location.replace("#/entrar");
  await logout();
  say("Sesión cerrada");
}

function Missing() {
  return html`<h1 tabindex="-1">No existe esta página</h1><p><a href="#/ventas">Ir a las ventas</a></p>`;
}

function useOnline() {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const changed = () => setOnline(navigator.onLine);
    addEventListener("online", changed);
    addEventListener("offline", changed);
    return () => {
      removeEventListener("online", changed);
      removeEventListener("offline", changed);
    };
  }, []);
  return online;
}

// A page that comes back from the browser's memory after a logout shows nothing of before.
addEventListener("pageshow", ({ persisted }) => persisted && !has() && location.reload());

await join();
const root = document.getElementById("panel");
root.replaceChildren();
keepFocus(root);
render(html`<${Panel} />`, root);
