// The page as a whole: which view is shown, which model is loaded, and what the buttons do.
import { Minnow } from "minnow-llm";
import { offers } from "./catalogue.js";
import { ChatView } from "./chat-view.js";
import { byId, onAction } from "./dom.js";
import { explain, isAbort } from "./faults.js";
import { showFigures } from "./figures.js";
import { removeModel, savedModels, storageUsage } from "./library.js";
import { LoadView } from "./load-view.js";
import { modelFacts, runFacts } from "./model-facts.js";
import { ModelsView } from "./models-view.js";
import { keepOffline } from "./offline.js";
import * as preferencesStore from "./preferences.js";
import { settingsDialog } from "./settings-dialog.js";
import { nextTheme, theme } from "./theme.js";

const VIEWS = ["choose", "load", "fault", "chat"];

const announce = (text) => {
  byId("announcer").textContent = text;
};
const preferences = preferencesStore.load();
const settings = settingsDialog(preferences);
const models = new ModelsView({ onChoose: load, onRemove: askToRemove });
const loading = new LoadView(announce);
const chat = new ChatView({ model: () => model, preferences, onFigures: updateFigures });

/** @type {Minnow | undefined} the loaded model */
let model;
/** @type {import("./models-view.js").Choice | undefined} what was last chosen */
let chosen;
/** @type {AbortController | undefined} of the load under way */
let loadingSignal;
/** @type {import("./catalogue.js").Offer[]} */
let catalogue = [];
/** @type {import("./figures.js").Facts} */
let facts = {};

onAction({
  "new-chat": newChat,
  "choose-model": chooseModel,
  "back-to-chat": () => showView("chat"),
  "cancel-load": () => loadingSignal?.abort(),
  "retry-load": () => load(chosen),
  "reset-settings": () => settings.reset(),
  settings: () => settings.open(),
  theme: () => {
    nextTheme();
    showTheme();
  },
});

// Esc stops what is being written or loaded, unless it closes a dialog or the menu.
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open], :popover-open")) return;
  if (chat.busy) chat.stop();
  else loadingSignal?.abort();
});

showTheme();
updateFigures({});
acceptDrops();
keepOffline((text) => {
  byId("offline").textContent = text;
});
catalogue = await offers(document.baseURI).catch((error) => {
  announce(error.message);
  return [];
});
await refreshModels();
document.documentElement.dataset.ready = "";

/** Loads what was chosen and goes on to the chat, or to what went wrong. */
async function load(choice) {
  chosen = choice;
  loadingSignal?.abort();
  const signal = (loadingSignal = new AbortController()).signal;
  chat.stop();
  byId("rail").hidePopover();
  loading.begin(choice.name);
  showView("load");
  try {
    await unload();
    const { contextLength } = preferences;
    const loaded = await Minnow.load(choice.source, {
      signal,
      onProgress: (progress) => loading.update(progress, performance.now()),
      ...(contextLength === null ? {} : { contextLength }),
    });
    // A cancel that came too late to end the load still ends here.
    if (signal.aborted) await loaded.unload();
    signal.throwIfAborted();
    model = loaded;
    showModel();
    announce(`${choice.name} is ready.`);
    showView("chat");
    chat.focus();
  } catch (error) {
    // A load that another one replaced leaves the page to its successor.
    if (loadingSignal?.signal !== signal) return;
    if (isAbort(error)) chooseModel();
    else showFault(error);
  } finally {
    if (loadingSignal?.signal === signal) loadingSignal = undefined;
    await refreshModels();
  }
}

async function unload() {
  const old = model;
  model = undefined;
  showModel();
  await old?.unload();
}

function showFault(error) {
  const { code, title, message, remedy } = explain(error);
  console.warn(`minnow: ${code}: ${message}`);
  byId("fault-code").textContent = code;
  byId("fault-title").textContent = title;
  byId("fault-message").textContent = message;
  byId("fault-remedy").textContent = remedy;
  showView("fault");
}

/** An empty chat with the loaded model, or the choice of one. */
function newChat() {
  if (!model) return chooseModel();
  byId("rail").hidePopover();
  showView("chat");
  chat.clear();
}

/** Shows the models, those on this device first. */
function chooseModel() {
  byId("rail").hidePopover();
  showView("choose");
}

/** Shows one view and moves the focus to its heading, where a screen reader goes on reading. */
function showView(name) {
  for (const view of VIEWS) byId(view).hidden = view !== name;
  document.querySelector("[data-action='back-to-chat']").hidden = !model;
  byId(`${name}-title`).focus({ preventScroll: true });
  byId("main").scrollTop = 0;
}

/** Names the loaded model and its build wherever the page does. */
function showModel() {
  const { name, details } = model ? modelFacts(model, chosen) : { name: "None loaded", details: "" };
  byId("rail-model").textContent = name;
  byId("topbar-model").textContent = model ? name : "Minnow";
  byId("rail-model-details").textContent = details;
  byId("rail-model-details").hidden = !details;
  document.querySelector(".rail [data-action='choose-model']").textContent = model ? "Change model" : "Choose a model";
  facts = model ? { ...runFacts(model), storage: facts.storage, contextUsed: 0 } : { storage: facts.storage };
  showFigures(facts);
}

/** Changes some of the figures. @param {import("./figures.js").Facts} change */
function updateFigures(change) {
  const known = Object.entries(change).filter(([, value]) => value !== undefined);
  facts = { ...facts, ...Object.fromEntries(known) };
  showFigures(facts);
}

async function refreshModels() {
  const [saved, storage] = await Promise.all([savedModels(catalogue).catch(() => []), storageUsage()]);
  models.show(catalogue, saved, storage, model?.info.loaded.id);
  updateFigures({ storage });
}

function askToRemove(saved) {
  const dialog = byId("confirm");
  byId("confirm-text").textContent = `${saved.name} would have to be downloaded again.`;
  dialog.returnValue = "";
  dialog.showModal();
  dialog.addEventListener(
    "close",
    async () => {
      if (dialog.returnValue !== "remove") return;
      await removeModel(saved).catch((error) => announce(explain(error).message));
      await refreshModels();
      announce(`${saved.name} was removed.`);
      byId("choose-title").focus();
    },
    { once: true },
  );
}

/** Takes model files dropped anywhere on the page. */
function acceptDrops() {
  const veil = byId("drop-veil");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    models.chooseFiles([...event.dataTransfer.files]);
  });
}

function showTheme() {
  byId("theme-label").textContent = `Theme: ${theme()}`;
}
