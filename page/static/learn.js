// MIDI learn: press the button, choose a knob, move a controller. A controller that is bound is named
// under its knob; while the button is pressed, a click on it frees it.

import { link } from "./link.js";
import { toast } from "./toast.js";

const button = document.getElementById("learn");
let learnt = { bound: {}, waiting: null };
const places = new Map();

const choosing = () => button.getAttribute("aria-pressed") === "true";

/** Let a knob be learnt: its element, its name in /midi/learn, and in a sentence. */
export function canLearn(element, name, words = name) {
  // No button within a button.
  const badge = document.createElement(element.matches("button") ? "span" : "button");
  badge.className = "badge";
  element.append(badge);
  places.set(name, { element, badge, words });
  element.addEventListener("click", (event) => {
    if (!choosing()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.target === badge) free(name);
    else ask(name);
  }, { capture: true });
  element.addEventListener("keydown", (event) => {
    if (choosing() && event.key === "Enter" && event.target !== badge) ask(name);
  });
  show();
}

/** Forget what has left the page. */
export function forgetGone() {
  for (const [name, { element }] of places) if (!element.isConnected) places.delete(name);
}

const worded = (name) => places.get(name)?.words ?? name;

function ask(name) {
  link.send("/midi/learn", name);
  toast(`Now move the controller that is to turn ${worded(name)}. Escape cancels.`);
}

function free(name) {
  for (const controller of boundTo(name)) link.send("/midi/forget", controller);
}

function boundTo(name) {
  return Object.keys(learnt.bound).filter((controller) => learnt.bound[controller] === name);
}

function sourceName(controller) {
  const [, channel, name] = controller.match(/^(?:channel\/(\d+)\/)?(.*)$/);
  const named = name.startsWith("nrpn/") ? name.replace("nrpn/", "NRPN ") : `CC ${name}`;
  return channel ? `${named}, channel ${channel}` : named;
}

function choose(on) {
  button.setAttribute("aria-pressed", on);
  document.body.classList.toggle("learning", on);
  if (on) toast("Choose what a MIDI controller is to turn.");
  else if (learnt.waiting) link.send("/midi/learn");
}

function show() {
  for (const [name, { element, badge }] of places) {
    const controllers = boundTo(name);
    element.classList.toggle("waiting", learnt.waiting === name);
    badge.hidden = !controllers.length;
    badge.textContent = controllers.map((controller) => sourceName(controller)).join(", ");
    badge.title = choosing() ? "Free it" : "This MIDI controller turns it";
  }
}

button.addEventListener("click", () => choose(!choosing()));
// Before the page's own Escape, which ends all sound.
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !choosing()) return;
  event.stopImmediatePropagation();
  choose(false);
}, { capture: true });
link.on("learnt", (now) => {
  const name = learnt.waiting;
  const done = name && !now.waiting && Object.values(now.bound).includes(name);
  learnt = now;
  show();
  if (done && choosing()) {
    choose(false);
    toast(`Learnt: ${boundTo(name).map(sourceName).join(", ")} turns ${worded(name)}.`);
  }
});
