// What is remembered of a sitting, in the browser's own file system (OPFS), by the engine's worker: there files are
// written at once. A sitting is a folder; a lock says that it goes on. The studio keeps to a bound of bytes.
const NAME = /^[a-z0-9-]{1,80}$/;
const KIND = 'sitting-';
const SHOWN = 'shown';

const id = `${KIND}${Date.now().toString(36)}-${Math.floor(Math.random() * 1e9).toString(36)}`;
let root, own, earlier;

// A lock is held until the page is gone, however it goes.
const hold = () => new Promise((held) => {
  if (!navigator.locks) return held();
  navigator.locks.request(id, () => { held(); return new Promise(() => {}); });
});
const ended = async (name) => {
  if (!navigator.locks) return true;
  const { held } = await navigator.locks.query();
  return !held.some((lock) => lock.name === name);
};

const write = async (folder, name, bytes) => {
  const file = await folder.getFileHandle(name, { create: true });
  const access = await file.createSyncAccessHandle();
  try {
    access.truncate(0);
    access.write(bytes, { at: 0 });
    access.flush();
  } finally {
    access.close();
  }
};

const read = async (folder, name) => {
  const file = await (await folder.getFileHandle(name)).getFile();
  return new Uint8Array(await file.arrayBuffer());
};

const files = async (folder) => {
  const all = [];
  for await (const [name, handle] of folder.entries()) if (handle.kind === 'file') all.push({ name, handle });
  return all;
};

const remove = (name) => root.removeEntry(name, { recursive: true }).catch(() => {});

// The latest sitting that has ended; older ones make room.
const look = async () => {
  const found = [];
  for await (const [name, folder] of root.entries()) {
    if (!name.startsWith(KIND) || name === id || !(await ended(name))) continue;
    const shown = await folder.getFileHandle(SHOWN).then((file) => file.getFile()).catch(() => undefined);
    if (shown) found.push({ name, folder, at: shown.lastModified });
    else await remove(name);
  }
  found.sort((a, b) => b.at - a.at);
  for (const { name } of found.slice(1)) await remove(name);
  [earlier] = found;
  if (!earlier) return;
  let bytes = 0;
  for (const { handle } of await files(earlier.folder)) bytes += (await handle.getFile()).size;
  postMessage({ earlier: bytes });
};

const does = {
  async remember({ name, bytes }) {
    if (!NAME.test(name)) throw new Error('no such name');
    own ??= await root.getDirectoryHandle(id, { create: true });
    await write(own, name, bytes);
  },
  async forget({ name }) {
    await own?.removeEntry(name).catch(() => {});
  },
  async recall() {
    for (const { name } of earlier ? await files(earlier.folder) : []) {
      const bytes = await read(earlier.folder, name);
      postMessage({ recalled: name, bytes }, [bytes.buffer]);
    }
    postMessage({ recalled: null, bytes: new Uint8Array() });
  },
  async discard() {
    if (earlier) await remove(earlier.name);
    earlier = undefined;
  },
};

const begin = async () => {
  if (!navigator.storage?.getDirectory || !self.FileSystemFileHandle?.prototype.createSyncAccessHandle) {
    throw new Error('this browser has no file system of its own');
  }
  root = await navigator.storage.getDirectory();
  await hold();
  await look();
};

// One after another, in the order in which they were asked for.
let last = begin();
last.catch(() => {});
let told = false;

export const memory = (asked) => {
  last = last.then(() => does[asked.memory](asked));
  last = last.catch(async (error) => {
    if (!told) postMessage({ forgetful: `What is done here does not outlive the page: ${error?.message ?? error}` });
    told = true;
    // Without a file system nothing that follows is tried; what fails once may succeed again.
    if (!root) throw error;
  });
  last.catch(() => {});
};
