// The models kept on this device, as the page shows them.
import { Minnow } from "minnow-llm";
import { nameOf } from "./models-view.js";

/**
 * @typedef {object} SavedModel
 * @property {string} id what `Minnow.load` and `Minnow.models.remove` are given
 * @property {string} name
 * @property {number} size bytes of the whole model
 * @property {number} stored bytes kept so far
 * @property {boolean} complete
 * @property {string} [quantization]
 * @property {string} [detail]
 * @property {import("./catalogue.js").Offer} [offer] the catalogue's entry for it
 */

/** Every model kept, complete or not. @param {import("./catalogue.js").Offer[]} offers @returns {Promise<SavedModel[]>} */
export async function savedModels(offers) {
  const models = await Minnow.models.list();
  return models.map((model) => {
    const offer = offers.find(({ file }) => model.files.length === 1 && model.files[0].split("/").at(-1) === file);
    return {
      id: model.id,
      name: offer?.name ?? nameOf(model.files[0] ?? model.id),
      size: model.size,
      stored: model.stored,
      complete: model.complete,
      quantization: offer?.quantization,
      detail: offer?.note,
      offer,
    };
  });
}

/** Storage used and allowed, or undefined where the browser does not say. */
export const storageUsage = () => Minnow.models.usage().catch(() => undefined);

/** Removes a model from this device. @param {SavedModel} model */
export const removeModel = ({ id }) => Minnow.models.remove(id);
