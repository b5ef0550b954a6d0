// What the server tells of itself: load, latency, counters, and the last messages that reached it.

import { link } from "./link.js";
import { overloadOf } from "./notice.js";
import { store } from "./store.js";

const KEPT = 100;
const COUNTS = [
  ["underruns", "gaps in the sound"],
  ["late", "late events"],
  ["dropped", "dropped events"],
  ["malformed", "malformed packets"],
  ["refused", "refused messages"],
  ["malformed_midi", "malformed MIDI"],
  ["ignored", "ignored MIDI"],
  ["outside", "notes out of range"],
  ["page_dropped", "blocks missed by pages"],
];

const facts = document.getElementById("facts");
const messages = document.getElementById("messages");
const byId = (id) => document.getElementById(id);

function row(name, value, bad = false) {
  const dt = document.createElement("dt");
  const dd = document.createElement("dd");
  dt.textContent = name;
  dd.textContent = value;
  dd.classList.toggle("bad", bad);
  return [dt, dd];
}

function show(status) {
  const ms = (v) => `${v.toFixed(v < 10 ? 1 : 0)} ms`;
  const percent = (v) => `${Math.round(100 * v)} %`;
  byId("load").textContent = percent(status.load);
  byId("latency").textContent = `${Math.round(status.latency_ms)} ms`;
  byId("latency").parentElement.title = `From a key to its sound, at the server: block ${ms(status.block_ms)}, ` +
    `lookahead ${ms(status.lookahead_ms)}, vocoder ${ms(status.vocoder_ms)}, output ${ms(status.output_ms)}`;
  byId("load").parentElement.classList.toggle("bad", status.load > 0.9 || status.overload > 0);
  const { lines } = store.hello;
  facts.replaceChildren(
    ...row("sound", lines.sound), ...row("MIDI", lines.midi), ...row("OSC", lines.osc), ...row("vocoder", lines.vocoder),
    ...row("load", `${percent(status.load)}, peak ${percent(status.peak_load)}, parts that sound: ${status.parts}`),
    ...(status.overloads ? row("overload", overloadOf(status) || `${status.overloads} so far, over now`, status.overload > 0) : []),
    ...(status.fault ? row("fault", status.fault, true) : []),
    ...row("latency", `block ${ms(status.block_ms)} + lookahead ${ms(status.lookahead_ms)} + vocoder ${ms(status.vocoder_ms)} + output ${ms(status.output_ms)}`),
    ...row("limiter", status.limited_s ? `${status.limited_s.toFixed(2)} s, at most ${status.limited_db.toFixed(1)} dB` : "at rest"),
    ...COUNTS.filter(([key]) => status[key] || key === "underruns").flatMap(([key, name]) => row(name, status[key], status[key] > 0)),
  );
}

function add(heard) {
  const stays = messages.scrollTop < 8;
  for (const { at, source, sender, text, problem } of heard) {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = new Date(1000 * at).toLocaleTimeString([], { hour12: false });
    const from = document.createElement("b");
    from.textContent = source;
    from.className = source;
    from.title = sender;
    const said = document.createElement("span");
    said.textContent = text;
    item.append(time, from, said);
    if (problem) {
      const why = document.createElement("em");
      why.textContent = problem;
      item.append(why);
    }
    messages.prepend(item);
  }
  while (messages.children.length > KEPT) messages.lastChild.remove();
  if (stays) messages.scrollTop = 0;
}

link.on("status", (status) => store.hello && show(status));
link.on("messages", add);
link.on("hello", () => messages.replaceChildren());
