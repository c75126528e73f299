// Keeps the page for visits without a network: the program and the first models at once, the rest
// when it was asked for. pack.mjs fills in the list and a version that changes with any file.
const VERSION = '__VERSION__';
const FIRST = __FIRST__;

self.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(VERSION);
    await cache.addAll(FIRST);
    await self.skipWaiting();
  })());
});

self.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name !== VERSION);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  event.respondWith((async () => {
    const cache = await caches.open(VERSION);
    // What is in the address after the question mark is the studio's, not the server's.
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    const response = await fetch(request);
    if (response.ok && response.status === 200) {
      event.waitUntil(cache.put(url.origin + url.pathname, response.clone()));
    }
    return response;
  })());
});
