// How the timbre map looks. A view is {plane, base, dragged, hovered, trail}: which plane of the space,
// where the puck is, whether it is being dragged, which patch the mouse is at, where the part has been.

import { css, rgb } from "./colour.js";
import { store } from "./store.js";

export const EDGE = 26;
export const PUCK = 11;
export const TRAIL_MS = 2500;
const FIELD = [72, 48];
const MORPH_STEPS = 24;

/** Where a point of the plane lies on a canvas of this size. */
export function toScreen(plane, [x, y], width, height) {
  const [[x0, x1], [y0, y1]] = plane.spans;
  return [
    EDGE + ((x - x0) / (x1 - x0)) * (width - 2 * EDGE),
    height - EDGE - ((y - y0) / (y1 - y0)) * (height - 2 * EDGE),
  ];
}

/** Where an embedding lies on it. */
function placed(view, embedding, width, height) {
  return toScreen(view.plane, view.plane.flat(embedding), width, height);
}

export function drawMap(context, width, height, view, field, look) {
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(field, 0, 0, width, height);
  drawAxes(context, width, height, view, look);
  if (store.now.morph !== null && !view.dragged) drawMorph(context, width, height, view, look);
  drawTrail(context, width, height, view, look);
  drawPatches(context, width, height, view, look);
  drawPuck(context, width, height, view, look);
}

/** The colours of the patches, run into each other. */
export function washed(plane, look) {
  const made = document.createElement("canvas");
  [made.width, made.height] = FIELD;
  const context = made.getContext("2d");
  const image = context.createImageData(...FIELD);
  const middle = store.now.embedding;
  for (let j = 0, at = 0; j < FIELD[1]; j++) {
    for (let i = 0; i < FIELD[0]; i++, at += 4) {
      const spans = plane.spans.map(([low, high]) => [low - 0.06 * (high - low), high + 0.06 * (high - low)]);
      const x = spans[0][0] + ((i + 0.5) / FIELD[0]) * (spans[0][1] - spans[0][0]);
      const y = spans[1][1] - ((j + 0.5) / FIELD[1]) * (spans[1][1] - spans[1][0]);
      const { hue, strength } = store.blend(plane.lifted([x, y], middle));
      const colour = look.dark ? rgb(0.26, 0.06 * strength, hue) : rgb(0.935, 0.05 * strength, hue);
      image.data.set([...colour, 255], at);
    }
  }
  context.putImageData(image, 0, 0);
  return made;
}

function drawAxes(context, width, height, view, look) {
  context.strokeStyle = look.ink;
  context.globalAlpha = 0.09;
  context.lineWidth = 1;
  const [zeroX, zeroY] = toScreen(view.plane, [0, 0], width, height).map((v) => Math.round(v) + 0.5);
  context.beginPath();
  if (!view.plane.curved) {
    context.moveTo(zeroX, 0);
    context.lineTo(zeroX, height);
    context.moveTo(0, zeroY);
    context.lineTo(width, zeroY);
  }
  context.stroke();
  context.globalAlpha = 0.55;
  context.fillStyle = look.ink;
  context.font = `11px ${look.font}`;
  context.textAlign = "right";
  context.textBaseline = "alphabetic";
  const [across, up] = view.plane.names.map((name) => name && `${name} →`);
  context.fillText(across, width - 12, height - 10);
  context.save();
  context.translate(16, 12);
  context.rotate(-Math.PI / 2);
  context.textAlign = "right";
  context.fillText(up, 0, 0);
  context.restore();
  context.globalAlpha = 1;
}

function drawMorph(context, width, height, view, look) {
  const ends = [store.now.patch, store.now.towards].map((name) => store.patch(name));
  if (!ends[0] || !ends[1]) return;
  const [from, to] = ends.map((p) => p.embedding);
  context.globalAlpha = 0.4;
  if (view.plane.curved) drawSteps(context, width, height, view, from, to, look);
  else drawWay(context, ...[from, to].map((e) => placed(view, e, width, height)), look);
  context.globalAlpha = 1;
}

/** A morph on a map where its way is not straight, and may leap. */
function drawSteps(context, width, height, view, from, to, look) {
  context.fillStyle = look.ink;
  for (let step = 0; step <= MORPH_STEPS; step++) {
    const point = from.map((x, i) => x + (step / MORPH_STEPS) * (to[i] - x));
    context.beginPath();
    context.arc(...placed(view, point, width, height), 1.5, 0, 2 * Math.PI);
    context.fill();
  }
}

function drawWay(context, a, b, look) {
  context.strokeStyle = look.ink;
  context.setLineDash([2, 5]);
  context.lineCap = "round";
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(...a);
  context.lineTo(...b);
  context.stroke();
  context.setLineDash([]);
}

function drawTrail(context, width, height, view, look) {
  const now = performance.now();
  const { trail } = view;
  context.lineCap = "round";
  for (let i = 1; i < trail.length; i++) {
    const age = (now - trail[i].at) / TRAIL_MS;
    context.strokeStyle = css(look.dark ? 0.75 : 0.6, 0.14, trail[i].hue, 0.6 * (1 - age) ** 1.5);
    context.lineWidth = 1 + 5 * (1 - age);
    context.beginPath();
    context.moveTo(...placed(view, trail[i - 1].embedding, width, height));
    context.lineTo(...placed(view, trail[i].embedding, width, height));
    context.stroke();
  }
}

function drawPatches(context, width, height, view, look) {
  const points = store.patches.map((p) => placed(view, p.embedding, width, height));
  // Boxes that a label must not touch: the points, and the labels that stand already.
  const taken = points.map(([x, y]) => ({ x: x - 6, y, wide: 12 }));
  context.font = `12.5px ${look.font}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  const told = (patch) => patch.name === store.now.patch || patch.name === view.hovered;
  store.patches.forEach((patch, i) => {
    const [x, y] = points[i];
    context.fillStyle = css(look.dark ? 0.74 : 0.58, 0.14, store.hues.get(patch.name));
    context.beginPath();
    context.arc(x, y, told(patch) ? 5.5 : 4, 0, 2 * Math.PI);
    context.fill();
    if (patch.name === store.now.patch) {
      context.strokeStyle = look.ink;
      context.lineWidth = 1.25;
      context.beginPath();
      context.arc(x, y, 8.5, 0, 2 * Math.PI);
      context.stroke();
    }
  });
  // Among a hundred patches not every label has room: those that matter now come first.
  const first = store.patches.filter(told);
  for (const patch of [...first, ...store.patches.filter((p) => !told(p))]) {
    const [x, y] = points[store.patches.indexOf(patch)];
    const label = patch.name.replaceAll("-", " ");
    const long = context.measureText(label).width;
    const at = spotFor(x, y, long, width, taken, told(patch));
    if (!at) continue;
    taken.push({ x: at.x, y: y + at.dy, wide: long });
    context.fillStyle = look.ink;
    context.globalAlpha = told(patch) ? 1 : 0.72;
    context.fillText(label, at.x, y + at.dy);
    context.globalAlpha = 1;
  }
}

/** Where a label goes: right of its point, left of it, below or above, where it hits no other; nowhere
 * if there is no room, unless it must be told. */
function spotFor(x, y, long, width, taken, must) {
  const spots = [
    { x: x + 14, dy: 0 },
    { x: x - 14 - long, dy: 0 },
    { x: x - long / 2, dy: 19 },
    { x: x - long / 2, dy: -19 },
    { x: x + 8, dy: 15 },
    { x: x + 8, dy: -15 },
    { x: x - 8 - long, dy: 15 },
    { x: x - 8 - long, dy: -15 },
  ];
  const free = spots.find(
    (s) =>
      s.x > 6 &&
      s.x + long < width - 6 &&
      taken.every((o) => s.x > o.x + o.wide + 4 || s.x + long + 4 < o.x || Math.abs(y + s.dy - o.y) > 14),
  );
  return free ?? (must ? spots[x > width / 2 ? 1 : 0] : null);
}

function drawPuck(context, width, height, view, look) {
  const [x, y] = placed(view, view.base, width, height);
  const hue = store.hue(view.base);
  const [px, py] = placed(view, store.now.effective, width, height);
  if (!view.dragged && Math.hypot(px - x, py - y) > 4) {
    // Knobs have moved what sounds away from the puck.
    context.strokeStyle = context.fillStyle = css(look.dark ? 0.8 : 0.5, 0.14, hue);
    context.globalAlpha = 0.7;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(px, py);
    context.stroke();
    context.beginPath();
    context.arc(px, py, 4, 0, 2 * Math.PI);
    context.fill();
    context.globalAlpha = 1;
  }
  context.shadowColor = `rgb(0 0 0 / ${look.dark ? 0.5 : 0.22})`;
  context.shadowBlur = 14;
  context.shadowOffsetY = 3;
  context.fillStyle = css(look.dark ? 0.78 : 0.62, 0.16, hue);
  context.beginPath();
  context.arc(x, y, view.dragged ? PUCK + 2 : PUCK, 0, 2 * Math.PI);
  context.fill();
  context.shadowColor = "transparent";
  context.strokeStyle = look.dark ? "#fff" : look.card;
  context.lineWidth = 2.5;
  context.stroke();
}
