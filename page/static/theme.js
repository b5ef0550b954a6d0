// Light or dark: as the system says, or as the button was set last.

const KEPT = "melstream-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const kept = localStorage.getItem(KEPT);
  document.documentElement.dataset.theme = kept ?? (system.matches ? "dark" : "light");
  dispatchEvent(new Event("theme"));
}

document.getElementById("theme").addEventListener("click", () => {
  localStorage.setItem(KEPT, document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  apply();
});
system.addEventListener("change", apply);
apply();
