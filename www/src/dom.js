// Small helpers over the DOM, so that the views read as what they show.

/** The element with this id. @param {string} id @returns {HTMLElement} */
export const byId = (id) => document.getElementById(id);

/**
 * A new element. Properties are set as properties, `data-*`, `aria-*` and `role` as attributes; children are nodes or text.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node && !name.includes("-")) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Runs `handlers[action]` when an element with `data-action="action"` is clicked. @param {Record<string, () => void>} handlers */
export function onAction(handlers) {
  document.addEventListener("click", (event) => {
    const action = event.target.closest?.("[data-action]")?.dataset.action;
    handlers[action]?.();
  });
}
