// Where the focus goes when what had it is gone, so that who uses the keyboard keeps their place.
const REACHED = "a, button, input, select";

/** To the same button of the row beside it, or else to the page's heading. */
export function keepFocus(root) {
  let target, at, beside;
  root.addEventListener("focusin", (event) => {
    target = event.target;
    const row = target.closest("tr, li");
    at = row ? [...row.querySelectorAll(REACHED)].indexOf(target) : -1;
    beside = [row?.nextElementSibling, row?.previousElementSibling];
  });
  new MutationObserver(() => {
    if (!target || target.isConnected || document.activeElement !== document.body) return;
    const row = beside.find((each) => each?.isConnected);
    (row?.querySelectorAll(REACHED)[at] ?? root.querySelector("main h1"))?.focus({ preventScroll: true });
  }).observe(root, { childList: true, subtree: true });
}
