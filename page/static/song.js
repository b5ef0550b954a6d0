// Files dropped on the page: MIDI files are played by the server in time, recordings are made into
// patches, and patches become the user's.

import { SOUNDS, fitTo } from "./fit.js";
import { wake } from "./listen.js";
import { importPatch } from "./patches.js";
import { link } from "./link.js";
import { toast } from "./toast.js";

const button = document.getElementById("song");
const file = document.getElementById("file");
let song = null;
let begun = 0;
let timer = 0;

async function play(dropped) {
  wake();
  const answer = await fetch(`song?name=${encodeURIComponent(dropped.name)}`, { method: "POST", body: dropped });
  const { error, notes, drums } = await answer.json();
  if (error) toast(error);
  else toast(`${notes} notes${drums ? `; ${drums} of drums (channel 10) are left out` : ""}.`);
}

function show() {
  button.classList.toggle("plays", Boolean(song));
  button.textContent = song ? `■ ${clock(performance.now() / 1000 - begun)}` : "File";
  button.title = song ? `Stop ${song.name} (${clock(song.seconds)})` : "Play a MIDI file, or make a patch of a recording; or drop them on this page";
}

function clock(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** What was dropped together: a recording and its notes, or one file. */
async function take(files) {
  const is = (ending) => files.find(({ name }) => ending.test(name));
  const [recording, notes, patch] = [is(SOUNDS), is(/\.midi?$/i), is(/\.yaml$/i)];
  try {
    if (recording) await fitTo(recording, notes ?? null);
    else if (patch) await importPatch(patch);
    else await play(notes ?? files[0]);
  } catch (error) {
    toast(error.message);
  }
}

button.addEventListener("click", () => (song ? fetch("song", { method: "DELETE" }) : file.click()));
file.addEventListener("change", () => {
  if (file.files.length) take([...file.files]);
  file.value = "";
});
const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!holdsFile(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
});
link.on("song", (now) => {
  song = now;
  begun = performance.now() / 1000 - (now?.elapsed ?? 0);
  clearInterval(timer);
  if (song) timer = setInterval(show, 500);
  show();
});
link.on("hello", () => {
  song = null;
  clearInterval(timer);
  show();
});
