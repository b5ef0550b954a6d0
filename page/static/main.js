// The page: puts the rooms together, and what belongs to none of them.

import "./theme.js";
import "./keyboard.js";
import "./listen.js";
import "./map.js";
import "./desks.js";
import "./fit.js";
import "./mixer.js";
import "./monitor.js";
import "./notice.js";
import "./patches.js";
import "./scope.js";
import "./shape.js";
import "./song.js";
import { asking } from "./dialog.js";
import { link } from "./link.js";
import { store } from "./store.js";
import { toast } from "./toast.js";

const PHONE_PANELS = new Set(["sound", "mix", "monitor"]);

for (const tab of document.querySelectorAll("[data-panel][role=tab]")) {
  tab.addEventListener("click", () => open(document.body.dataset.view, tab.dataset.panel));
}
for (const button of document.querySelectorAll("nav [data-view]")) {
  const { view } = button.dataset;
  button.addEventListener("click", () => open(view, PHONE_PANELS.has(view) ? view : document.body.dataset.panel));
}

/** Show a view (on a phone) and a panel. */
function open(view, panel) {
  document.body.dataset.view = view;
  document.body.dataset.panel = panel;
  for (const tab of document.querySelectorAll("[role=tab]")) tab.ariaSelected = tab.dataset.panel === panel;
  for (const button of document.querySelectorAll("nav [data-view]")) {
    button.ariaCurrent = button.dataset.view === view ? "page" : null;
  }
}
open("shape", "sound");

const panic = () => link.send("/panic");
document.getElementById("panic").addEventListener("click", panic);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !asking() && !event.target.matches?.("input:not([type=range])")) panic();
});

store.addEventListener("hello", () => {
  document.getElementById("bank").textContent = store.hello.bank;
  document.title = `melstream – ${store.hello.bank}`;
});
link.on("open", () => document.body.classList.remove("lost"));
link.on("close", () => document.body.classList.add("lost"));
link.on("error", ([address, reason]) => toast(address ? `${address}: ${reason}` : reason));
link.connect();
