// node web/serve.mjs FOLDER PORT: gives out a folder, packed where the browser takes it.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml', '.webmanifest': 'application/manifest+json',
};

// A server of `folder` under `base`, which begins and ends with a slash.
export const serve = (folder, port, base = '/') => new Promise((ready) => {
  const server = createServer((request, response) => {
    const end = (status, text) => response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
    let path;
    try {
      path = decodeURIComponent(request.url.split('?')[0]);
    } catch {
      return end(400, 'bad request');
    }
    if (!path.startsWith(base)) return end(404, 'not found');
    const name = normalize(path.slice(base.length) || 'index.html');
    if (name.startsWith('..') || name.startsWith(sep) || name.includes('\0')) return end(404, 'not found');
    const file = join(folder, name);
    if (!existsSync(file) || !statSync(file).isFile()) return end(404, 'not found');
    const headers = { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'cache-control': 'no-cache', vary: 'accept-encoding' };
    const taken = request.headers['accept-encoding'] ?? '';
    const packed = [['br', '.br'], ['gzip', '.gz']].find(([coding, end]) => taken.includes(coding) && existsSync(file + end));
    if (packed) headers['content-encoding'] = packed[0];
    const sent = packed ? file + packed[1] : file;
    response.writeHead(200, { ...headers, 'content-length': statSync(sent).size });
    createReadStream(sent).pipe(response);
  });
  server.listen(port, '127.0.0.1', () => ready(server));
});

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, port] = process.argv.slice(2);
  if (!existsSync(join(folder, 'index.html'))) {
    console.error(`${folder} is not built: run scripts/web.sh build`);
    process.exit(2);
  }
  await serve(folder, Number(port));
  console.log(`http://127.0.0.1:${port}/`);
}
