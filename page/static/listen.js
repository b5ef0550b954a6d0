// Hear the server here: a worker receives the sound, an AudioWorklet plays it. The page itself may be
// busy or in the background meanwhile.

import { link } from "./link.js";
import { store } from "./store.js";
import { toast } from "./toast.js";

const button = document.getElementById("listen");

export const listener = {
  context: null,
  node: null,
  /** What the worklet told last: state, buffered and target in ms, dropouts. */
  report: null,
};
let worker = null;
let starting = null;
// Where the server has no audio device, the page is the only one to be heard.
let wanted = null;

/** Start to listen, unless the user has said no. Called by whatever a user touches: browsers ask for it. */
export function wake() {
  if (wanted === null && store.hello && !store.hello.device) start();
  if (listener.context?.state === "suspended" && wanted) listener.context.resume();
}

export function start() {
  wanted = true;
  button.setAttribute("aria-pressed", true);
  starting ??= begin().catch((error) => {
    starting = null;
    stop();
    toast(`Sound cannot be played here: ${error.message}`);
  });
  return starting;
}

async function begin() {
  if (!window.AudioWorkletNode) throw new Error("this browser allows it only at localhost or over https");
  const context = new AudioContext({ sampleRate: store.hello.rate, latencyHint: "interactive" });
  listener.context = context;
  await context.audioWorklet.addModule("worklet.js");
  if (!wanted) return;
  const node = new AudioWorkletNode(context, "stream", { numberOfInputs: 0, outputChannelCount: [2] });
  node.connect(context.destination);
  node.port.onmessage = ({ data }) => {
    listener.report = data;
    show();
  };
  listener.node = node;
  worker = new Worker("sound.js", { type: "module" });
  const { port1, port2 } = new MessageChannel();
  node.port.postMessage({ port: port1 }, [port1]);
  worker.postMessage({ url: `ws://${location.host}/sound`, port: port2 }, [port2]);
  await context.resume();
}

export function stop() {
  wanted = false;
  starting = null;
  button.setAttribute("aria-pressed", false);
  worker?.terminate();
  listener.context?.close();
  worker = listener.context = listener.node = listener.report = null;
  show();
}

function show() {
  const fact = document.getElementById("heard-fact");
  fact.hidden = !listener.report;
  if (!listener.report) return;
  const { target, dropouts } = listener.report;
  const output = 1000 * (listener.context.outputLatency || listener.context.baseLatency || 0);
  document.getElementById("heard").textContent = `+${Math.round(target + output)} ms`;
  fact.title = `This browser adds ${Math.round(target)} ms of buffer and ${Math.round(output)} ms of its own output; ` +
    `${dropouts} dropouts`;
  fact.classList.toggle("bad", listener.report.lately > 0);
}

button.addEventListener("click", () => (wanted ? stop() : start()));
link.on("hello", () => {
  // The server may have come back with another bank, at another rate.
  if (listener.context && listener.context.sampleRate !== store.hello.rate) {
    stop();
    wanted = null;
  }
});
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, wake, { capture: true });
