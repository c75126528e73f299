// The page under the hands: Chromium's mouse and keys; what is at work stands in the page's own summary.
import { join } from 'node:path';
import { serve } from '../../web/serve.mjs';
import { launch, summary, until, visit } from '../web/browser.mjs';

export const open = async (dist, link, folder) => {
  const server = await serve(dist, 0, '/');
  const browser = await launch();
  const { page } = await visit(browser, `http://127.0.0.1:${server.address().port}/${link}`);
  let saved;
  page.on('download', async (download) => {
    const file = join(folder, download.suggestedFilename());
    await download.saveAs(file);
    saved = file;
  });
  await until(page, 'the studio is there', (s) => s.line);
  return {
    move: ([left, top]) => page.mouse.move(left, top),
    down: () => page.mouse.down(),
    up: () => page.mouse.up(),
    press: (keys) => page.keyboard.press(keys),
    write: (text) => page.keyboard.type(text, { delay: 60 }),
    work: async () => (await summary(page)).work,
    shot: (path) => page.screenshot({ path }),
    saved: async () => saved,
    close: async () => {
      await browser.close();
      server.close();
    },
  };
};
