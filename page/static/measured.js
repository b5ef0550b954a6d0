// What the map can be coloured by beside its patches: how its points sound, measured by the server.

import { css, rgb } from "./colour.js";
import { store } from "./store.js";

const GRID = [20, 14];
const LOW = 270; // hues of the least and the most, the long way round by green
const HIGH = 50;
const CLEAR = 0.75; // how closely an axis must go with a property to be named after it

export const WORDS = {
  brightness: { more: "brighter", less: "darker", text: (v) => (v < 1000 ? `${Math.round(v)} Hz` : `${(v / 1000).toFixed(1)} kHz`) },
  loudness: { more: "louder", less: "softer", text: (v) => `${v.toFixed(0)} dB` },
};

/** Points of the plane, row by row from the top, and what was measured there. */
export async function measure(plane) {
  const middle = store.now.embedding;
  const points = [];
  for (let j = 0; j < GRID[1]; j++) {
    for (let i = 0; i < GRID[0]; i++) points.push(plane.lifted(onPlane(plane, i, j), middle));
  }
  const answer = await fetch("measure", { method: "POST", body: JSON.stringify(points) });
  const found = await answer.json();
  if (found.error) throw new Error(found.error);
  return found;
}

function onPlane({ spans }, i, j) {
  // A point in the middle of each cell; cells reach to the edge of the canvas, as in the map.
  return [i / GRID[0] + 0.5 / GRID[0], 1 - j / GRID[1] - 0.5 / GRID[1]].map((share, k) => {
    const margin = 0.06 * (spans[k][1] - spans[k][0]);
    return spans[k][0] - margin + share * (spans[k][1] - spans[k][0] + 2 * margin);
  });
}

/** Where the colours begin and end: corners far from any instrument must not take them all. */
function ends(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.04, 0.96].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
}

/** A field of colours, from the least to the most. */
export function coloured(values, look) {
  const made = document.createElement("canvas");
  [made.width, made.height] = GRID;
  const context = made.getContext("2d");
  const image = context.createImageData(...GRID);
  const [low, high] = ends(values);
  values.forEach((value, at) => {
    const share = Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
    const hue = LOW + share * (HIGH - LOW);
    const colour = look.dark ? rgb(0.22 + 0.14 * share, 0.07, hue) : rgb(0.88 + 0.06 * share, 0.075, hue);
    image.data.set([...colour, 255], 4 * at);
  });
  context.putImageData(image, 0, 0);
  return made;
}

/** The scale of colours in words, and as a CSS gradient. */
export function legend(name, values) {
  const { text } = WORDS[name];
  const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => css(0.75, 0.11, LOW + share * (HIGH - LOW)));
  const [low, high] = ends(values);
  return { from: text(low), to: text(high), gradient: `linear-gradient(90deg, ${stops.join(", ")})` };
}

/** What going along an axis does to the sound: "brighter", say, or "" if it is nothing so simple. */
export function meaning(found, axis) {
  const along = found.brightness.map((_, at) => (axis ? -Math.floor(at / GRID[0]) : at % GRID[0]));
  let best = "";
  let most = CLEAR;
  for (const [name, { more, less }] of Object.entries(WORDS)) {
    const r = correlation(along, found[name]);
    if (Math.abs(r) > most) [most, best] = [Math.abs(r), r > 0 ? more : less];
  }
  return best;
}

function correlation(a, b) {
  const [ma, mb] = [a, b].map((x) => x.reduce((sum, v) => sum + v, 0) / x.length);
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((v, i) => {
    ab += (v - ma) * (b[i] - mb);
    aa += (v - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  });
  return ab / Math.sqrt(aa * bb || 1);
}
