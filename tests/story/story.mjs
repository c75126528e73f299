// node tests/story/story.mjs window PROGRAM OUT | page DIST OUT: the whole story by mouse and keys alone, in the
// program's window or in the page, with a picture of each step in the folder OUT. Both are 1280 points wide and 800
// high, so what is pressed lies in the same places.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hands, sleep } from './hands.mjs';

const [where, what, out] = process.argv.slice(2);
const LINK = '?model=emoji-t2i&budget=brief';

// Where things lie, in points.
const FIELD = [120, 120];
const steps = [
  ['prompt', async (at) => {
    await at.rests();
    await at.click(FIELD);
    await at.write('a cat');
    await at.shot();
    await at.press('Enter');
  }],
  ['saliency', async (at) => {
    await at.rests();
    await at.shot();
  }],
];

mkdirSync(out, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'salun-pictures-'));
const { open } = await import(`./${where}.mjs`);
const studio = await open(what, LINK, folder);
let n = 0;
try {
  for (const [name, act] of steps) {
    n += 1;
    const file = `${String(n).padStart(2, '0')}-${name}-${where}`;
    const started = Date.now();
    const shot = async () => {
      // A frame is drawn when the machine has time for it.
      await sleep(1500);
      await studio.shot(join(folder, `${file}.png`));
      execFileSync('cwebp', ['-quiet', '-q', '60', '-m', '6', join(folder, `${file}.png`), '-o', join(out, `${file}.webp`)]);
    };
    await act({ ...hands(studio), shot });
    console.log(`${file} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
  }
} finally {
  await studio.close();
  rmSync(folder, { recursive: true, force: true });
}
