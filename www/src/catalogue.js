// The models the page offers, and where each is fetched from.

/**
 * @typedef {object} Offer
 * @property {string} name
 * @property {string} source what `Minnow.load` is given
 * @property {string} hub the hub reference, also where `source` is a copy beside the page
 * @property {string} file the file's own name
 * @property {string} quantization
 * @property {number} bytes
 * @property {string} note
 * @property {boolean} local served from beside the page instead of the hub
 */

/**
 * The catalogue. A model that ./models/index.json names is served from beside the page (`cargo xtask demo` puts it
 * there), and that copy is preferred to the hub's.
 * @param {string} base the page's address
 * @returns {Promise<Offer[]>}
 */
export async function offers(base) {
  const [{ models }, { files }] = await Promise.all([
    json(new URL("catalogue.json", base)),
    json(new URL("models/index.json", base)).catch(() => ({ files: {} })),
  ]);
  return models.map(({ source, ...model }) => {
    const local = Object.hasOwn(files, model.file);
    return { ...model, local, hub: source, source: local ? new URL(`models/${model.file}`, base).href : source };
  });
}

async function json(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} is missing: the server answered ${response.status}`);
  return response.json();
}
