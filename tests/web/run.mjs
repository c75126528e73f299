// node tests/web/run.mjs DIST SALUN SHOTS [--quick | NAME]: the built page in a real browser, in
// whole, without the checks that take many minutes, or those with NAME in theirs. SALUN is the native
// program, which runs a shared link for comparison; pictures go to the folder SHOTS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '../../web/serve.mjs';
import { axe, DeviceLost, launch, sleep, until, visit } from './browser.mjs';
import { checkKernels } from './kernels.mjs';
import { malformedFiles, malformedLinks } from './malformed.mjs';
import { ownPictures } from './mine.mjs';
import { bitsOf } from './safetensors.mjs';
import { comesBack, withoutMemory } from './sitting.mjs';

const [dist, salun, shots, only = ''] = process.argv.slice(2);
const quick = only === '--quick';
mkdirSync(shots, { recursive: true });
// Not at the server's root: the page must work from anywhere.
const server = await serve(dist, 0, '/some/where/');
const home = `http://127.0.0.1:${server.address().port}/some/where/`;
// The software adapter is asked for by name: by itself the studio takes the CPU in its place.
const GPU = 'device=gpu';
const shot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });
const opened = (page) => until(page, 'a model is open', (s) => s.open && !s.work);
// Figures that are printed, not judged: times belong to the machine.
const longTasks = async (page) => {
  const long = await page.evaluate(() => window.longTasks);
  return `${long.filter((ms) => ms > 100).length} tasks over 100 ms on the page's thread, longest ${Math.max(0, ...long)} ms`;
};

const checks = [];
const check = (name, run, { slow = false } = {}) => {
  if (quick ? !slow : name.includes(only)) checks.push([name, run]);
};

// The studio's own link of a finished run, for the checks after it; how long its first main job took.
const links = {};

// Asserts that a run on another device is the same in mask and losses; says how far they are apart.
const same = (one, other) => {
  const [a, b] = [one, other].map((run) => bitsOf(run.mask));
  let both = 0, either = 0;
  for (let i = 0; i < a.length; i += 1) { both += a[i] & b[i]; either += a[i] | b[i]; }
  assert.equal(a.length, b.length);
  assert.ok(both / either >= 0.99, `masks overlap by ${both / either}`);
  const off = Math.max(...one.losses.map((loss, i) => Math.abs(loss - other.losses[i]) / Math.abs(loss)));
  assert.ok(one.losses.length === other.losses.length && off < 0.02, `losses ${one.losses} and ${other.losses}`);
  return `masks overlap by ${(both / either).toFixed(5)}, losses within ${(100 * off).toFixed(3)} %`;
};

// Whether the browser would ask before the page is left.
const held = (page) => page.evaluate(() => !dispatchEvent(new Event('beforeunload', { cancelable: true })));

// The main job of a task on the device that the page chooses, or on the software GPU. So short a run
// need not change what a text-to-image model draws.
const mainJob = (task, model, device) => async (browser) => {
  const prompts = task === 'text-to-image';
  const forget = prompts ? 'prompt%3Aa+cat' : 'class%3ASneaker';
  const started = Date.now();
  const seconds = () => ((Date.now() - started) / 1000).toFixed(1);
  const { page, seen, context } = await visit(browser, `${home}?model=${model}&budget=tiny${prompts ? `&forget=${forget}` : ''}${device}`);
  const ready = await until(page, `${model} is open`, (s) => s.open && s.task === task && !s.work);
  const times = { open: seconds() };
  const named = `${task}${device && '-gpu'}`;
  assert.match(ready.device, device ? /WebGPU/ : /^CPU/);
  await shot(page, `${named}-before`);
  assert.ok(!(await held(page)), 'a page with nothing to lose is left unasked');
  // A class is picked with the arrows, and forgotten with a key; a prompt is in the address.
  for (let i = 0; i < 8 && !prompts; i += 1) await page.keyboard.press('ArrowDown');
  await until(page, `${forget} is picked`, (s) => s.link.includes(forget));
  await page.keyboard.press('Control+Enter');
  await until(page, 'the control trains', (s) => s.reports[0]);
  times.method = seconds();
  const done = await until(page, 'both runs are done', (s) => s.reports.every(Boolean) && !s.work);
  times.control = seconds();
  await shot(page, `${named}-after`);
  assert.ok(await held(page), 'the browser asks before runs that nobody saved are lost');
  const [own, control] = done.reports;
  assert.equal(own.mask.frozen_changed, 0);
  assert.equal(own.mask.k, control.mask.k);
  assert.notEqual(own.mask.hash, control.mask.hash);
  assert.ok(prompts || own.after.UA > own.before.UA, `UA ${own.before.UA} to ${own.after.UA}`);
  assert.deepEqual(seen.errors, []);
  const foreign = seen.requests.filter((url) => !url.startsWith(home) && !url.startsWith('blob:'));
  assert.deepEqual(foreign, [], 'no request leaves the page\'s own place');
  const mask = new Uint8Array(await page.evaluate(() => [...window.salun.mask()]));
  const job = { query: done.link, report: own, losses: done.losses[0], mask, seconds: Number(times.control) };
  const alike = links[task] ? `${same(job, links[task])}; ` : '';
  links[task] ??= job;
  const tasks = await longTasks(page);
  const frames = done.frames.map((ms) => ms.toFixed(1));
  await context.close();
  return `${ready.device}: open ${times.open} s, SalUn done ${times.method} s, control ${times.control} s; `
    + `UA ${own.before.UA} to ${own.after.UA} (control ${control.after.UA}), kept ${own.before.RA} to ${own.after.RA}; `
    + `${own.verdict.label}; ${alike}frames p50 ${frames[0]}, p95 ${frames[1]}, max ${frames[2]} ms; `
    + tasks;
};

const JOBS = [
  ['generate', 'fashion-ddpm', ''],
  ['classify', 'fashion-classifier', `&${GPU}`],
  ['text-to-image', 'emoji-t2i', ''],
];
for (const [task, model, device] of JOBS) {
  check(`main job: ${task}`, mainJob(task, model, device));

  check(`the link of ${task} gives the same in the program`, async () => {
    assert.ok(links[task], 'its main job failed');
    const { query, report } = links[task];
    const folder = mkdtempSync(join(tmpdir(), 'salun-link-'));
    try {
      const out = join(folder, 'run');
      const printed = execFileSync(salun, ['unlearn', `${home}?${query}`, '--device', 'cpu', '--json', '--quiet', '--out', out]);
      const native = JSON.parse(printed);
      const log = readFileSync(join(out, 'log.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line).loss);
      const alike = same({ losses: log, mask: readFileSync(join(out, 'mask.safetensors')) }, links[task]);
      for (const name of ['UA', 'RA', 'TA']) {
        for (const when of ['before', 'after']) {
          const [here, there] = [report[when][name], native[when][name]];
          assert.ok(Math.abs(here - there) <= 1, `${name} ${when}: ${here} in the page, ${there} in the program`);
        }
      }
      const text = (m) => `UA ${m.UA} RA ${m.RA.toFixed(2)} TA ${m.TA.toFixed(2)}`;
      return `${alike}; after: page ${text(report.after)}, program ${text(native.after)}`;
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

for (const [task, , device] of JOBS) {
  check(`a link of ${task} opens in a fresh browser`, async (browser) => {
    assert.ok(links[task], 'its main job failed');
    const { query, report } = links[task];
    const { page, context } = await visit(browser, `${home}?${query}&run=1${device}`);
    const done = await until(page, 'the run of the link is done', (s) => s.reports[0]);
    assert.equal(done.reports[0].mask.hash, report.mask.hash);
    assert.ok(Math.abs(done.reports[0].after.UA - report.after.UA) <= 1);
    await context.close();
    return `the same mask ${report.mask.hash.slice(0, 12)}, UA ${done.reports[0].after.UA}`;
  }, { slow: device !== '' });
}

check('malformed files and links', async (browser) => {
  const { page, context, seen } = await visit(browser, `${home}?budget=tiny`);
  await opened(page);
  const model = readFileSync(join(dist, 'assets/models/fashion-classifier.safetensors'));
  const files = malformedFiles(model);
  for (const [name, bytes] of files) {
    await page.evaluate(([name, text]) => {
      window.salun.open_file(name, Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
    }, [name, bytes.toString('base64')]);
    const s = await until(page, `${name} is refused`, (s) => s.error?.startsWith(name) && !s.work);
    assert.ok(s.error.length < 400 && !s.error.includes('panick'), `${name}: ${s.error}`);
    assert.ok(s.open, `${name}: the model that was open stays`);
  }
  await shot(page, 'broken-file');
  for (const link of malformedLinks) {
    await page.evaluate((link) => window.salun.follow(link), link);
    const s = await until(page, `${link} is refused`, (s) => s.error);
    assert.ok(s.error.length < 400 && !s.error.includes('\n'), `${link}: ${s.error}`);
  }
  assert.equal(await page.evaluate(() => document.querySelector('#stopped').open), false);
  assert.deepEqual(seen.errors, []);
  await context.close();
  // And as a person meets them: in the address.
  for (const link of ['density=2', 'model=nothing', '%E0%A4%A']) {
    const visited = await visit(browser, `${home}?${link}`);
    const s = await until(visited.page, `${link} is refused`, (s) => s.error);
    assert.ok(s.error, link);
    await visited.context.close();
  }
  return `${files.length} files and ${malformedLinks.length} links refused, each with a line`;
});

check('a lost device', async (browser) => {
  const { page, context } = await visit(browser, `${home}?model=fashion-classifier&forget=class%3ABag&budget=tiny&seed=4&${GPU}`);
  await until(page, 'the model is open', (s) => s.open);
  await page.evaluate(() => window.loseDevice());
  await page.waitForSelector('#stopped[open]');
  await shot(page, 'lost');
  const text = await page.textContent('#stopped');
  await page.click('#again');
  await page.waitForFunction(() => window.salun && !document.querySelector('#stopped').open);
  const again = await until(page, 'the studio is back', (s) => s.open);
  assert.match(again.link, /class%3ABag/);
  assert.match(again.link, /seed=4/);
  await context.close();
  return text.replace(/\s+/g, ' ').trim();
});

check('main job: generate, on a software GPU', mainJob('generate', 'fashion-ddpm', `&${GPU}`), { slow: true });

check('without WebGPU', async (browser) => {
  const { page, context, seen } = await visit(browser, `${home}?model=fashion-classifier&budget=tiny`);
  const s = await opened(page);
  assert.match(s.device, /^CPU/);
  await page.evaluate(() => window.salun.follow('model=fashion-classifier&forget=class:Sneaker&budget=tiny&run=1'));
  const started = Date.now();
  const done = await until(page, 'both runs are done', (s) => s.reports.every(Boolean) && !s.work);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  await shot(page, 'cpu');
  assert.deepEqual(seen.errors, []);
  const tasks = await longTasks(page);
  await context.close();
  return `${s.device}; both runs in ${seconds} s; UA ${done.reports[0].after.UA}; ${tasks}`;
});

check('pause and cancel reach an engine that computes', async (browser) => {
  const { page, context } = await visit(browser, `${home}?model=fashion-classifier&budget=tiny`);
  await opened(page);
  await page.evaluate(() => window.salun.follow('model=fashion-classifier&forget=class:Bag&budget=tiny&steps=400&run=1'));
  const losses = async () => JSON.parse(await page.evaluate(() => window.salun.summary())).losses[0].length;
  await until(page, 'it trains', (s) => s.losses[0].length > 0);
  await page.keyboard.press('Control+p');
  // A step that was under way may still be told of.
  let before = -1;
  while (before !== await losses()) {
    before = await losses();
    await sleep(3000);
  }
  await page.keyboard.press('Control+p');
  await until(page, 'it goes on', (s) => s.losses[0].length > before);
  const started = Date.now();
  await page.keyboard.press('Escape');
  const s = await until(page, 'it ends', (s) => !s.work);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  assert.equal(s.reports[0], null);
  assert.equal(s.line, 'Cancelled');
  await context.close();
  return `held at update ${before}, went on, cancelled after ${seconds} s`;
});

check('pictures of one\'s own', async (browser) => {
  const { page, context, seen } = await visit(browser, `${home}?model=fashion-classifier&budget=tiny&device=cpu`);
  await opened(page);
  const figures = await ownPictures(page, shot);
  assert.deepEqual(seen.errors, []);
  const foreign = seen.requests.filter((url) => !url.startsWith(home) && !url.startsWith('blob:'));
  assert.deepEqual(foreign, [], 'no picture leaves the page');
  await context.close();
  return figures;
});

check('a page that is loaded again', async (browser) => {
  const { page, context, seen } = await visit(browser, 'about:blank');
  const figures = await comesBack(page, home, shot);
  assert.deepEqual(seen.errors, []);
  await context.close();
  return figures;
});

check('a browser that remembers nothing', async (browser) => {
  const { page, context } = await visit(browser, 'about:blank');
  const figures = await withoutMemory(page, home);
  await context.close();
  return figures;
});

check('kernels', async (browser) => {
  const { page, context } = await visit(browser, home);
  const figures = await checkKernels(page);
  await context.close();
  return figures;
});

check('accessibility', async (browser) => {
  const { page, context } = await visit(browser, `${home}?budget=tiny`);
  await opened(page);
  await page.addScriptTag({ path: axe });
  const found = await page.evaluate(() => window.axe.run());
  const serious = found.violations.filter((v) => ['serious', 'critical'].includes(v.impact));
  assert.deepEqual(serious.map((v) => `${v.id}: ${v.help}`), []);
  // The keyboard walks through the canvas.
  for (let i = 0; i < 12; i += 1) await page.keyboard.press('Tab');
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await shot(page, 'keyboard');
  // The state is told to screen readers.
  const news = await page.waitForFunction(() => document.querySelector('#news').textContent);
  const told = await news.jsonValue();
  await context.close();
  return `axe: ${found.passes.length} rules pass, ${found.violations.length} minor findings; told: "${told}"`;
});

check('phones and embeds', async (browser) => {
  const phone = await visit(browser, `${home}?budget=tiny`, { size: [390, 844] });
  await opened(phone.page);
  await shot(phone.page, 'phone');
  await phone.context.close();
  const part = await visit(browser, `${home}?embed=1&budget=tiny&forget=class%3ASneaker`, { size: [1024, 640] });
  await opened(part.page);
  await shot(part.page, 'embed');
  assert.match(await part.page.evaluate(() => location.search), /embed=1/);
  await part.context.close();
  return 'pictures: phone.png, embed.png';
});

check('without a network after the first visit', async (browser) => {
  const { page, context } = await visit(browser, `${home}?budget=tiny`);
  await opened(page);
  await page.waitForFunction(() => navigator.serviceWorker.controller, null, { timeout: 300_000 });
  await context.setOffline(true);
  await page.reload();
  const s = await opened(page);
  await context.close();
  return `opens offline: ${s.device}`;
});

// Ends a wait that would have no end.
const bounded = (work, minutes) => {
  let timer;
  const bound = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`not done within ${minutes} minutes`)), minutes * 60_000);
  });
  return Promise.race([work, bound]).finally(() => clearTimeout(timer));
};

// One try, in a browser of its own.
const attempt = async (name, run) => {
  const browser = await launch();
  try {
    return await bounded(run(browser), 20);
  } catch (error) {
    for (const page of browser.contexts().flatMap((context) => context.pages())) {
      await bounded(shot(page, `failed-${name.replace(/\W+/g, '-')}`), 1).catch(() => {});
    }
    throw error;
  } finally {
    await bounded(browser.close(), 1).catch(() => {});
  }
};

const passed = [], lost = [], failed = [];
for (const [name, run] of checks) {
  const started = Date.now();
  const seconds = () => ((Date.now() - started) / 1000).toFixed(0);
  const once = () => attempt(name, run);
  try {
    const figures = await once().catch((error) => {
      console.log(`again ${name} (${seconds()} s): ${error.message}`);
      return once();
    });
    console.log(`ok    ${name} (${seconds()} s): ${figures}`);
    passed.push(name);
  } catch (error) {
    // A device that the software adapter gives up twice by itself says nothing about the page.
    const gaveUp = error instanceof DeviceLost;
    console.log(`${gaveUp ? 'LOST ' : 'FAIL '} ${name} (${seconds()} s): ${error.message}`);
    (gaveUp ? lost : failed).push(name);
  }
}
server.close();
if (links.generate && links.classify) {
  const { generate, classify } = links;
  console.log(`main job of both tasks, each with its control: ${(generate.seconds + classify.seconds).toFixed(0)} s`);
}
if (lost.length) console.log(`not checked, the software adapter gave its device up twice: ${lost.join('; ')}`);
console.log(`${passed.length} of ${checks.length} checks of the page pass, ${failed.length} fail; pictures in ${shots}`);
process.exit(failed.length ? 1 : 0);
