// The page that offers models: those on this device, the catalogue, an address, a file.
import { byId, element } from "./dom.js";
import { bytes } from "./format.js";

/**
 * @typedef {object} Choice
 * @property {string | File[]} source what `Minnow.load` is given
 * @property {string} name
 */

/** The view where a model is chosen. */
export class ModelsView {
  /** @param {{ onChoose: (choice: Choice) => void, onRemove: (model: object) => void }} handlers */
  constructor({ onChoose, onRemove }) {
    this.onChoose = onChoose;
    this.onRemove = onRemove;
    const form = byId("source-form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const source = byId("source").value.trim();
      if (source) onChoose({ source, name: nameOf(source) });
    });
    const file = byId("file");
    file.addEventListener("change", () => {
      this.chooseFiles([...file.files]);
      file.value = "";
    });
  }

  /** Loads picked or dropped files: one model, in one part or several. @param {File[]} files */
  chooseFiles(files) {
    const models = files.filter((file) => file.name.endsWith(".gguf"));
    const source = models.length ? models : files;
    if (source.length) this.onChoose({ source, name: nameOf(source[0].name) });
  }

  /**
   * @param {import("./catalogue.js").Offer[]} offers
   * @param {import("./library.js").SavedModel[]} saved
   * @param {{ used: number, quota: number } | undefined} usage
   * @param {string | undefined} loaded the id of the model that is loaded now
   */
  show(offers, saved, usage, loaded) {
    byId("saved").hidden = saved.length === 0;
    byId("saved-list").replaceChildren(...saved.map((model) => this.#savedItem(model, model.id === loaded)));
    byId("saved-usage").textContent = usage ? `${bytes(usage.used)} of ${bytes(usage.quota)} used` : "";
    const kept = new Set(saved.filter(({ complete }) => complete).map(({ offer }) => offer));
    const rest = offers.filter((offer) => !kept.has(offer));
    byId("catalogue-list").replaceChildren(...rest.map((offer, index) => this.#offerItem(offer, saved.length === 0 && index === 0)));
    byId("catalogue-title").hidden = rest.length === 0;
  }

  #savedItem(model, loaded) {
    const size = model.complete ? bytes(model.size) : `${bytes(model.stored)} of ${bytes(model.size)} downloaded`;
    const load = button(model.complete ? "Load" : "Go on", `${model.complete ? "Load" : "Go on downloading"} ${model.name}`, "button-primary");
    load.addEventListener("click", () => this.onChoose({ source: model.id, name: model.name }));
    const remove = button("Remove", `Remove ${model.name} from this device`, "button-quiet");
    remove.addEventListener("click", () => this.onRemove(model));
    return item(model.name, [size, model.quantization], model.detail, [remove, loaded ? badge("Loaded") : load]);
  }

  #offerItem(offer, first) {
    const facts = [bytes(offer.bytes), offer.quantization];
    const load = button("Download", `Download and load ${offer.name}`, first ? "button-primary" : "");
    load.addEventListener("click", () => this.onChoose({ source: offer.source, name: offer.name }));
    if (offer.local) facts.push("from this server");
    return item(offer.name, facts, offer.note, [load]);
  }
}

/** The last part of an address or hub reference, without what every model file ends with. @param {string} source */
export function nameOf(source) {
  const last = source.replace(/[?#].*$/, "").split("/").at(-1);
  return decodeURIComponent(last).replace(/(-\d{5}-of-\d{5})?\.gguf$/i, "").replace(/-GGUF(:|$)/i, "$1").replace(":", " ");
}

const badge = (text) => element("span", { className: "badge" }, text);

function button(text, label, kind) {
  return element("button", { type: "button", className: `button ${kind}`, "aria-label": label }, text);
}

function item(name, facts, note, controls) {
  const text = element(
    "div",
    { className: "model-text" },
    element("h3", {}, name),
    element("p", { className: "model-facts" }, facts.filter(Boolean).join(" · ")),
  );
  if (note) text.append(element("p", { className: "muted small" }, note));
  return element("li", { className: "model" }, text, element("div", { className: "model-controls" }, ...controls));
}
