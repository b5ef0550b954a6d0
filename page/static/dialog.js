// Questions to the user, in the page's own window: texts to fill in, or a plain yes.

const place = document.getElementById("dialog");
const form = place.querySelector("form");
const [title, rows] = ["h2", "div"].map((name) => form.querySelector(name));
const button = form.querySelector("button:last-child");

/** Ask for texts, one for each field {label, value}, or {label, value, options}; none for a plain yes. null if the user does not want to. */
export function ask(question, action, fields = []) {
  title.textContent = question;
  button.textContent = action;
  const inputs = fields.map(({ label, value, options }) => {
    const row = document.createElement("label");
    const input = document.createElement(options ? "select" : "input");
    if (options) input.append(...options.map((option) => new Option(option)));
    else Object.assign(input, { maxLength: 200, autocomplete: "off" });
    input.value = value;
    row.append(label, input);
    return { row, input };
  });
  rows.replaceChildren(...inputs.map(({ row }) => row));
  place.returnValue = "";
  place.showModal();
  (inputs[0]?.input ?? button).focus();
  inputs[0]?.input.select?.();
  return new Promise((resolve) => {
    place.onclose = () => resolve(place.returnValue === "yes" ? inputs.map(({ input }) => input.value.trim()) : null);
  });
}

/** Whether a question waits for its answer: then keys are not for playing. */
export const asking = () => place.open;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  place.close("yes");
});
form.querySelector("button[type=button]").addEventListener("click", () => place.close(""));
