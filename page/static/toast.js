// One line for the user, gone after a while.

const SHOWN_MS = 6000;
const place = document.getElementById("toast");
let timer = 0;

export function toast(text) {
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), SHOWN_MS);
}
