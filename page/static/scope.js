// See: mel spectrogram and piano roll, scrolling together; level meters; limiter lamp.

import { css, rgb, theme } from "./colour.js";
import { fitted } from "./canvas.js";
import { link } from "./link.js";
import { store } from "./store.js";

const RING = 4096; // columns that are kept
const BEHIND = 6; // columns that the picture runs behind, so that it scrolls evenly
const AHEAD = 50; // columns that it may run ahead of what has come
const ROLL = 0.36; // share of the height for the piano roll
const GAP = 6;
const FLOOR_DB = -60;
const FALL_DB = 24; // a second, of meters
export const LIT_MS = 400; // how long a limiter's lamp stays lit

const canvas = document.getElementById("scope");
const meter = document.getElementById("meter");
const lamp = document.getElementById("limiter");

let ring = null;
let brush = null;
let colours = null;
let newest = -1;
let arrived = 0;
let shown = -1;
let loudUntil = -1;
let lastNote = -1;
let notes = [];
const sounding = new Map();
const peaks = { left: FLOOR_DB, right: FLOOR_DB, hold: [FLOOR_DB, FLOOR_DB], at: 0 };
export const levels = new Map(); // part -> dB, falling
export const drove = new Map(); // part -> when it last drove the limiter, of performance.now()
let limited = 0;

/** The colour of each loudness 0..255: from the paper to the brightest. */
function palette() {
  const look = theme();
  const table = new Uint8ClampedArray(256 * 4);
  const paper = look.card.match(/^#(..)(..)(..)$/).slice(1).map((hex) => parseInt(hex, 16));
  for (let i = 0; i < 256; i++) {
    // The lowest third is noise that nobody hears.
    const t = Math.min(Math.max((i / 255 - 0.3) / 0.62, 0), 1);
    const hue = 285 + 135 * t;
    const colour = look.dark ? rgb(0.2 + 0.72 * t, 0.16 * Math.sin(Math.PI * t ** 0.8), hue)
      : rgb(0.97 - 0.72 * t, 0.15 * Math.sin(Math.PI * t ** 0.7), 60 - 140 * t);
    const mix = Math.min(4 * t, 1);
    table.set([...colour.map((c, k) => paper[k] + mix * (c - paper[k])), 255], 4 * i);
  }
  return table;
}

function begin() {
  ring = new OffscreenCanvas(RING, store.hello.mels);
  brush = ring.getContext("2d");
  newest = shown = loudUntil = lastNote = -1;
  notes = [];
  sounding.clear();
}

function take(columns) {
  if (!ring || !columns.length) return;
  colours ??= palette();
  const mels = store.hello.mels;
  for (const column of columns) {
    if (newest < 0) newest = column.number - 1;
    // What was missed is blank.
    for (let n = Math.max(newest + 1, column.number - RING); n <= column.number; n++) brush.clearRect(n % RING, 0, 1, mels);
    newest = Math.max(newest, column.number);
    if (column.mel) paint(column);
    for (const [part, key, velocity] of column.notes) score(column.number + store.hello.delay, part, key, velocity);
    level(column);
  }
  arrived = performance.now();
  if (columns.some(({ mel, notes, levels }) => mel || notes.length || levels.length)) wake();
}

function paint({ number, mel }) {
  const image = brush.createImageData(1, mel.length);
  for (let i = 0; i < mel.length; i++) {
    const from = 4 * mel[mel.length - 1 - i];
    for (let k = 0; k < 4; k++) image.data[4 * i + k] = colours[from + k];
  }
  brush.putImageData(image, number % RING, 0);
  loudUntil = number;
}

function score(at, part, key, velocity) {
  const id = `${part} ${key}`;
  lastNote = at;
  const open = sounding.get(id);
  if (open) open.end = at;
  sounding.delete(id);
  if (!velocity) return;
  const note = { part, key, velocity, start: at, end: null, hue: store.hue(store.parts[part]?.embedding ?? [0, 0]) };
  notes.push(note);
  sounding.set(id, note);
  notes = notes.filter((n) => n.end === null || n.end > newest - RING);
}

const inDb = (peak) => Math.max(20 * Math.log10(peak || 1e-6), FLOOR_DB);

function level({ left, right, limited: over, levels: parts, drivers }) {
  peaks.left = Math.max(peaks.left, inDb(left));
  peaks.right = Math.max(peaks.right, inDb(right));
  if (over) limited = performance.now();
  for (const part of drivers) drove.set(part, limited);
  for (const [part, peak] of parts) levels.set(part, Math.max(levels.get(part) ?? FLOOR_DB, inDb(peak)));
}

/** What is brought to the screen this frame: the newest column, a little behind, moved on evenly. */
function position(now) {
  const expected = newest - BEHIND + ((now - arrived) / 1000) * store.hello.frameRate;
  // In silence little is sent: the picture goes on by itself for a while.
  const wanted = Math.min(expected, newest + AHEAD);
  shown = Math.abs(wanted - shown) > 30 ? wanted : shown + (wanted - shown) * 0.2 + 0.8 * Math.min(elapsed, 4);
  return shown;
}
let elapsed = 0;

const redraw = fitted(canvas, (context, width, height) => {
  const look = theme();
  context.clearRect(0, 0, width, height);
  if (!ring || newest < 0) return;
  const end = position(performance.now());
  const tall = Math.round(height * (1 - ROLL)) - GAP;
  drawMel(context, width, tall, end);
  drawRoll(context, width, height, tall + GAP, end, look);
});

function drawMel(context, width, tall, end) {
  context.imageSmoothingEnabled = true;
  const first = Math.max(Math.ceil(end - width), 0);
  const last = Math.min(end, newest + 1);
  for (let from = first; from < last; ) {
    const at = from % RING;
    const count = Math.min(RING - at, Math.ceil(last - from));
    context.drawImage(ring, at, 0, count, ring.height, width - (end - from), 0, count, tall);
    from += count;
  }
}

function drawRoll(context, width, height, top, end, look) {
  const [low, high] = store.hello.keys;
  const step = (height - top) / (high - low + 1);
  context.fillStyle = look.ink;
  context.globalAlpha = 0.06;
  for (let key = 24; key <= high; key += 12) context.fillRect(0, height - (key - low) * step, width, 1);
  context.globalAlpha = 1;
  for (const note of notes) {
    const from = width - (end - note.start);
    const to = width - (end - (note.end ?? end));
    if (to < 0 || from > width) continue;
    context.fillStyle = css(look.dark ? 0.72 : 0.6, 0.15, note.hue, 0.45 + 0.55 * (note.velocity / 127));
    const tall = Math.max(step - 0.5, 2);
    context.beginPath();
    context.roundRect(from, height - (note.key - low + 1) * step, Math.max(to - from, 2), tall, tall / 2);
    context.fill();
  }
}

const remeter = fitted(meter, (context, width, height) => {
  const look = theme();
  context.clearRect(0, 0, width, height);
  const wide = (width - 4) / 2;
  for (const [i, db] of [peaks.left, peaks.right].entries()) {
    const x = i * (wide + 4);
    const y = (d) => height * (1 - (d - FLOOR_DB) / -FLOOR_DB);
    context.fillStyle = look.line;
    context.beginPath();
    context.roundRect(x, 0, wide, height, wide / 2);
    context.fill();
    if (db > FLOOR_DB + 0.5) {
      context.save();
      context.clip();
      context.fillStyle = css(look.dark ? 0.74 : 0.62, 0.15, db > -3 ? 30 : Number(getComputedStyle(document.body).getPropertyValue("--hue")));
      context.fillRect(x, y(Math.min(db, 0)), wide, height);
      context.restore();
    }
    peaks.hold[i] = Math.max(db, peaks.hold[i] - 0.15);
    if (peaks.hold[i] > FLOOR_DB + 1) {
      context.fillStyle = look.ink;
      context.fillRect(x + 1, y(Math.min(peaks.hold[i], 0)), wide - 2, 1.5);
    }
  }
});

let before = performance.now();
let awake = false;
const others = [];

/** Call act every frame while something moves. */
export function onFrame(act) {
  others.push(act);
}

/** Draw every frame until the picture is blank again. */
function wake() {
  if (awake) return;
  awake = true;
  before = performance.now();
  requestAnimationFrame(frame);
}

function frame(now) {
  const seconds = Math.min((now - before) / 1000, 0.1);
  before = now;
  elapsed = seconds * (store.hello?.frameRate ?? 0);
  const fall = FALL_DB * seconds;
  peaks.left = Math.max(peaks.left - fall, FLOOR_DB);
  peaks.right = Math.max(peaks.right - fall, FLOOR_DB);
  for (const [part, db] of levels) levels.set(part, Math.max(db - fall, FLOOR_DB));
  lamp.classList.toggle("on", now - limited < LIT_MS);
  redraw();
  remeter();
  for (const act of others) act(now);
  // A picture that has gone blank need not be drawn again.
  awake = sounding.size > 0 || shown - Math.max(loudUntil, lastNote) < canvas.clientWidth + AHEAD || peaks.hold[0] > FLOOR_DB + 1;
  if (awake) requestAnimationFrame(frame);
}

link.on("columns", take);
link.on("held", (held) => {
  for (const [part, key, velocity] of held) score(Math.max(newest, 0), part, key, velocity);
  if (held.length) wake();
});
store.addEventListener("hello", begin);
addEventListener("theme", () => (colours = null));
