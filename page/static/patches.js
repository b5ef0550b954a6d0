// Keep: the patches of the bank; choose, search, save, and edit those of one's own.

import { css, theme } from "./colour.js";
import { ask } from "./dialog.js";
import { link } from "./link.js";
import { store } from "./store.js";
import { toast } from "./toast.js";

const MOST_BYTES = 50_000;

const list = document.getElementById("patches");
const search = document.getElementById("search");
const liked = document.getElementById("liked");
const menu = document.getElementById("menu");
const byId = (id) => document.getElementById(id);
const form = document.getElementById("save");
const name = document.getElementById("name");

function shown() {
  const words = search.value.toLowerCase().split(/[\s-]+/).filter(Boolean);
  const only = liked.getAttribute("aria-pressed") === "true";
  const about = ({ name, tags, author }) => [name, ...tags, author].join(" ").toLowerCase();
  return store.patches.filter((patch) => (patch.favourite || !only) && words.every((word) => about(patch).includes(word)));
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
    item.title = [patch.tags.join(", "), patch.author, patch.date].filter(Boolean).join(" · ");
    item.append(dot, text);
    if (patch.favourite) {
      const star = document.createElement("em");
      star.textContent = "★";
      star.ariaLabel = "favourite";
      item.append(star);
    }
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
  const patch = store.patch(store.now.patch);
  for (const id of ["describe", "rename", "delete"]) byId(id).disabled = !patch?.own;
  byId("like").textContent = patch?.favourite ? "No longer a favourite" : "Favourite";
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
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = name.value.trim();
  if (!wanted) return name.focus();
  const known = Boolean(store.patch(wanted));
  if (known && !(await ask(`Overwrite ${wanted}?`, "Overwrite"))) return;
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
  "/patch/duplicate.reply": ([old, copy]) => {
    choose(copy);
    toast(`${copy} is a copy of ${old}.`, undo);
  },
  "/patch/describe.reply": ([described]) => toast(`Changed author and tags of ${described}.`, undo),
  "/patch/export.reply": ([patch, content]) => download(patch, content),
  "/patch/import.reply": ([added]) => {
    choose(added);
    toast(`Imported ${added}.`, undo);
  },
  "/patch/undo.reply": (names) => toast(`Undone: ${names.join(", ")}.`),
};
link.on("reply", ([address, values]) => SAID[address]?.(values));
const does = {
  like: (patch) => link.send("/patch/favourite", patch.name, patch.favourite ? 0 : 1),
  async duplicate(patch) {
    const [wanted] = (await ask(`Duplicate ${patch.name}`, "Duplicate", [{ label: "Name of the copy", value: `${patch.name} 2` }])) ?? [];
    if (wanted) link.send("/patch/duplicate", patch.name, wanted);
  },
  async describe(patch) {
    const said = await ask(`About ${patch.name}`, "Save", [
      { label: "Author", value: patch.author },
      { label: "Tags, with commas between them", value: patch.tags.join(", ") },
    ]);
    if (said) link.send("/patch/describe", patch.name, ...said);
  },
  async rename(patch) {
    const [wanted] = (await ask(`Rename ${patch.name}`, "Rename", [{ label: "New name", value: patch.name }])) ?? [];
    if (wanted && wanted !== patch.name) link.send("/patch/rename", patch.name, wanted);
  },
  delete: (patch) => link.send("/patch/delete", patch.name),
  export: (patch) => link.send("/patch/export", patch.name),
  import: () => byId("import-file").click(),
};
for (const [id, act] of Object.entries(does)) {
  byId(id).addEventListener("click", () => {
    menu.hidePopover();
    const patch = store.patch(store.now.patch);
    if (patch) act(patch);
  });
}
// Beside its button, whatever the size of the window.
menu.addEventListener("toggle", ({ newState }) => {
  if (newState !== "open") return;
  const { left, top } = byId("more").getBoundingClientRect();
  menu.style.left = `${Math.max(Math.min(left, innerWidth - menu.offsetWidth - 8), 8)}px`;
  menu.style.top = `${Math.max(top - menu.offsetHeight - 6, 8)}px`;
});
liked.addEventListener("click", () => {
  liked.setAttribute("aria-pressed", liked.getAttribute("aria-pressed") !== "true");
  draw();
});

/** Hand the server the file of a patch, as one of the user's. */
export async function importPatch(file) {
  if (file.size > MOST_BYTES) return toast(`${file.name} is no patch: it is too large.`);
  link.send("/patch/import", file.name.replace(/\.yaml$/i, ""), await file.text());
}

byId("import-file").addEventListener("change", ({ target }) => {
  if (target.files.length) importPatch(target.files[0]);
  target.value = "";
});

function download(patch, content) {
  const away = document.createElement("a");
  away.href = URL.createObjectURL(new Blob([content], { type: "application/yaml" }));
  away.download = `${patch}.yaml`;
  away.click();
  URL.revokeObjectURL(away.href);
}

store.when(["patches"], draw);
store.when(["part"], mark);
addEventListener("theme", () => store.now && draw());
