// What the page knows of the instrument, and which part it shows. Changes are told by events.

import { link } from "./link.js";
import { blended, huesOf } from "./colour.js";

class Store extends EventTarget {
  hello = null;
  patches = [];
  fixed = []; // those that colours go by
  parts = {};
  hues = new Map();
  part = 1;

  /** The settings of the part that is shown. */
  get now() {
    return this.parts[this.part];
  }

  /** Address of a command for the part that is shown. */
  of(name) {
    return `/part/${this.part}/${name}`;
  }

  choosePart(part) {
    this.part = part;
    this.tell("part");
  }

  patch(name) {
    return this.patches.find((patch) => patch.name === name);
  }

  /** The colour of a timbre: between those of the patches around it. */
  hue(embedding) {
    return this.blend(embedding).hue;
  }

  blend(embedding) {
    return blended(embedding, this.fixed, this.hues);
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Act now, if there is something to act on, and at each of these events. */
  when(names, act) {
    for (const name of names) this.addEventListener(name, () => this.now && act());
  }
}

export const store = new Store();

link.on("hello", (hello) => {
  store.hello = hello;
  // After a restart, all of it comes anew.
  store.parts = {};
  store.tell("hello");
});
link.on("patches", (patches) => {
  store.patches = patches;
  // The bank's patches decide, so that no colour changes when one of the user's comes or goes.
  const own = patches.filter((patch) => patch.own);
  store.fixed = own.length < patches.length ? patches.filter((patch) => !patch.own) : patches;
  store.hues = huesOf(store.fixed);
  for (const { name, embedding } of own) {
    if (!store.hues.has(name)) store.hues.set(name, store.hue(embedding));
  }
  if (store.now) store.tell("patches");
});
link.on("parts", (parts) => {
  const first = !store.now;
  Object.assign(store.parts, parts);
  if (first) store.tell("patches");
  store.tell("parts");
  if (store.part in parts) store.tell("part");
});
