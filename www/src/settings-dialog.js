// The settings dialog: a control for every preference, written back as soon as it changes.
import { byId, element } from "./dom.js";
import { defaults, LENGTH, SAMPLING, save, valid } from "./preferences.js";

/** Wires the dialog to `preferences`, which is changed in place. @param {ReturnType<typeof defaults>} preferences */
export function settingsDialog(preferences) {
  const dialog = byId("settings");
  const form = byId("settings-form");
  byId("sampling-fields").append(...SAMPLING.map(control));
  byId("length-fields").append(...LENGTH.map(control));

  const show = () => {
    for (const input of form.elements) {
      if (!input.name) continue;
      if (input.type === "checkbox") input.checked = preferences[input.name];
      else input.value = preferences[input.name] ?? "";
      const output = form.querySelector(`output[for="${input.id}"]`);
      if (output) output.value = input.value;
    }
  };
  form.addEventListener("input", () => {
    const values = Object.fromEntries(new FormData(form));
    for (const { name } of [...SAMPLING, ...LENGTH]) values[name] = values[name] === "" ? null : Number(values[name]);
    values.thinking = "thinking" in values;
    Object.assign(preferences, valid(values));
    save(preferences);
    for (const output of form.querySelectorAll("output")) output.value = byId(output.htmlFor.value).value;
  });
  form.addEventListener("change", show);

  return {
    open() {
      show();
      dialog.showModal();
    },
    reset() {
      Object.assign(preferences, defaults());
      save(preferences);
      show();
    },
  };
}

/** A labelled control: a slider where the whole range is sensible, a number field where it may be empty or is wide. */
function control({ name, label, hint, min, max, step, optional = false }) {
  const id = `set-${name}`;
  const input = element("input", { id, name, type: optional ? "number" : "range", "aria-describedby": `${id}-hint` });
  // The limits come first: a range clamps its value to those it has.
  Object.assign(input, { min, max, step: optional ? "any" : step });
  if (optional) Object.assign(input, { placeholder: "auto", inputMode: "numeric" });
  const value = optional ? [] : [element("output", { htmlFor: id })];
  return element(
    "div",
    { className: `field field-${optional ? "number" : "range"}` },
    element("label", { htmlFor: id }, label),
    ...value,
    input,
    element("p", { id: `${id}-hint`, className: "muted small" }, hint),
  );
}
