// What a person does with the window or the page: point, drag, press, write, wait, look.
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Bounds what would have no end: many times what it takes on a busy machine.
const LONGEST = 40 * 60_000;

export const hands = (studio) => {
  const until = async (what, fits) => {
    const end = Date.now() + LONGEST;
    while (Date.now() < end) {
      const found = await fits();
      if (found) return found;
      await sleep(200);
    }
    throw new Error(`it never came: ${what}`);
  };
  const click = async (at) => {
    await studio.move(at);
    await sleep(150);
    await studio.down();
    await sleep(80);
    await studio.up();
    await sleep(300);
  };
  return {
    ...studio,
    click,
    drag: async (from, to) => {
      await studio.move(from);
      await studio.down();
      for (let i = 1; i <= 8; i += 1) {
        await studio.move(from.map((v, axis) => Math.round(v + ((to[axis] - v) * i) / 8)));
        await sleep(60);
      }
      await studio.up();
      await sleep(300);
    },
    press: async (keys) => {
      await studio.press(keys);
      await sleep(300);
    },
    // One job may follow another at once.
    rests: () => until('nothing is at work', async () => {
      for (let i = 0; i < 8; i += 1) {
        if (await studio.work()) return false;
        await sleep(200);
      }
      return true;
    }),
    reaches: (phase, done) => until(`${phase} at ${done}`, async () => {
      const work = await studio.work();
      return work && phase.test(work.phase) && work.done >= done;
    }),
    leaves: (phase) => until(`the end of ${phase}`, async () => {
      const work = await studio.work();
      return !work || !phase.test(work.phase);
    }),
    saved: () => until('a saved file', studio.saved),
  };
};
