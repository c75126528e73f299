// The engine's worker: bytes of commands in, bytes of events out. It is sent the compiled program,
// which the page has loaded.
import init, { EngineWorker } from './salun.js';
import { memory } from './memory.js';

const early = [];
let engine;

const start = async ({ program, device }) => {
  await init({ module_or_path: program });
  engine = await EngineWorker.open(device);
  for (const command of early) engine.take(command);
};

self.onmessage = ({ data }) => {
  if (data.program) {
    start(data).catch((error) => postMessage({ title: 'The engine could not start', why: error?.message ?? String(error) }));
  } else if (data.memory) {
    memory(data);
  } else if (data === 'lose the device') {
    engine?.lose_device();
  } else if (engine) {
    engine.take(data);
  } else {
    early.push(data);
  }
};
