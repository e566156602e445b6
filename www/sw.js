// The service worker: keeps the page and its program for use without a network, and adds the headers that threads need
// on hosts that can't send them. Models are kept by the library. Only requests to the page's own folder are touched.

/** Another name here throws all kept files away. */
const CACHE = "candle-whisper-page-1";

const SHELL = [
  "./", "manifest.webmanifest", "icons/icon.svg", "icons/chevron.svg", "icons/icon-192.png", "icons/icon-512.png",
  "css/base.css", "css/layout.css", "css/reader.css",
  ...["captions", "dom", "engine", "exports", "field", "format", "intake", "keep", "keys", "listening", "loudness", "main", "messages", "microphone", "models",
    "models-view", "notices", "offline", "options", "player", "privacy", "queue", "queue-view", "reader", "realign",
    "recorder-view", "recorder-worklet", "search", "settings", "setup", "state", "subtitles", "transcript-view", "waveform", "wav",
    "words"].map((name) => `js/${name}.js`),
  "example/jfk.flac",
];

/** What is not asked for again, not even when the browser shows the page's sign beside what it plays. */
const LASTING = /^(icons|example)\//;

/** How long a server may take to answer before the kept copy does. */
const PATIENCE = 4000;

const scope = new URL("./", location.href).href;

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL.map((path) => new Request(path, { cache: "no-cache" })))));
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("candle-whisper-page-") && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await clients.claim();
  })());
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const path = request.url.slice(scope.length).split(/[?#]/)[0];
  const ours = request.method === "GET" && request.url.startsWith(scope) && !path.startsWith("models/");
  if (!ours || request.headers.has("range")) return event.waitUntil(report(request.url));
  event.respondWith(answer(request, path, event).then(isolated));
});

/** Tells the pages what the network is asked for, so that they can show it. @param {string} url */
async function report(url) {
  for (const client of await clients.matchAll({ type: "window" })) client.postMessage({ type: "request", url });
}

/** @param {Request} request @param {string} path @param {ExtendableEvent} event @returns {Promise<Response>} */
async function answer(request, path, event) {
  const cache = await caches.open(CACHE);
  const key = request.mode === "navigate" && path === "index.html" ? scope : scope + path;
  const kept = await cache.match(key);
  if (kept && LASTING.test(path)) return kept;
  event.waitUntil(report(request.url));
  const fresh = fetch(request).then((response) => {
    if (response.ok && response.status === 200) {
      const copy = response.clone();
      // A store that is full keeps nothing: the page works on with what it got.
      event.waitUntil(cache.put(key, copy).catch(() => {}));
    }
    return response;
  });
  if (!kept) return fresh;
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE, kept));
  return Promise.race([fresh.catch(() => kept), late]);
}

/** @param {Response} response @returns {Response} */
function isolated(response) {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
