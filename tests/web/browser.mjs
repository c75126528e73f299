// Chromium with WebGPU in software, and a page in it that notes what it asks for.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.env.NODE_PATH ?? process.cwd(), 'x.js'));
const { chromium } = require('playwright-core');
export const axe = require.resolve('axe-core/axe.min.js');

const FLAGS = [
  '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--ignore-gpu-blocklist',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--enable-unsafe-webgpu', '--enable-unsafe-swiftshader', '--use-webgpu-adapter=swiftshader',
];

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: false, args: FLAGS, timeout: 300_000,
});

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// A page of its own profile. `seen` collects every request, console error and long task.
export const visit = async (browser, url, { size = [1280, 800] } = {}) => {
  const [width, height] = size;
  const context = await browser.newContext({ viewport: { width, height }, acceptDownloads: true });
  const page = await context.newPage();
  // What a busy machine needs is no failure: these end what hangs.
  page.setDefaultTimeout(300_000);
  const seen = { requests: [], errors: [] };
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('console', (message) => {
    if (message.type() === 'error') seen.errors.push(message.text());
    if (process.env.VERBOSE) console.log(`  [${message.type()}] ${message.text().slice(0, 600)}`);
  });
  page.on('pageerror', (error) => seen.errors.push(error.message));
  await page.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.longTasks.push(Math.round(entry.duration));
    }).observe({ entryTypes: ['longtask'] });
  });
  await page.goto(url, { timeout: 300_000 });
  return { context, page, seen };
};

export const summary = (page) => page.evaluate(() => {
  const text = window.salun?.summary();
  return text ? JSON.parse(text) : null;
});

// The software adapter gave its device up by itself, as it does on a busy machine.
export class DeviceLost extends Error {}

// Waits until the studio's summary fits; tells what it was when it does not in time. The bound is
// there to end what hangs, many times what it takes on an idle machine.
export const until = async (page, what, fits, seconds = 1000) => {
  const end = Date.now() + 1000 * seconds;
  let last;
  while (Date.now() < end) {
    last = await summary(page);
    if (last && fits(last)) return last;
    const stopped = await page.evaluate(() => {
      const dialog = document.querySelector('#stopped');
      return dialog?.open ? dialog.innerText.replace(/\s+/g, ' ') : null;
    });
    if (stopped) throw new DeviceLost(`${what}: ${stopped}`);
    await sleep(250);
  }
  throw new Error(`not within ${seconds} s: ${what}; ${JSON.stringify(last)?.slice(0, 600)}`);
};
