// A patch from a recording: a card with how far it is, then the recording and the patch to compare.

import { ask } from "./dialog.js";
import { link } from "./link.js";
import { store } from "./store.js";
import { toast } from "./toast.js";

export const SOUNDS = /\.(wav|flac|ogg|oga|mp3|aiff?)$/i;
const MOST_BYTES = 64 * 2 ** 20;
const PAUSE_S = 0.7; // of silence between the two takes, as trainer/fit/takes.py writes them

const card = document.getElementById("fit");
const byId = (id) => document.getElementById(id);
const player = byId("fit-sound");
const takes = [byId("fit-a"), byId("fit-b")];
let fit = null;

/** Ask what the patch is to be called, and let the server fit it; score: a MIDI file of its notes, or null. */
export async function fitTo(recording, score) {
  if (recording.size > MOST_BYTES) return toast(`${recording.name} is larger than ${MOST_BYTES / 2 ** 20} MiB.`);
  const fields = [{ label: "Name of the new patch", value: recording.name.replace(/\.[^.]*$/, "") }];
  if (!score) fields.push({ label: "Notes at once (drop its MIDI file, too, for a better fit)", value: "one", options: ["one", "several"] });
  const said = await ask(`A patch from ${recording.name}`, "Fit", fields);
  if (!said) return;
  const [name, voices = "one"] = said;
  const asked = new URLSearchParams({ name, file: recording.name, voices, score: score?.size ?? 0 });
  const body = new Blob(score ? [score, recording] : [recording]);
  const answer = await fetch(`fit?${asked}`, { method: "POST", body });
  const { error } = await answer.json();
  if (error) toast(error);
}

const stop = () => fetch("fit", { method: "DELETE" });

/** "at best   2.7 dB, as ..." as [name, text]. */
function parted(line) {
  const [name, ...text] = line.split(/\s{2,}/);
  return [name, text.join(" ")];
}

function show() {
  card.hidden = !fit;
  if (!fit) return player.removeAttribute("src");
  const done = fit.state === "done";
  card.dataset.state = fit.state;
  byId("fit-title").textContent = done ? `${fit.name} is ready` : fit.state === "failed" ? `${fit.name}: no patch` : `Fitting ${fit.name} …`;
  byId("fit-share").value = fit.share;
  const hidden = new Set(["patch", "compare", "picture"]);
  const lines = fit.lines.map(parted).filter(([name]) => !hidden.has(name));
  if (fit.error) lines.push(["reason", fit.error]);
  byId("fit-lines").replaceChildren(...lines.flatMap(([name, text]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    [dt.textContent, dd.textContent] = [name, text];
    return [dt, dd];
  }));
  byId("fit-stop").textContent = fit.state === "running" ? "Cancel" : "Close";
  const picture = byId("fit-picture");
  const source = `fit/picture.png?${fit.number}`;
  if (done && picture.getAttribute("src") !== source) {
    picture.src = source;
    player.src = `fit/comparison.wav?${fit.number}`;
  }
}

/** Where each take begins and ends in the sound: they are equally long, with a pause between. */
function spans() {
  const length = (player.duration - PAUSE_S) / 2;
  return [[0, length], [length + PAUSE_S, player.duration]];
}

function mark(which) {
  takes.forEach((take, i) => take.setAttribute("aria-pressed", i === which));
}

takes.forEach((take, i) => take.addEventListener("click", () => {
  if (!Number.isFinite(player.duration)) return;
  const playing = take.getAttribute("aria-pressed") === "true";
  mark(-1);
  player.pause();
  if (playing) return;
  [player.currentTime] = spans()[i];
  player.play();
  mark(i);
}));
player.addEventListener("timeupdate", () => {
  const which = takes.findIndex((take) => take.getAttribute("aria-pressed") === "true");
  if (which >= 0 && player.currentTime < spans()[which][1] - 0.02) return;
  player.pause();
  mark(-1);
});
player.addEventListener("ended", () => mark(-1));
byId("fit-play").addEventListener("click", () => link.send(store.of("patch"), fit.name));
byId("fit-stop").addEventListener("click", stop);
link.on("fit", (now) => {
  fit = now;
  show();
});
link.on("hello", () => {
  fit = null;
  show();
});
