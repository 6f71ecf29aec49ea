"use strict";

const base = document.documentElement.dataset.base;

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

window.ui = SwaggerUIBundle({
  url: `${base}/openapi.json`,
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});

// A link to a call opens it here, where the login is, and not in another tab.
document.addEventListener("click", (event) => {
  const link = event.target.closest(`a[href^="${base}/docs#/"]`);
  if (!link) return;
  event.preventDefault();
  const [tag, operation] = link.hash.slice(2).split("/");
  ui.layoutActions.show(["operations-tag", tag], true);
  ui.layoutActions.show(["operations", tag, operation], true);
  requestAnimationFrame(() => document.getElementById(`operations-${tag}-${operation}`).scrollIntoView());
});
