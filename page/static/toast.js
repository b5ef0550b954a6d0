// One line for the user, gone after a while; perhaps with something to do about it.

const SHOWN_MS = 6000;
const place = document.getElementById("toast");
const [line, button] = place.children;
let timer = 0;

/** Show a line. action: {name, act} for a button beside it. */
export function toast(text, action = null) {
  line.textContent = text;
  button.hidden = !action;
  button.textContent = action?.name ?? "";
  button.onclick = () => {
    place.classList.remove("shown");
    action?.act();
  };
  place.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), SHOWN_MS);
}
