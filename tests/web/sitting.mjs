// What is done on the page outlives it: a page that is loaded again offers to come back as it was left.
import assert from 'node:assert/strict';
import { until } from './browser.mjs';

const sittings = (page) => page.evaluate(async () => {
  const root = await navigator.storage.getDirectory();
  const found = [];
  for await (const [name, folder] of root.entries()) {
    const files = [];
    for await (const file of folder.keys()) files.push(file);
    found.push({ name, files: files.sort() });
  }
  return found;
});

export const comesBack = async (page, address, shot) => {
  await page.goto(`${address}?model=fashion-classifier&forget=class%3ASneaker&budget=tiny&steps=16&batch=8&device=cpu&run=1`);
  const done = await until(page, 'both runs are done', (s) => s.reports.every(Boolean) && !s.work && s.runs === 1);
  assert.ok(!done.earlier && done.remembered > 0);
  await page.waitForFunction(async () => {
    const root = await navigator.storage.getDirectory();
    for await (const [, folder] of root.entries()) {
      let n = 0;
      for await (const name of folder.keys()) n += name.startsWith('run-') || name === 'shown';
      if (n === 3) return true;
    }
    return false;
  });
  const [{ name, files }] = await sittings(page);
  assert.equal(files.filter((file) => file.startsWith('run-')).length, 2);

  // As after a crash: nothing is asked, nothing is said.
  page.once('dialog', (dialog) => dialog.accept());
  await page.goto(`${address}?device=cpu`);
  const again = await until(page, 'an earlier sitting is offered', (s) => s.earlier);
  assert.equal(again.runs, 0);
  await page.keyboard.press('Control+b');
  const back = await until(page, 'it is back', (s) => s.runs === 1 && s.reports.every(Boolean) && !s.work);
  assert.deepEqual(back.reports, done.reports);
  assert.deepEqual(back.losses, done.losses);
  assert.equal(back.task, done.task);
  await shot(page, 'came-back');
  await page.waitForFunction(async (old) => {
    const root = await navigator.storage.getDirectory();
    const names = [];
    for await (const name of root.keys()) names.push(name);
    return names.length === 1 && names[0] !== old;
  }, name);
  const [{ files: now }] = await sittings(page);
  assert.deepEqual(now, files);
  return `${(done.remembered / 1e6).toFixed(1)} MB remembered in ${files.length} files, back after a reload`;
};

// A browser without a file system of its own says so once, and all else works.
export const withoutMemory = async (page, address) => {
  // Modules are run in their order: the engine's own finds what an older browser has.
  const first = "import 'data:text/javascript,delete FileSystemFileHandle.prototype.createSyncAccessHandle';\n";
  await page.context().route('**/engine.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: first + await response.text() });
  });
  await page.goto(`${address}?model=fashion-classifier&forget=class%3ABag&budget=tiny&steps=4&batch=8&device=cpu&run=1`);
  const done = await until(page, 'both runs are done', (s) => s.reports.every(Boolean) && !s.work);
  const told = await until(page, 'it is said', (s) => s.error);
  assert.match(told.error, /does not outlive the page/);
  assert.ok(done.reports[0].mask.frozen_changed === 0);
  return told.error;
};
