// What the studio and its engine ask of the page around them.

export const show_link = (query) => {
  const own = new URLSearchParams(location.search);
  const kept = ['embed', 'device'].filter((name) => own.has(name));
  const rest = kept.map((name) => `&${name}=${encodeURIComponent(own.get(name))}`).join('');
  history.replaceState(null, '', `?${query}${rest}`);
};

// "apple m3": the browser's own words, often few.
export const gpu_name = async () => {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  const words = [info?.vendor, info?.architecture, info?.description].filter(Boolean);
  return [...new Set(words)].join(' ').toLowerCase();
};

export const ask_file = () => document.querySelector('#file').click();

export const save_file = (name, bytes) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

// The browser asks in its own words whether the page may be left.
const ask = (event) => event.preventDefault();
export const hold_page = (on) =>
  on ? addEventListener('beforeunload', ask) : removeEventListener('beforeunload', ask);

// From the engine's worker to the page. The bytes are a view of the program's memory.
export const tell = (bytes) => {
  const copy = bytes.slice();
  postMessage(copy, [copy.buffer]);
};

// Later failures are consequences of the first.
export const stopped = (title, why) => {
  if (!globalThis.document) {
    postMessage({ title, why });
    return;
  }
  const dialog = document.querySelector('#stopped');
  if (dialog.open) return;
  dialog.querySelector('h2').textContent = title;
  dialog.querySelector('.why').textContent = why.split('\n').slice(0, 2).join(' ').slice(0, 300);
  dialog.showModal();
};
