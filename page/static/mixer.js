// Mix: sixteen strips with patch, gain, pan, mute, solo and level.

import { css, theme } from "./colour.js";
import { decibels, panned } from "./shape.js";
import { LIT_MS, drove, levels, onFrame } from "./scope.js";
import { fadedOf } from "./notice.js";
import { link } from "./link.js";
import { store } from "./store.js";

const GAIN = [-36, 12];
const FLOOR_DB = -60;
const HOLD_MS = 2000; // how long the highest peak is shown

const panel = document.getElementById("panel-mix");
const choice = document.getElementById("parts");
const strips = new Map();

function build() {
  panel.replaceChildren();
  choice.replaceChildren();
  strips.clear();
  for (let part = 1; part <= 16; part++) {
    const strip = document.createElement("div");
    strip.className = "strip";
    strip.role = "group";
    strip.ariaLabel = `Part ${part}`;
    strip.innerHTML = `<div class="head"><button class="number">${part}</button><button class="drives" aria-label="Limiter, part ${part}"></button></div><select aria-label="Patch of part ${part}"></select>
      <div class="fader"><i></i><b></b><input type="range" class="gain" min="${GAIN[0]}" max="${GAIN[1]}" step="0.1" aria-label="Gain of part ${part}"></div>
      <div class="switches"><button class="mute" aria-label="Mute part ${part}" title="Mute">M</button><button class="solo" aria-label="Solo part ${part}" title="Solo: only soloed parts are heard">S</button></div>
      <input type="range" class="pan" min="-1" max="1" step="0.01" aria-label="Pan of part ${part}"><output></output>`;
    const [patch, gain, pan] = ["select", ".gain", ".pan"].map((s) => strip.querySelector(s));
    const [mute, solo] = [".mute", ".solo"].map((s) => strip.querySelector(s));
    patch.addEventListener("change", () => {
      link.send(`/part/${part}/patch`, patch.value);
      patch.blur();
    });
    gain.addEventListener("input", () => link.turn(`/part/${part}/gain_db`, Number(gain.value)));
    gain.addEventListener("dblclick", () => link.turn(`/part/${part}/gain_db`, 0));
    pan.addEventListener("input", () => link.turn(`/part/${part}/pan`, Number(pan.value)));
    pan.addEventListener("dblclick", () => link.turn(`/part/${part}/pan`, 0));
    mute.addEventListener("click", () => link.send(`/part/${part}/mute`, store.parts[part].muted ? 0 : 1));
    solo.addEventListener("click", () => link.send(`/part/${part}/solo`, store.parts[part].soloed ? 0 : 1));
    strip.querySelector(".number").addEventListener("click", () => store.choosePart(part));
    const drives = strip.querySelector(".drives");
    drives.addEventListener("click", () => {
      drove.delete(part);
      lit(drives, "");
    });
    lit(drives, "");
    panel.append(strip);
    const chip = document.createElement("button");
    chip.role = "radio";
    chip.textContent = part;
    chip.ariaLabel = `Part ${part}`;
    chip.addEventListener("click", () => store.choosePart(part));
    choice.append(chip);
    strips.set(part, { strip, patch, gain, pan, mute, solo, chip, drives, output: strip.querySelector("output"), light: strip.querySelector("i"),
      mark: strip.querySelector(".fader b"), held: FLOOR_DB, heldAt: 0 });
  }
}

// One choice, one stop of the Tab key: arrows move within it.
choice.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  store.choosePart(((store.part - 1 + by + 16) % 16) + 1);
  strips.get(store.part).chip.focus();
});

function show() {
  const look = theme();
  const soloing = Object.values(store.parts).some((now) => now.soloed);
  for (const [part, { strip, patch, gain, pan, mute, solo, chip, output }] of strips) {
    const now = store.parts[part];
    if (!now) continue;
    if (document.activeElement !== patch) patch.value = now.patch;
    if (!gain.matches(":active")) gain.value = now.gain;
    if (!pan.matches(":active")) pan.value = now.pan;
    mute.ariaPressed = now.muted;
    solo.ariaPressed = now.soloed;
    const silent = now.muted || (soloing && !now.soloed);
    strip.classList.toggle("silent", silent);
    chip.classList.toggle("silent", silent);
    gain.ariaValueText = decibels(now.gain);
    pan.ariaValueText = panned(now.pan);
    output.textContent = decibels(now.gain).replace(" dB", "");
    strip.classList.toggle("chosen", part === store.part);
    chip.ariaChecked = part === store.part;
    chip.tabIndex = part === store.part ? 0 : -1;
    const colour = css(look.dark ? 0.74 : 0.6, 0.14, store.hue(now.embedding));
    strip.style.setProperty("--part", colour);
    chip.style.setProperty("--part", colour);
  }
}

function names() {
  for (const { patch } of strips.values()) {
    patch.replaceChildren(...store.patches.map(({ name }) => new Option(name.replaceAll("-", " "), name)));
  }
}

/** Show whether a part drives the limiter: "on" now, "was" earlier, "" not since it was clicked. */
function lit(drives, state) {
  if (drives.dataset.state === state) return;
  drives.dataset.state = state;
  drives.title = state ? "The mix is limited where this part is loud: turn its gain down. Click to forget"
    : "Lights where this part drives the limiter of the mix";
}

const shareOf = (db) => Math.min(Math.max(1 - db / FLOOR_DB, 0), 1).toFixed(3);

onFrame((now) => {
  for (const [part, strip] of strips) {
    const { chip, light, mark, drives } = strip;
    const db = levels.get(part) ?? FLOOR_DB;
    if (db >= strip.held || now - strip.heldAt > HOLD_MS) {
      if (db !== strip.held) mark.style.setProperty("--level", shareOf(db));
      [strip.held, strip.heldAt] = [db, now];
    }
    if (drove.has(part)) lit(drives, now - drove.get(part) < LIT_MS ? "on" : "was");
    const level = shareOf(db);
    if (light.dataset.level === level) continue;
    light.dataset.level = level;
    light.style.setProperty("--level", level);
    chip.style.setProperty("--level", level);
  }
});

link.on("status", (status) => {
  const faded = fadedOf(status);
  for (const [part, { strip, chip }] of strips) {
    for (const one of [strip, chip]) one.classList.toggle("faded", faded.includes(part));
    chip.title = faded.includes(part) ? "Faded out: there is too much to do" : "";
  }
});

store.addEventListener("hello", build);
store.when(["patches"], names);
store.when(["patches", "parts", "part"], show);
addEventListener("theme", () => store.now && show());
