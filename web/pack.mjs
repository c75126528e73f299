// node web/pack.mjs PROGRAM DIST: the folder that a web server gives out, and its sizes.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const [program, dist] = process.argv.slice(2);
const web = fileURLToPath(new URL('.', import.meta.url));

const source = join(web, '..', 'assets');
const within = (folder) => readdirSync(join(source, folder), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(source, join(entry.parentPath ?? entry.path, entry.name)));
// The first pictures are recorded; the rest comes when it is asked for.
const RECORDED = within('recorded');
const GALLERY = within('gallery');
const TABLES = within('tables').filter((name) => name.endsWith('table.json'));
const FIRST_MODELS = ['models/fashion-ddpm.safetensors', 'models/fashion-classifier.safetensors'];
const TWINS = ['fashion-classifier', 'fashion-ddpm'].map((name) => `models/${name}-retrain-sneaker.safetensors`);
const MODELS = [...FIRST_MODELS, ...TWINS];
const DATA = ['train', 't10k'];
// The text-to-image model and its corpus, whole folders: what the page opens first.
const FOLDERS = [...within('models/emoji-t2i'), ...within('data/emoji')];
const ASSETS = [...RECORDED, ...GALLERY, ...TABLES, ...MODELS, ...DATA.map((name) => `data/fashion-mnist/${name}.packed`), 'data/fashion-mnist/LICENSE'];

rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, 'assets'), { recursive: true });
for (const name of ['index.html', 'page.css', 'main.js', 'engine.js', 'memory.js', 'host.js', 'manifest.webmanifest', 'icon.svg']) {
  cpSync(join(web, name), join(dist, name));
}
for (const name of ['salun.js', 'salun_bg.wasm', 'snippets']) cpSync(join(program, name), join(dist, name), { recursive: true });
for (const name of [...ASSETS, ...FOLDERS]) {
  cpSync(join(source, name), join(dist, 'assets', name), { recursive: true });
}

const all = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(dist, join(entry.parentPath ?? entry.path, entry.name)));

const wasm = statSync(join(dist, 'salun_bg.wasm')).size;
const page = join(dist, 'index.html');
writeFileSync(page, readFileSync(page, 'utf8').replace('<html lang="en">', `<html lang="en" data-wasm="${wasm}">`));

const code = all(dist).filter((name) => !name.startsWith('assets/'));
const first = [...code, 'assets/recorded/emoji-t2i.opened'];
// What is kept for visits without a network from the first one on.
const kept = [...new Set([...first, ...[...RECORDED, ...FOLDERS, ...FIRST_MODELS].map((name) => `assets/${name}`)])];
const hash = createHash('sha256');
for (const name of all(dist).sort()) hash.update(name).update(readFileSync(join(dist, name)));
const version = hash.digest('hex').slice(0, 16);
const worker = readFileSync(join(web, 'sw.js'), 'utf8')
  .replace('__VERSION__', version)
  .replace('__FIRST__', JSON.stringify(['./', ...kept.filter((name) => name !== 'index.html')], null, 1));
writeFileSync(join(dist, 'sw.js'), worker);

// Packed files beside the others, for servers that give them out. The program's are kept: they
// take a minute.
const pack = (name) => {
  const bytes = readFileSync(join(dist, name));
  const large = name.endsWith('.wasm');
  const kept = large && join(program, 'salun_bg.wasm.br');
  const brotli = kept && existsSync(kept) ? readFileSync(kept) : brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  if (kept) writeFileSync(kept, brotli);
  writeFileSync(join(dist, `${name}.br`), brotli);
  writeFileSync(join(dist, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  return brotli.length;
};
const packed = [...RECORDED, ...TABLES, ...MODELS].map((name) => `assets/${name}`);
const sizes = new Map([...code, 'sw.js', ...packed].map((name) => [name, pack(name)]));
const sum = (names) => names.reduce((total, name) => total + sizes.get(name), 0);
const mb = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
const codeSize = sum([...code, 'sw.js']);
const firstSize = sum([...first, 'sw.js']);
console.log(`program ${mb(wasm)}, packed ${mb(sizes.get('salun_bg.wasm'))}`);
console.log(`page code ${mb(codeSize)} brotli (at most 4.7 MB), to the first picture ${mb(firstSize)} (at most 8 MB)`);
if (codeSize > 4.7e6 || firstSize > 8e6) {
  console.error('over the limit: the page is too large');
  process.exitCode = 1;
}
