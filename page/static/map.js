// The timbre map: patches as points, a puck for the part that is shown, and where it has been.

import { theme } from "./colour.js";
import { fitted, onceAFrame } from "./canvas.js";
import { link } from "./link.js";
import { coloured, legend, meaning, measure } from "./measured.js";
import { drawMap, EDGE, PUCK, toScreen, TRAIL_MS, washed } from "./map-draw.js";
import { planeOf } from "./plane.js";
import { store } from "./store.js";
import { toast } from "./toast.js";

const STEP = 0.02;

const canvas = document.getElementById("map");
const colours = document.getElementById("colours");
const scale = document.getElementById("legend");
const hint = document.getElementById("map-hint");
let plane = null;
let made = ""; // of what the plane was made
let field = null;
let found = null; // what was measured, for this plane
let trail = [];
let dragged = null;
let hovered = null;
let last = null;

const redraw = fitted(canvas, draw);
const soon = onceAFrame(redraw);

function fromScreen(x, y) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const clip = (v) => Math.min(Math.max(v, 0), 1);
  const [a, b] = [clip((x - EDGE) / (width - 2 * EDGE)), clip((height - EDGE - y) / (height - 2 * EDGE))];
  return [a, b].map((v, i) => plane.spans[i][0] + v * (plane.spans[i][1] - plane.spans[i][0]));
}

/** One step along an axis, which ends where the map does. */
function stepped(v, way, [low, high]) {
  return Math.min(Math.max(v + way * STEP * (high - low), low), high);
}

/** Where the puck is: under the finger while it is dragged, else where the server says. */
function base() {
  return dragged ?? store.now.embedding;
}

function draw(context, width, height) {
  if (!store.now || !plane) return;
  const look = theme();
  field ??= found && colours.value ? coloured(found[colours.value], look) : washed(plane, look);
  const now = performance.now();
  trail = trail.filter((p) => now - p.at < TRAIL_MS);
  drawMap(context, width, height, { plane, base: base(), dragged, hovered, trail }, field, look);
  if (trail.length) soon();
}

function leave(embedding) {
  trail.push({ embedding: [...embedding], at: performance.now(), hue: store.hue(embedding) });
}

function moveTo(at) {
  const embedding = plane.lifted(at, base());
  plane.note(embedding, at);
  dragged = embedding;
  leave(embedding);
  link.turn(store.of("timbre"), ...embedding);
  say();
  soon();
}

function say() {
  const numbers = base().map((v) => v.toFixed(2)).join(", ");
  canvas.setAttribute("aria-label", `Timbre map. ${store.now.patch}, at ${numbers}. Arrow keys move it.`);
  hint.textContent = numbers;
}

function patchAt(x, y, within) {
  let best = null;
  let least = within;
  for (const patch of store.patches) {
    const [px, py] = toScreen(plane, plane.flat(patch.embedding), canvas.clientWidth, canvas.clientHeight);
    const far = Math.hypot(px - x, py - y);
    if (far < least) [best, least] = [patch.name, far];
  }
  return best;
}

/** Colour the map by what was chosen; measure it first, if nobody has. */
async function paint() {
  scale.hidden = true;
  const name = colours.value;
  if (name && !found) {
    const measured = plane;
    const told = await measure(measured).catch((error) => toast(`The map was not measured: ${error.message}`));
    if (!told || measured !== plane) return;
    found = told;
    if (!store.hello.axes.length) {
      plane.names = plane.names.map((axis, i) => [axis, meaning(found, i)].filter(Boolean).join(", "));
    }
  }
  field = null;
  if (colours.value && found) {
    const { from, to, gradient } = legend(colours.value, found[colours.value]);
    const bar = document.createElement("i");
    bar.style.background = gradient;
    scale.replaceChildren(from, bar, to);
    scale.hidden = false;
  }
  soon();
}

colours.addEventListener("change", () => {
  paint();
  colours.blur();
});

let pressed = null;
canvas.addEventListener("pointerdown", (event) => {
  if (!store.now || !event.isPrimary) return;
  canvas.setPointerCapture(event.pointerId);
  const [px, py] = toScreen(plane, plane.flat(base()), canvas.clientWidth, canvas.clientHeight);
  const onPuck = Math.hypot(px - event.offsetX, py - event.offsetY) < 2 * PUCK;
  pressed = { x: event.offsetX, y: event.offsetY, patch: onPuck ? null : patchAt(event.offsetX, event.offsetY, 16) };
  if (!pressed.patch && !onPuck) moveTo(fromScreen(event.offsetX, event.offsetY));
});
canvas.addEventListener("pointermove", (event) => {
  if (!store.now) return;
  if (!pressed) {
    const near = patchAt(event.offsetX, event.offsetY, 16);
    canvas.style.cursor = near ? "pointer" : "grab";
    if (near !== hovered) [hovered] = [near, soon()];
    return;
  }
  if (pressed.patch && Math.hypot(event.offsetX - pressed.x, event.offsetY - pressed.y) < 5) return;
  pressed.patch = null;
  canvas.style.cursor = "grabbing";
  moveTo(fromScreen(event.offsetX, event.offsetY));
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (pressed?.patch) link.send(store.of("patch"), pressed.patch);
    pressed = dragged = null;
    soon();
  });
}
canvas.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!way || !store.now) return;
  event.preventDefault();
  const at = plane.flat(base()).map((v, i) => (way[i] ? stepped(v, way[i], plane.spans[i]) : v));
  const embedding = plane.lifted(at, base());
  plane.note(embedding, at);
  link.send(store.of("timbre"), ...embedding);
});

store.addEventListener("hello", () => {
  // The server may have been started again with another bank.
  [trail, dragged, pressed] = [[], null, null];
});
store.when(["patches"], () => {
  const next = planeOf(store.patches, store.hello.reach, store.hello.axes, store.hello.places);
  const basis = JSON.stringify([store.hello, next.spans, next.anchors]);
  if (basis !== made) [plane, found, made] = [next, null, basis];
  field = null;
  if (colours.value && !found) paint();
  soon();
});
store.when(["part"], () => {
  const at = store.now.embedding;
  const here = `${store.part} ${at}`;
  if (!dragged && last !== here) {
    if (last?.split(" ")[0] === String(store.part)) leave(at);
    else trail = [];
  }
  last = here;
  say();
  soon();
});
addEventListener("theme", () => {
  field = null;
  soon();
});
