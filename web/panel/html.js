// The two vendored libraries, bound together: html`<p>${text}</p>` makes elements, and text in them is only ever text.
import htm from "../vendor/htm.js";
import { h } from "../vendor/preact.js";

export { Fragment, createContext, render } from "../vendor/preact.js";
export { useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";

export const html = htm.bind(h);
