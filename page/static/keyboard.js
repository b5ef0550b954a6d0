// The keyboard: 88 keys for mouse, fingers and the computer's own keys; pedal; MIDI keyboards.

import { asking } from "./dialog.js";
import { link } from "./link.js";
import { store } from "./store.js";
import { toast } from "./toast.js";
import { wake } from "./listen.js";

const BLACK = new Set([1, 3, 6, 8, 10]);
const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
// As DAWs lay them out: the middle row is white keys, the row above it black ones.
const ROW = ["KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ",
  "KeyK", "KeyO", "KeyL", "KeyP", "Semicolon", "Quote"];
const LETTERS = ["A", "W", "S", "E", "D", "F", "T", "G", "Y", "H", "U", "J", "K", "O", "L", "P", ";", "'"];
const SUSTAIN = 64;
const PEDALS = new Set([SUSTAIN, 66, 67]);
const STRUCK_BY_LETTER = 90;

const keys = document.getElementById("keys");
const window_ = document.getElementById("keys-window");
const pedal = document.getElementById("pedal");
const octave = document.getElementById("octave");
const midiButton = document.getElementById("midi");

const tiles = new Map();
// Who holds a key: several fingers, letters or MIDI keys may hold the same one.
const holders = new Map();
const fingers = new Map();
const letters = new Map();
let lowest = 48;
let spaceHeld = false;
// The part of each pedal that is down, and of each pitch wheel that is away from its middle.
const moved = new Map();

function build([low, high]) {
  keys.replaceChildren();
  tiles.clear();
  const whites = [];
  for (let key = low; key <= high; key++) if (!BLACK.has(key % 12)) whites.push(key);
  keys.style.setProperty("--whites", whites.length);
  for (let key = low; key <= high; key++) {
    const black = BLACK.has(key % 12);
    const tile = document.createElement("div");
    tile.className = black ? "key black" : "key white";
    tile.dataset.key = key;
    const before = whites.filter((white) => white < key).length;
    tile.style.setProperty("--at", before);
    if (key % 12 === 0) tile.dataset.name = `C${key / 12 - 1}`;
    keys.append(tile);
    tiles.set(key, tile);
  }
  letterNames();
  requestAnimationFrame(showOctave);
}

/** Whether a key sounds with the patch that is played: not every instrument has all. */
function sounds(key) {
  const { patch, towards, morph } = store.now ?? {};
  const [low, high] = store.patch((morph ?? 0) > 0.5 ? towards : patch)?.keys ?? [0, 127];
  return low <= key && key <= high;
}

/** Strike a key for a holder: whatever will release it. */
function strike(key, velocity, holder) {
  if (!tiles.has(key) || !sounds(key)) return;
  wake();
  release(holder);
  holders.set(holder, { part: store.part, key });
  link.send(store.of("note"), key, Math.round(velocity));
}

function release(holder) {
  const held = holders.get(holder);
  if (!held) return;
  holders.delete(holder);
  for (const other of holders.values()) if (other.part === held.part && other.key === held.key) return;
  link.send(`/part/${held.part}/note`, held.key, 0);
}

function releaseAll() {
  for (const holder of [...holders.keys()]) release(holder);
  fingers.clear();
  letters.clear();
  spaceHeld = false;
  press(false);
}

/** The key at a point, and how far down it: 0 at the back, 1 at the front edge. */
function keyAt(event) {
  const tile = document.elementFromPoint(event.clientX, event.clientY)?.closest?.(".key");
  if (!tile) return null;
  const box = tile.getBoundingClientRect();
  return { key: Number(tile.dataset.key), down: (event.clientY - box.top) / box.height };
}

// A finger at the front edge has the longest lever: there a key sounds loudest.
const velocityAt = (down) => Math.min(Math.max(28 + 99 * down, 1), 127);

keys.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  const hit = keyAt(event);
  if (!hit) return;
  event.preventDefault();
  keys.focus({ preventScroll: true });
  keys.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, hit.key);
  strike(hit.key, velocityAt(hit.down), `finger ${event.pointerId}`);
});
keys.addEventListener("pointermove", (event) => {
  if (!fingers.has(event.pointerId)) return;
  const hit = keyAt(event);
  if (!hit || hit.key === fingers.get(event.pointerId)) return;
  fingers.set(event.pointerId, hit.key);
  strike(hit.key, velocityAt(hit.down), `finger ${event.pointerId}`);
});
for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
  keys.addEventListener(end, (event) => {
    if (fingers.delete(event.pointerId)) release(`finger ${event.pointerId}`);
  });
}

/** Address of a command for the part of a pedal or wheel: until it is back at rest, the part on which
 * it was moved, whichever is shown meanwhile. */
function addressFor(control, atRest, name) {
  const part = moved.get(control) ?? store.part;
  if (atRest) moved.delete(control);
  else moved.set(control, part);
  return `/part/${part}/${name}`;
}

function press(down) {
  if (pedal.getAttribute("aria-pressed") === String(down)) return;
  pedal.setAttribute("aria-pressed", down);
  link.send(addressFor("pedal", !down, "cc"), SUSTAIN, down ? 127 : 0);
}

pedal.addEventListener("click", () => press(pedal.getAttribute("aria-pressed") !== "true"));

function writing(target) {
  return target.matches?.("input:not([type=range]), textarea, select");
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || asking()) return;
  const step = ROW.indexOf(event.code);
  if (step >= 0) {
    event.preventDefault();
    if (event.repeat || letters.has(event.code)) return;
    letters.set(event.code, true);
    strike(lowest + step, STRUCK_BY_LETTER, `letter ${event.code}`);
  } else if (event.code === "KeyZ" || event.code === "KeyX") {
    shift(event.code === "KeyX" ? 1 : -1);
  } else if (event.code === "Space" && (spaceHeld || !event.target.matches?.("button"))) {
    event.preventDefault();
    spaceHeld = true;
    press(true);
  }
});
addEventListener("keyup", (event) => {
  if (letters.delete(event.code)) release(`letter ${event.code}`);
  // Also where the focus has gone elsewhere meanwhile.
  if (event.code === "Space" && spaceHeld) {
    event.preventDefault();
    spaceHeld = false;
    press(false);
  }
});
addEventListener("blur", releaseAll);
document.addEventListener("visibilitychange", () => document.hidden && releaseAll());
// The server has released what a lost connection held.
link.on("close", () => {
  holders.clear();
  moved.clear();
  pedal.setAttribute("aria-pressed", false);
});

function shift(octaves) {
  const moved = lowest + 12 * octaves;
  if (moved < 12 || moved > 96) return;
  for (const code of letters.keys()) release(`letter ${code}`);
  letters.clear();
  lowest = moved;
  letterNames();
  showOctave();
}

function letterNames() {
  for (const tile of tiles.values()) delete tile.dataset.letter;
  LETTERS.forEach((letter, step) => {
    const tile = tiles.get(lowest + step);
    if (tile) tile.dataset.letter = letter;
  });
  octave.textContent = `C${lowest / 12 - 1}`;
}

/** Bring the octave of the letters into view, where not all keys fit. */
function showOctave() {
  const tile = tiles.get(lowest);
  if (tile) window_.scrollTo({ left: tile.offsetLeft - 1, behavior: "smooth" });
}

document.getElementById("down").addEventListener("click", () => shift(-1));
document.getElementById("up").addEventListener("click", () => shift(1));

/** Play with the MIDI keyboards of this computer, on the part that is shown. */
async function openMidi() {
  if (!navigator.requestMIDIAccess) return toast("This browser has no Web MIDI. Chrome, Edge and Firefox do.");
  let access;
  try {
    access = await navigator.requestMIDIAccess();
  } catch {
    return toast("MIDI keyboards are not allowed for this page, or this machine has no MIDI.");
  }
  const listen = () => {
    const inputs = [...access.inputs.values()];
    for (const input of inputs) input.onmidimessage = ({ data }) => hear(data);
    midiButton.setAttribute("aria-pressed", inputs.length > 0);
    midiButton.title = inputs.length ? inputs.map((input) => input.name).join(", ") : "No MIDI input is plugged in";
  };
  access.onstatechange = listen;
  listen();
  if (!access.inputs.size) toast("No MIDI input is plugged in. One that is plugged in later is used at once.");
}

function hear([status, first, second]) {
  const channel = status & 15;
  const holder = `midi ${channel} ${first}`;
  switch (status & 0xf0) {
    case 0x90:
      if (second) return strike(first, second, holder);
      return release(holder);
    case 0x80:
      return release(holder);
    case 0xb0: {
      const address = PEDALS.has(first) ? addressFor(`midi ${channel} ${first}`, second < 64, "cc") : store.of("cc");
      return link.send(address, first, second);
    }
    case 0xe0: {
      const bend = (first + 128 * second - 8192) / 8192;
      // Two semitones, as MIDI keyboards expect.
      return link.turn(addressFor(`midi wheel ${channel}`, !bend, "bend"), bend * 2);
    }
  }
}

midiButton.addEventListener("click", openMidi);

const lit = new Map();
export function light(part, key, velocity) {
  const by = lit.get(key) ?? new Map();
  lit.set(key, by);
  if (velocity) by.set(part, velocity);
  else by.delete(part);
  const tile = tiles.get(key);
  if (!tile) return;
  const last = [...by.entries()].at(-1);
  tile.classList.toggle("lit", Boolean(last));
  if (last) tile.style.setProperty("--hue", Math.round(store.hue(store.parts[last[0]].embedding)));
}

export function keyName(key) {
  return `${NAMES[key % 12]}${Math.floor(key / 12) - 1}`;
}

store.addEventListener("hello", () => {
  lit.clear();
  build(store.hello.keys);
});
store.when(["part", "patches"], () => {
  for (const [key, tile] of tiles) tile.classList.toggle("mute", !sounds(key));
});
link.on("held", (notes) => {
  for (const note of notes) if (store.parts[note[0]]) light(...note);
});
link.on("columns", (columns) => {
  for (const { notes } of columns) for (const note of notes) if (store.parts[note[0]]) light(...note);
});
