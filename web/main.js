// Loads the program with its progress shown, starts the studio, and hands dropped files to it.
import init, { Page } from './salun.js';
import { stopped, take_picture } from './host.js';

const $ = (selector) => document.querySelector(selector);
const status = $('#status'), progress = $('#progress');

const tell = (text) => { status.textContent = text; };

// The bytes on the way, counted; `size` is what they are unpacked.
const counted = (response, size) => {
  let loaded = 0;
  const stream = response.body.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      loaded += chunk.length;
      progress.value = Math.min(loaded / size, 1);
      controller.enqueue(chunk);
    },
  }));
  return new Response(stream, { headers: { 'content-type': 'application/wasm' } });
};

const query = new URLSearchParams(location.search);

// The engine computes in a worker, so that the page stays responsive.
const engine = new Worker(new URL('engine.js', import.meta.url), { type: 'module' });
const waiting = [];
engine.onmessage = ({ data }) => {
  if (window.salun) hear(data);
  else if (data.title) stopped(data.title, data.why);
  else waiting.push(data);
};
const hear = (data) => {
  if (data instanceof Uint8Array) window.salun.hear(data);
  else if ('earlier' in data) window.salun.earlier(data.earlier);
  else if ('recalled' in data) window.salun.recalled(data.recalled ?? undefined, data.bytes);
  else if ('forgetful' in data) window.salun.forgetful(data.forgetful);
  else stopped(data.title, data.why);
};
// Files of the sitting, which the worker remembers.
window.remembers = (asked) => engine.postMessage(asked, asked.bytes ? [asked.bytes.buffer] : []);
engine.onerror = (event) => {
  event.preventDefault();
  stopped('The engine could not start', event.message || 'The browser gives no reason');
};

const start = async () => {
  const response = await fetch(new URL('salun_bg.wasm', import.meta.url));
  if (!response.ok) throw new Error(`The program could not be loaded: the server answers ${response.status}`);
  const size = Number(document.documentElement.dataset.wasm) || 30_000_000;
  const program = await WebAssembly.compileStreaming(counted(response, size));
  engine.postMessage({ program, device: query.get('device') ?? 'auto' });
  await init({ module_or_path: program });
  progress.removeAttribute('value');
  const embedded = query.get('embed') === '1';
  const address = location.origin + location.pathname;
  const post = (bytes) => engine.postMessage(bytes, [bytes.buffer]);
  window.salun = await Page.open($('#studio'), address, location.search.slice(1), embedded, post);
  for (const event of waiting.splice(0)) hear(event);
  // For tests: what a driver's crash does.
  window.loseDevice = () => engine.postMessage('lose the device');
  // The field that egui types into.
  for (const field of document.querySelectorAll('input:not([aria-label])')) field.ariaLabel = 'Text for the studio';
  $('#loading').hidden = true;
  $('#studio').focus();
};

// What the canvas shows, for those who cannot see it.
const news = $('#news');
setInterval(() => {
  const text = window.salun?.summary();
  const line = text ? JSON.parse(text).line : '';
  if (line !== news.textContent) news.textContent = line;
}, 2000);

const take = async (file) => {
  if (window.salun && file.type.startsWith('image/')) return take_picture(file);
  window.salun?.open_file(file.name, new Uint8Array(await file.arrayBuffer()));
};

$('#file').addEventListener('change', ({ target }) => {
  for (const file of target.files) take(file);
  target.value = '';
});
// Before the canvas sees it: egui would keep the file to itself.
for (const kind of ['dragover', 'drop']) {
  window.addEventListener(kind, (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (kind === 'drop') for (const file of event.dataTransfer.files) take(file);
  }, { capture: true });
}
$('#again').addEventListener('click', () => location.reload());

if (typeof WebAssembly !== 'object') {
  tell('This browser is too old for the studio. It needs WebAssembly and, for speed, WebGPU: a current Chrome, Edge, Firefox or Safari');
  progress.hidden = true;
} else {
  start().catch((error) => {
    progress.hidden = true;
    tell(error?.message ?? String(error));
    console.error(error);
    if ($('#loading').hidden) stopped('The studio failed', String(error));
  });
  // Another visit works without a network.
  if ('serviceWorker' in navigator && !query.has('nocache')) {
    navigator.serviceWorker.register('sw.js').catch((error) => console.warn(`not kept for offline use: ${error.message}`));
  }
}
