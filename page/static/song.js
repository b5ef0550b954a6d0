// Files dropped on the page: MIDI files are played by the server in time, patches become the user's.

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
  button.title = song ? `Stop ${song.name} (${clock(song.seconds)})` : "Play a MIDI file; or drop one on this page";
}

function clock(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

button.addEventListener("click", () => (song ? fetch("song", { method: "DELETE" }) : file.click()));
file.addEventListener("change", () => {
  if (file.files.length) play(file.files[0]).catch((error) => toast(error.message));
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
  const [dropped] = event.dataTransfer.files;
  if (/\.yaml$/i.test(dropped.name)) importPatch(dropped);
  else play(dropped).catch((error) => toast(error.message));
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
