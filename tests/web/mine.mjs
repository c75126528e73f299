// A person's own pictures on the page: dropped, from a camera, drawn; looked at and forgotten.
import assert from 'node:assert/strict';
import { until } from './browser.mjs';

// Drops a file on the page, of bytes or of a picture that the browser makes: a light disc on black.
const drop = (page, name, type, bytes) => page.evaluate(async ([name, type, bytes]) => {
  const disc = () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [90, 60];
    const context = canvas.getContext('2d');
    context.fillRect(0, 0, 90, 60);
    context.fillStyle = '#fff';
    context.arc(45, 30, 20, 0, 7);
    context.fill();
    return new Promise((done) => canvas.toBlob(done, type));
  };
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes ? Uint8Array.from(bytes) : await disc()], name, { type }));
  const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.querySelector('#studio').dispatchEvent(event);
}, [name, type, bytes]);

const middle = ([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2];

const press = async (page, name) => {
  const s = await until(page, `there is a button to ${name}`, (s) => s.mine.places[name]);
  await page.mouse.click(...middle(s.mine.places[name]));
};

export const ownPictures = async (page, shot) => {
  const seen = (n) => until(page, `${n} pictures are looked at`, (s) => s.mine.n === n && s.mine.seen.length === n);
  await drop(page, 'disc.jpg', 'image/jpeg');
  const first = await seen(1);
  assert.ok(first.mine.seen[0], 'the model sees a class');
  await drop(page, 'noise.png', 'image/png', [1, 2, 3]);
  const refused = await until(page, 'what is no picture is refused', (s) => s.error?.startsWith('noise.png'));
  assert.equal(refused.mine.n, 1);

  await press(page, 'camera');
  await page.waitForSelector('#camera[open] .take:enabled');
  await page.click('#camera .take');
  await page.click('#camera .take');
  await shot(page, 'camera');
  await page.click('#camera .close');
  await seen(3);
  // The browser tells a dialog that it was closed when it has nothing else to do.
  await page.waitForFunction(() => document.querySelector('#camera video').srcObject === null)
    .catch(() => assert.fail('the camera stays on'));

  const { mine } = await until(page, 'the pad is there', (s) => s.mine.places.pad);
  const [x, y] = middle(mine.places.pad);
  await page.mouse.move(x - 50, y - 50);
  await page.mouse.down();
  await page.mouse.move(x + 50, y + 50, { steps: 8 });
  await page.mouse.up();
  await press(page, 'add');
  const all = await seen(4);
  await shot(page, 'own-pictures');

  await press(page, 'forget');
  await until(page, 'they are the forget set', (s) => s.link.includes('forget=mine%3A') && !s.work);
  await page.keyboard.press('Control+Enter');
  const done = await until(page, 'both runs are done', (s) => s.reports.every(Boolean) && !s.work && s.mine.after.length === 4);
  assert.equal(done.reports[0].forget.n, 4);
  assert.match(done.reports[0].data, /^fashion-mnist\+mine:/);
  return `seen as ${all.mine.seen.join(', ')}; after forgetting as ${done.mine.after.join(', ')}`;
};
