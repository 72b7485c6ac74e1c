// Visits without network: the service worker keeps the page's own files.

/** Registers the worker and tells, in words, whether the page will open without network. @param {(text: string) => void} tell */
export async function keepOffline(tell) {
  if (!("serviceWorker" in navigator)) return tell("This browser does not keep the page for offline use.");
  try {
    await navigator.serviceWorker.register("sw.js");
    await navigator.serviceWorker.ready;
  } catch (error) {
    return tell(`Not kept for offline use: ${error.message}`);
  }
  const state = () => tell(navigator.onLine ? "Also works without network." : "No network: models on this device still work.");
  addEventListener("online", state);
  addEventListener("offline", state);
  state();
}
