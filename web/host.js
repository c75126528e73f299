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

export const language = () => navigator.language ?? '';

// Of this page; nothing where the browser keeps nothing.
export const setting = (name) => {
  try {
    return localStorage.getItem(`salun ${name}`) ?? undefined;
  } catch {
    return undefined;
  }
};
export const keep_setting = (name, text) => {
  try {
    localStorage.setItem(`salun ${name}`, text);
  } catch {
    // It is asked for again.
  }
};
// Whether the person asked the system for less motion.
export const prefers_calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

export const ask_file = () => document.querySelector('#file').click();

// The longer side of a picture on its way to the studio, which takes its middle at a few dozen pixels.
const SIDE = 512;

// Pixels of what can be drawn, no larger than need be.
const pixels = (source, width, height) => {
  const scale = Math.min(1, SIDE / Math.min(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(Math.min(width * scale, 4 * SIDE)));
  canvas.height = Math.max(1, Math.round(Math.min(height * scale, 4 * SIDE)));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  // Of what is very long, the middle.
  const [w, h] = [canvas.width / scale, canvas.height / scale];
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
};

const hand_over = (name, image) =>
  window.salun.open_picture(name, image.width, image.height, new Uint8Array(image.data.buffer));

// Hands a picture file to the studio, whatever format this browser knows; without pixels where it cannot be read.
export const take_picture = async (file) => {
  try {
    const bitmap = await createImageBitmap(file);
    hand_over(file.name, pixels(bitmap, bitmap.width, bitmap.height));
    bitmap.close();
  } catch {
    window.salun.open_picture(file.name, 0, 0, new Uint8Array());
  }
};

// Shows what the camera sees until the dialog is closed, and hands over what is taken.
export const ask_camera = async () => {
  const dialog = document.querySelector('#camera');
  if (dialog.open) return;
  const [video, why, take, close] = ['video', '.why', '.take', '.close'].map((name) => dialog.querySelector(name));
  let stream;
  let closed = false;
  let taken = 0;
  const stop = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
  };
  const shoot = () => {
    taken += 1;
    hand_over(`camera ${taken}`, pixels(video, video.videoWidth, video.videoHeight));
    why.textContent = taken === 1 ? '1 picture taken' : `${taken} pictures taken`;
  };
  const done = () => dialog.close();
  const end = () => {
    closed = true;
    stop();
    video.srcObject = null;
    take.removeEventListener('click', shoot);
    close.removeEventListener('click', done);
  };
  why.textContent = 'The picture stays on this page';
  take.disabled = true;
  take.addEventListener('click', shoot);
  close.addEventListener('click', done);
  dialog.addEventListener('close', end, { once: true });
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    // It was closed while the browser asked, and may be open again.
    if (closed) return stop();
    video.srcObject = stream;
    await video.play();
    take.disabled = false;
    take.focus();
  } catch (error) {
    why.textContent = `The camera cannot be had: ${error?.message ?? 'this page is not served over https'}`;
  }
};

// The bytes are a view of the program's memory.
export const remember = (name, bytes) => window.remembers({ memory: 'remember', name, bytes: bytes.slice() });
export const forget = (name) => window.remembers({ memory: 'forget', name });
export const recall = () => window.remembers({ memory: 'recall' });
export const discard_earlier = () => window.remembers({ memory: 'discard' });

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
