// The form of a mailed link: sends the token after the # and the form's fields to this same address.
const form = document.querySelector("form");
const said = document.querySelector("[role=status]");
const next = document.querySelector(".next");
const button = form.querySelector("button.primary");

function say(text, good) {
  said.textContent = text;
  said.className = good ? "note" : "alert";
}

if (!location.hash) {
  form.hidden = true;
  say("Falta el código: abra el enlace entero, como llegó por correo", false);
}

for (const input of form.querySelectorAll("input[type=password]")) {
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "plain";
  toggle.setAttribute("aria-label", "Mostrar la contraseña");
  toggle.setAttribute("aria-pressed", "false");
  toggle.textContent = "Mostrar";
  toggle.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    toggle.setAttribute("aria-pressed", String(!shown));
    toggle.textContent = shown ? "Mostrar" : "Ocultar";
  });
  const frame = document.createElement("span");
  frame.className = "secret";
  input.before(frame);
  frame.append(input, toggle);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const answer = await fetch(location.pathname, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ token: location.hash.slice(1), ...Object.fromEntries(new FormData(form)) }),
    });
    const body = await answer.json();
    const fault = body.errores?.find((fault) => fault.campo !== "token");
    say(fault ? `${fault.campo}: ${fault.mensaje}` : (body.respuesta ?? body.detail), answer.ok);
    form.hidden = answer.ok;
    next.hidden = !answer.ok;
    if (answer.ok) history.replaceState(null, "", location.pathname); // the used token leaves the address
  } catch {
    say("No hay conexión con el servicio; intente de nuevo", false);
  }
  button.disabled = false;
});
