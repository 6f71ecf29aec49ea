// The form of a mailed link: sends the token after the # and the form's fields to this same address.
const form = document.querySelector("form");
const said = document.querySelector("[role=status]");

if (!location.hash) {
  form.hidden = true;
  said.textContent = "Falta el código: abra el enlace entero, como llegó por correo";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  form.querySelector("button").disabled = true;
  try {
    const answer = await fetch(location.pathname, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: location.hash.slice(1), ...Object.fromEntries(new FormData(form)) }),
    });
    const body = await answer.json();
    const fault = body.errores?.find((fault) => fault.campo !== "token");
    said.textContent = fault ? `${fault.campo}: ${fault.mensaje}` : (body.respuesta ?? body.detail);
    form.hidden = answer.ok;
  } catch {
    said.textContent = "No hay conexión con el servicio; intente de nuevo";
  }
  form.querySelector("button").disabled = false;
});
