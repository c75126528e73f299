// The window under the hands: the program on a virtual screen, its mouse and keys by xdotool.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from './hands.mjs';

const tool = (name, ...args) => execFileSync(name, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const x = (...args) => tool('xdotool', ...args.map(String));
const KEYS = { Control: 'ctrl', Enter: 'Return', ArrowRight: 'Right' };
const keysym = (keys) => keys.split('+').map((key) => KEYS[key] ?? key).join('+');

export const open = async (program, link) => {
  // A person of its own, who has nothing yet.
  const home = mkdtempSync(join(tmpdir(), 'salun-story-'));
  const env = { ...process.env, HOME: home, XDG_DATA_HOME: join(home, 'data'), RUST_LOG: 'salun=debug' };
  delete env.WAYLAND_DISPLAY;
  const studio = spawn(program, ['--device', 'cpu', link], { env, stdio: ['ignore', 'inherit', 'pipe'] });
  // The job that is at work, and how far: the program tells both, as it does to whoever asks by RUST_LOG.
  let work = null, ended = false;
  let text = '';
  studio.stderr.on('data', (bytes) => {
    const lines = (text + bytes).split('\n');
    text = lines.pop();
    for (const line of lines) {
      const at = line.match(/job \d+ at (\d+) of (\d+): (.*)$/);
      if (at) work = { phase: at[3], done: Number(at[1]) };
      else if (/job \d+ starts/.test(line)) work = { phase: '', done: 0 };
      else if (/job \d+ ends/.test(line)) work = null;
      else console.log(`  ${line}`);
    }
  });
  studio.on('exit', () => { ended = true; });
  // Without a window manager nobody gives it the keys.
  try {
    const window = x('search', '--sync', '--onlyvisible', '--name', 'SalUn Studio').toString().trim().split('\n')[0];
    x('windowfocus', '--sync', window);
  } catch (failed) {
    studio.kill();
    rmSync(home, { recursive: true, force: true });
    throw failed;
  }
  const runs = join(home, 'SalUn');
  return {
    move: async ([left, top]) => x('mousemove', left, top),
    down: async () => x('mousedown', 1),
    up: async () => x('mouseup', 1),
    press: async (keys) => x('key', keysym(keys)),
    write: async (text) => x('type', '--delay', 60, text),
    work: async () => {
      if (ended) throw new Error('the program ended by itself');
      return work;
    },
    shot: async (file) => tool('import', '-window', 'root', file),
    saved: async () => {
      const found = existsSync(runs) ? readdirSync(runs).filter((name) => name.endsWith('.html')) : [];
      return found.map((name) => join(runs, name))[0];
    },
    close: async () => {
      studio.kill();
      await sleep(1000);
      rmSync(home, { recursive: true, force: true });
    },
  };
};
