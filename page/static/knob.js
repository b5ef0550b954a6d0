// A knob to turn: by dragging, by the wheel, by arrow keys; a double click brings it back.

const SWEEP = 135; // degrees to each side of the top
const DRAG = 160; // pixels from one end to the other

/** A knob {name, low, high, home, text(value), turn(value)}; `set` shows a value from elsewhere. */
export function makeKnob({ name, low, high, home, text, turn }) {
  const label = document.createElement("label");
  label.className = "knob";
  label.innerHTML = `<svg viewBox="0 0 64 64" tabindex="0" role="slider"><path class="way"/><path class="arc"/>
    <circle cx="32" cy="32" r="17"/><line x1="32" y1="20" x2="32" y2="26"/></svg><span></span><output></output>`;
  const svg = label.querySelector("svg");
  const output = label.querySelector("output");
  label.querySelector("span").textContent = name;
  svg.setAttribute("aria-label", name);
  svg.setAttribute("aria-valuemin", low);
  svg.setAttribute("aria-valuemax", high);
  svg.querySelector(".way").setAttribute("d", arc(-SWEEP, SWEEP));
  let value = home;
  let drag = null;

  const angle = (v) => ((v - low) / (high - low)) * 2 * SWEEP - SWEEP;
  const show = () => {
    const [from, to] = [angle(Math.min(Math.max(home, low), high)), angle(value)];
    svg.querySelector(".arc").setAttribute("d", Math.abs(to - from) < 0.5 ? "" : arc(Math.min(from, to), Math.max(from, to)));
    svg.querySelector("line").setAttribute("transform", `rotate(${to} 32 32)`);
    svg.setAttribute("aria-valuenow", value.toFixed(3));
    svg.setAttribute("aria-valuetext", text(value));
    output.textContent = text(value);
  };
  const move = (to) => {
    value = Math.min(Math.max(to, low), high);
    show();
    turn(value);
  };
  svg.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    svg.focus({ preventScroll: true });
    svg.setPointerCapture(event.pointerId);
    drag = { y: event.clientY, x: event.clientX, value };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const fine = event.shiftKey ? 0.15 : 1;
    const way = (drag.y - event.clientY + (event.clientX - drag.x) * 0.5) * fine;
    move(drag.value + (way / DRAG) * (high - low));
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (drag = null));
  svg.addEventListener("dblclick", () => move(home));
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    move(value - Math.sign(event.deltaY) * 0.02 * (high - low));
  }, { passive: false });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (step) move(value + step * 0.01 * (high - low));
    else if (event.key === "Home") move(low);
    else if (event.key === "End") move(high);
    else return;
    event.preventDefault();
  });
  show();
  return {
    element: label,
    set(to) {
      if (drag || to === value) return;
      value = to;
      show();
    },
  };
}

function arc(from, to) {
  const point = (degrees) => {
    const turn = ((degrees - 90) * Math.PI) / 180;
    return `${(32 + 25 * Math.cos(turn)).toFixed(2)} ${(32 + 25 * Math.sin(turn)).toFixed(2)}`;
  };
  return `M${point(from)}A25 25 0 ${to - from > 180 ? 1 : 0} 1 ${point(to)}`;
}
