// What is wrong now, and what to do about it: lines over the page until it is over or put away.

import { link } from "./link.js";
import { store } from "./store.js";

const GAPS_MS = 10_000; // how long gaps in the sound are told

const place = document.getElementById("notice");
const list = place.querySelector("ul");
const away = new Set(); // kinds that were put away, until they are over
let gaps = []; // [time, count so far]
let shown = "";

/** Parts that fade out for want of time, as numbers. */
export const fadedOf = ({ faded }) => (faded ?? "").split(", ").filter(Boolean).map(Number);

/** What gives way for want of time, in words; "" if nothing does. */
export function overloadOf(status) {
  const faded = fadedOf(status);
  const parts = faded.length === 1 ? `part ${faded[0]} is faded out` : `parts ${faded.join(", ")} are faded out`;
  const given = [];
  if (status.spared) given.push("the spectral vocoder plays instead of the WaveNet");
  if (faded.length) given.push(parts);
  if (status.overload && !given.length) given.push("this page is drawn less often");
  return given.join(", ");
}

function problems(status) {
  const now = performance.now();
  if (!gaps.length || status.underruns !== gaps.at(-1)[1]) gaps.push([now, status.underruns]);
  while (gaps.length > 1 && gaps[1][0] < now - GAPS_MS) gaps.shift();
  const lately = status.underruns - gaps[0][1];
  const found = new Map();
  if (status.fault) found.set("fault", `${status.fault}.`);
  if (lately > 0) {
    const more = store.hello.device ? ", or start the server with a larger --buffer" : "";
    found.set("gaps", `${lately} ${lately > 1 ? "gaps" : "gap"} in the sound just now. Close other programs${more}.`);
  }
  const given = overloadOf(status);
  if (given) {
    const less = status.spared ? "Play fewer parts at once, close other programs, or start the server with --vocoder spectral."
      : "Play fewer notes and parts at once, or close other programs.";
    const kind = status.spared || status.given_up ? "overload" : "busy";
    found.set(kind, `The processor has too much to do: ${given}. ${less}`);
  }
  return found;
}

function show(found, load = 0) {
  for (const kind of away) if (!found.has(kind)) away.delete(kind);
  const lines = [...found].filter(([kind]) => !away.has(kind));
  const text = lines.map(([, line]) => line).join("\n");
  // Apart from the text, which screen readers read out whenever it changes.
  place.querySelector("b").textContent = `load ${Math.round(100 * load)} %`;
  if (text === shown) return;
  shown = text;
  list.replaceChildren(...lines.map(([kind, line]) => {
    const item = document.createElement("li");
    item.dataset.kind = kind;
    item.textContent = line;
    return item;
  }));
  place.hidden = !lines.length;
}

place.querySelector("button").addEventListener("click", () => {
  for (const { dataset } of list.children) away.add(dataset.kind);
  place.hidden = true;
  shown = "";
});
link.on("status", (status) => store.hello && show(problems(status), status.load));
link.on("hello", () => {
  gaps = [];
  show(new Map());
});
