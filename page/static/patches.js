// Keep: the patches of the bank; choose, search, save.

import { css, theme } from "./colour.js";
import { link } from "./link.js";
import { store } from "./store.js";
import { toast } from "./toast.js";

const list = document.getElementById("patches");
const search = document.getElementById("search");
const own = document.getElementById("own");
const form = document.getElementById("save");
const name = document.getElementById("name");

function shown() {
  const words = search.value.toLowerCase().split(/[\s-]+/).filter(Boolean);
  return store.patches.filter((patch) => words.every((word) => patch.name.toLowerCase().includes(word)));
}

function draw() {
  const look = theme();
  const items = shown().map((patch) => {
    const item = document.createElement("li");
    item.id = `patch ${patch.name}`;
    item.role = "option";
    item.dataset.name = patch.name;
    item.setAttribute("aria-selected", patch.name === store.now.patch);
    const dot = document.createElement("i");
    dot.style.background = css(look.dark ? 0.74 : 0.6, 0.14, store.hues.get(patch.name));
    const text = document.createElement("span");
    text.textContent = patch.name.replaceAll("-", " ");
    item.append(dot, text);
    if (patch.program !== null) {
      const program = document.createElement("small");
      program.textContent = patch.program + 1;
      program.title = `General MIDI program ${patch.program + 1}`;
      item.append(program);
    }
    return item;
  });
  list.replaceChildren(...items);
  mark();
}

function mark() {
  own.hidden = !store.patch(store.now.patch)?.own;
  for (const item of list.children) {
    const chosen = item.dataset.name === store.now.patch;
    if (chosen && item.getAttribute("aria-selected") !== "true") item.scrollIntoView({ block: "nearest" });
    item.setAttribute("aria-selected", chosen);
    if (chosen) list.setAttribute("aria-activedescendant", item.id);
  }
}

function choose(patch) {
  link.send(store.of("patch"), patch);
}

/** The patch some steps on in what is listed, from the last to the first. */
function step(by) {
  const names = shown().map((patch) => patch.name);
  if (!names.length) return;
  const at = names.indexOf(store.now.patch);
  choose(names[(at + by + names.length) % names.length]);
}

list.addEventListener("click", (event) => {
  const item = event.target.closest("li");
  if (item) choose(item.dataset.name);
});
list.addEventListener("keydown", (event) => {
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  step(by);
});
search.addEventListener("input", draw);
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape") [search.value] = ["", search.blur()];
  if (event.key === "Enter" && shown().length) choose(shown()[0].name);
  draw();
});
document.getElementById("previous").addEventListener("click", () => step(-1));
document.getElementById("next").addEventListener("click", () => step(1));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = name.value.trim();
  if (!wanted) return name.focus();
  const known = Boolean(store.patch(wanted));
  if (known && !confirm(`Overwrite ${wanted}?`)) return;
  link.send("/patch/save", store.part, wanted, known ? 1 : 0);
});
const undo = { name: "Undo", act: () => link.send("/patch/undo") };
const SAID = {
  "/patch/save.reply": ([, saved]) => {
    name.value = "";
    name.blur();
    toast(`Saved ${saved}.`, undo);
  },
  "/patch/delete.reply": ([gone]) => toast(`Deleted ${gone}.`, undo),
  "/patch/rename.reply": ([old, now]) => toast(`${old} is now ${now}.`, undo),
  "/patch/undo.reply": (names) => toast(`Undone: ${names.join(", ")}.`),
};
link.on("reply", ([address, values]) => SAID[address]?.(values));
document.getElementById("delete").addEventListener("click", () => link.send("/patch/delete", store.now.patch));
document.getElementById("rename").addEventListener("click", () => {
  const old = store.now.patch;
  const wanted = prompt("New name", old)?.trim();
  if (wanted && wanted !== old) link.send("/patch/rename", old, wanted);
});
store.when(["patches"], draw);
store.when(["part"], mark);
addEventListener("theme", () => store.now && draw());
