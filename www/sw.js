// The demo's service worker: the page's own files, kept for visits without network.
//
// The build puts VERSION and FILES in front of this file. Every version has a cache of its own, filled as a whole when it
// is installed. The network comes first, so that a page is never older than its server; the cache answers when there
// is none. Models are not here: the package keeps them in IndexedDB, and everything from elsewhere passes untouched.
/* global VERSION, FILES */
const PREFIX = "minnow-page-";
const CACHE = PREFIX + VERSION;
/** What makes a page cross-origin isolated, for hosts that cannot send headers themselves. */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};
/** Where the page lies; files are named from here. */
const ROOT = new URL("./", self.location.href);
const OWN = new Set(["", "models/index.json", ...FILES].map((name) => new URL(name, ROOT).href));

self.addEventListener("install", (event) => {
  const requests = [...OWN].map((url) => new Request(url, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const names = await caches.keys();
      await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  url.search = "";
  url.hash = "";
  if (request.method === "GET" && OWN.has(url.href)) event.respondWith(answer(request, url.href));
});

/** The file at `url` from the network, or this version's copy of it, with the isolation headers in either case. */
async function answer(request, url) {
  try {
    const response = await fetch(request);
    if (response.status < 500) return isolated(response);
  } catch {
    // No network: the copy below is what this worker is for.
  }
  const copy = await caches.match(url, { cacheName: CACHE });
  return copy ? isolated(copy) : Response.error();
}

/** `response` with the isolation headers its server left out. */
function isolated(response) {
  const missing = Object.entries(ISOLATION).filter(([name]) => !response.headers.has(name));
  if (missing.length === 0 || response.type === "opaqueredirect") return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of missing) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
