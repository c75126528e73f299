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
const FIELD = [120, 116];
// The timeline, and where it lies while a step is held, with what can be done there below it.
const END = [281, 743], STEP = [180, 743], HELD_LIVE = [33, 713], BRANCH = [93, 747];
const MORE = [624, 583];
const DIAL = [381, 511], HALF = [347, 511];
const ATTACK = [334, 230];
// A page saves to one place, so its menu has a line less.
const EXPORT = [1020, 21], REPORT = [1040, where === 'page' ? 87 : 120];
const TRAINS = /SalUn/;

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
  ['forget', async (at) => {
    await at.press('Control+Enter');
    await at.reaches(TRAINS, 20);
    await at.shot();
  }],
  ['scrub', async (at) => {
    await at.leaves(TRAINS);
    await at.reaches(TRAINS, 3);
    await at.drag(END, STEP);
    await at.shot();
    await at.click(HELD_LIVE);
  }],
  ['control', async (at) => {
    await at.reaches(TRAINS, 20);
    await at.shot();
  }],
  ['verdict', async (at) => {
    await at.rests();
    await at.shot();
  }],
  ['dial', async (at) => {
    await at.drag(DIAL, HALF);
    await at.rests();
    await at.shot();
    await at.drag(HALF, DIAL);
    await at.rests();
  }],
  ['attack', async (at) => {
    await at.press('a');
    await at.shot();
    await at.click(ATTACK);
    await at.rests();
    await at.shot();
  }],
  ['branch', async (at) => {
    await at.press('c');
    await at.drag(END, STEP);
    await at.click(BRANCH);
    await at.press('Control+Enter');
    await at.rests();
    await at.shot();
  }],
  ['report', async (at) => {
    await at.click(EXPORT);
    await at.shot();
    await at.click(REPORT);
    await at.saved();
  }],
  ['undo', async (at) => {
    await at.click(MORE);
    await at.rests();
    await at.press('Control+z');
    await at.rests();
    await at.shot();
  }],
];

mkdirSync(out, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'salun-pictures-'));
const { open } = await import(`./${where}.mjs`);
let studio, n = 0;
try {
  studio = await open(what, LINK, folder);
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
  await studio?.close();
  rmSync(folder, { recursive: true, force: true });
}
