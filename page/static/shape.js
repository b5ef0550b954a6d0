// Shape: knobs of the bank, gain and pan, and the morph between two patches.

import { link } from "./link.js";
import { canLearn, forgetGone } from "./learn.js";
import { makeKnob } from "./knob.js";
import { store } from "./store.js";

const GAIN = [-36, 12];
// What can be learnt beside knobs: element, target of /midi/learn, and its name in a sentence.
const OTHERS = [
  ["morphing", "morph", "the morph"],
  ["next", "patch/next", "to the next patch"],
  ["previous", "patch/previous", "to the previous patch"],
];

const place = document.getElementById("knobs");
const title = document.getElementById("title");
const slider = document.getElementById("morph");
const ends = [document.getElementById("morph-a"), document.getElementById("morph-b")];
let knobs = {};
let gain = null;
let pan = null;

export const decibels = (v) => `${v > 0 ? "+" : ""}${Math.abs(v) < 0.05 ? "0.0" : v.toFixed(1)} dB`;
export const panned = (v) => (Math.abs(v) < 0.005 ? "middle" : `${Math.round(100 * Math.abs(v))} ${v < 0 ? "left" : "right"}`);

function build() {
  knobs = {};
  for (const name of store.hello.knobs) {
    knobs[name] = makeKnob({
      name, low: 0, high: 1, home: 0.5,
      text: (v) => `${Math.round(200 * v - 100) > 0 ? "+" : ""}${Math.round(200 * v - 100)}`,
      turn: (v) => link.turn(store.of(`knob/${name}`), v),
    });
  }
  gain = makeKnob({ name: "gain", low: GAIN[0], high: GAIN[1], home: 0, text: decibels,
    turn: (v) => link.turn(store.of("gain_db"), v) });
  pan = makeKnob({ name: "pan", low: -1, high: 1, home: 0, text: panned,
    turn: (v) => link.turn(store.of("pan"), v) });
  for (const [name, { element }] of Object.entries(knobs)) canLearn(element, name);
  canLearn(gain.element, "gain_db", "gain");
  canLearn(pan.element, "pan");
  place.replaceChildren(...Object.values(knobs).map((k) => k.element), gain.element, pan.element);
  forgetGone();
}

function names() {
  for (const end of ends) {
    end.replaceChildren(...store.patches.map(({ name }) => new Option(name.replaceAll("-", " "), name)));
  }
}

function show() {
  const now = store.now;
  title.textContent = now.patch.replaceAll("-", " ");
  document.getElementById("edited").hidden = !isEdited(now);
  document.body.style.setProperty("--hue", Math.round(store.hue(now.embedding)));
  for (const [name, value] of Object.entries(now.knobs)) knobs[name]?.set(value);
  gain.set(Math.max(now.gain, GAIN[0]));
  pan.set(now.pan);
  if (document.activeElement !== ends[0]) ends[0].value = now.patch;
  if (document.activeElement !== ends[1]) ends[1].value = now.towards;
  if (!slider.matches(":active")) slider.value = now.morph ?? 0;
  slider.style.setProperty("--fill", slider.value);
  slider.setAttribute("aria-valuetext", `${Math.round(100 * slider.value)} % of ${now.towards}`);
}

/** Whether a part stands elsewhere than its patch. */
function isEdited(now) {
  const patch = store.patch(now.patch);
  if (!patch) return false;
  const moved = (a, b) => Math.abs(a - b) > 1e-4;
  return (
    now.embedding.some((x, i) => moved(x, patch.embedding[i])) ||
    Object.entries(now.knobs).some(([name, x]) => moved(x, patch.knobs[name] ?? 0.5)) ||
    moved(now.gain, patch.gain) ||
    moved(now.pan, patch.pan)
  );
}

function morph() {
  slider.style.setProperty("--fill", slider.value);
  link.turn(store.of("morph"), ends[0].value, ends[1].value, Number(slider.value));
}

slider.addEventListener("input", morph);
for (const end of ends) {
  end.addEventListener("change", () => {
    morph();
    end.blur();
  });
}
for (const [id, target, words] of OTHERS) canLearn(document.getElementById(id), target, words);
store.addEventListener("hello", build);
store.when(["patches"], names);
store.when(["patches", "part"], show);
