// Snapshots of the whole desk: save, recall by choosing, delete.

import { ask } from "./dialog.js";
import { link } from "./link.js";
import { toast } from "./toast.js";

const choice = document.getElementById("desks");
const name = document.getElementById("desk-name");
const away = document.getElementById("desk-delete");
let names = [];
let chosen = "";

function show() {
  if (!names.includes(chosen)) chosen = "";
  const first = new Option(names.length ? "Recall a desk …" : "No desk saved yet", "");
  choice.replaceChildren(first, ...names.map((known) => new Option(known, known)));
  choice.value = chosen;
  choice.disabled = !names.length;
  away.disabled = !chosen;
}

choice.addEventListener("change", () => {
  chosen = choice.value;
  away.disabled = !chosen;
  if (chosen) link.send("/desk/recall", chosen);
  choice.blur();
});
away.addEventListener("click", () => {
  if (chosen) link.send("/desk/delete", chosen);
});
document.getElementById("desk").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = name.value.trim();
  if (!wanted) return name.focus();
  const known = names.includes(wanted);
  if (known && !(await ask(`Overwrite the snapshot ${wanted}?`, "Overwrite"))) return;
  link.send("/desk/save", wanted, known ? 1 : 0);
});
const undo = { name: "Undo", act: () => link.send("/desk/undo") };
link.on("reply", ([address, [saved]]) => {
  if (address === "/desk/save.reply") {
    name.value = "";
    name.blur();
    chosen = saved;
    show();
    toast(`Saved the desk as ${saved}.`, undo);
  } else if (address === "/desk/recall.reply") toast(`The desk is as in ${saved}.`);
  else if (address === "/desk/delete.reply") toast(`Deleted the snapshot ${saved}.`, undo);
  else if (address === "/desk/undo.reply") toast(`Undone: ${saved}.`);
});
link.on("desks", (now) => {
  names = now;
  show();
});
