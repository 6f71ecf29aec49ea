// Leaves the problems that have every word typed, in the index and below it.
const form = document.querySelector("form");
const input = form.querySelector("input");
const said = form.querySelector("[role=status]");
const entries = [...document.querySelectorAll(".problem")];
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const texts = new Map(entries.map((entry) => [entry, plain(entry.textContent)]));

form.hidden = false;
document.querySelector("details").open = matchMedia("(min-width: 48rem)").matches;
form.addEventListener("submit", (event) => event.preventDefault());
input.addEventListener("input", () => {
  const words = plain(input.value).split(/\s+/u).filter(Boolean);
  let shown = 0;
  for (const entry of entries) {
    const fits = words.every((word) => texts.get(entry).includes(word));
    entry.hidden = !fits;
    document.querySelector(`.index a[href="#${entry.id}"]`).parentElement.hidden = !fits;
    shown += fits;
  }
  said.textContent = words.length ? `${shown} de ${entries.length}` : "";
});
