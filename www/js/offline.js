// The service worker: keeps the page for use without a network, and gives it the headers that threads need where the
// server does not.

const TRIED = "candle-whisper-reloaded";

/**
 * Waits until the worker is in charge, but not for long, so that what is loaded from then on is kept. Where threads
 * are not allowed yet the page is loaded once more, under the worker's headers. Without a worker all goes on.
 * @param {() => boolean} mayReload whether nothing would be lost
 */
export async function offline(mayReload) {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("sw.js");
    await Promise.race([inCharge(), new Promise((resolve) => setTimeout(resolve, 2500))]);
  } catch {
    return;
  }
  if (!crossOriginIsolated && navigator.serviceWorker.controller && !sessionStorage.getItem(TRIED) && mayReload()) {
    sessionStorage.setItem(TRIED, "yes");
    location.reload();
    await new Promise(() => {});
  }
}

function inCharge() {
  if (navigator.serviceWorker.controller) return Promise.resolve();
  return new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
}
