// The shaders of the product in a browser's own WebGPU: every pipeline is made, and those that work
// alone are held against the same in JavaScript. (Selection runs in the page's main job.)
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const checkKernels = async (page) => {
  const folder = fileURLToPath(new URL('../../shaders', import.meta.url));
  const sources = Object.fromEntries(readdirSync(folder).map((name) => [name.replace('.wgsl', ''), readFileSync(join(folder, name), 'utf8')]));
  const found = await page.evaluate(inPage, sources);
  for (const [name, off] of Object.entries(found.off)) assert.ok(off <= 1e-6, `${name} is off by ${off}`);
  const operations = JSON.parse(await page.evaluate(async () => {
    const program = await import(new URL('salun.js', location.href));
    return program.check_operations('gpu');
  }));
  const wrong = operations.filter(({ by, limit }) => !(by <= limit));
  assert.deepEqual(wrong, [], 'operations that are not as on the CPU');
  return `${found.pipelines} pipelines of ${Object.keys(sources).length} shaders; ${Object.keys(found.off).join(', ')} as on the CPU; `
    + `${operations.length} results and gradients of operations within ${Math.max(...operations.map(({ by }) => by)).toExponential(1)}`;
};

// Runs in the page: nothing from outside but the sources.
const inPage = async (sources) => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const made = {};
  for (const [name, source] of Object.entries(sources)) {
    for (const [, entryPoint] of source.matchAll(/fn (\w+)\(\s*\n?\s*@builtin/g)) {
      const module = device.createShaderModule({ code: source });
      made[`${name}.${entryPoint}`] = await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint } });
    }
  }
  const STORAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = (data, usage = STORAGE) => {
    const made = device.createBuffer({ size: data.byteLength, usage, mappedAtCreation: true });
    new Uint8Array(made.getMappedRange()).set(new Uint8Array(data.buffer));
    made.unmap();
    return made;
  };
  // A uniform of whole numbers, then of reals.
  const uniform = (whole, reals) => {
    const bytes = new DataView(new ArrayBuffer(4 * (whole.length + reals.length)));
    whole.forEach((v, i) => bytes.setUint32(4 * i, v, true));
    reals.forEach((v, i) => bytes.setFloat32(4 * (whole.length + i), v, true));
    return buffer(new Uint8Array(bytes.buffer), GPUBufferUsage.UNIFORM);
  };
  const run = (name, buffers, n) => {
    const pipeline = made[name];
    const entries = buffers.map((made, binding) => ({ binding, resource: made instanceof GPUTexture ? made.createView() : { buffer: made } }));
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(Math.ceil(n / 256));
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  const read = async (from, Kind) => {
    const to = device.createBuffer({ size: from.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
    device.queue.submit([encoder.finish()]);
    await to.mapAsync(GPUMapMode.READ);
    return new Kind(to.getMappedRange().slice(0));
  };
  let state = 1;
  const random = (n) => Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  const furthest = (a, b) => a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);

  const n = 10_007, start = 77, off = {};
  const [theta, gradient, velocity] = [random(n), random(n), random(n)];
  const words = new Uint32Array(Math.ceil((start + n) / 32));
  const free = (i) => i % 3 !== 0;
  for (let i = 0; i < n; i += 1) if (free(i)) words[(start + i) >> 5] |= 1 << ((start + i) % 32);

  const sum = buffer(theta);
  run('accumulate.main', [sum, buffer(gradient), uniform([n, 1], [])], n);
  off.accumulate = furthest(await read(sum, Float32Array), theta.map((v, i) => Math.abs(v + gradient[i])));

  const scores = theta.map(Math.abs);
  const counts = buffer(new Uint32Array(2 * 4096));
  run('layer_histogram.main', [buffer(scores), counts, uniform([start, n, 1], [])], n);
  const expected = new Uint32Array(2 * 4096);
  const bits = new Uint32Array(scores.buffer);
  for (const one of bits.subarray(start)) expected[4096 + (one >>> 19)] += 1;
  off.layer_histogram = furthest(await read(counts, Uint32Array), expected);

  // 64 columns from the second on of a layer of 70, so that a row of texels is 256 bytes.
  const [wide, high, row, left] = [64, 40, 70, 2];
  const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC;
  const canvas = device.createTexture({ size: [wide, high], format: 'rgba8unorm', usage });
  const cut = bits[start + left];
  const view = uniform([start, 1000 + start, row, left, cut, 1000 + start + left + 1], [Math.log10(0.9)]);
  run('heat_map.main', [buffer(scores), view, canvas], wide * high);
  const rows = buffer(new Uint32Array(wide * high));
  const copy = device.createCommandEncoder();
  copy.copyTextureToBuffer({ texture: canvas }, { buffer: rows, bytesPerRow: 4 * wide }, [wide, high]);
  device.queue.submit([copy.finish()]);
  const stops = [[70, 16, 60], [180, 45, 60], [245, 140, 40], [252, 245, 180]];
  const colours = Array.from({ length: 4 * wide * high }, (_, i) => {
    if (i % 4 === 3) return 255;
    const texel = i >> 2;
    const at = start + Math.floor(texel / wide) * row + left + (texel % wide);
    const share = Math.min(Math.max((Math.log10(scores[at]) - Math.log10(0.9)) / 4 + 1, 0), 1);
    if (bits[at] < cut) return Math.floor(24 + 60 * share);
    const stop = Math.min(Math.floor(3 * share), 2);
    const [from, to] = [stops[stop][i % 4], stops[stop + 1][i % 4]];
    return Math.floor(from + (to - from) * (3 * share - stop));
  });
  // A rounded step of one is right, too.
  off.heat_map = Math.max(furthest(await read(rows, Uint8Array), colours) - 1, 0);

  const [lr, momentum, decay] = [0.05, 0.9, 5e-4];
  let [after, moments] = [buffer(new Float32Array(n)), buffer(velocity)];
  run('step_sgd.main', [buffer(theta), buffer(gradient), after, moments, buffer(words), uniform([start, n], [lr, momentum, decay])], n);
  off.step_sgd = furthest(await read(after, Float32Array), theta.map((v, i) => (
    free(i) ? v - lr * (momentum * velocity[i] + gradient[i] + decay * v) : v)));

  const [beta1, beta2, eps] = [0.9, 0.999, 1e-8];
  after = buffer(new Float32Array(n));
  const unbias = 1 / (1 - beta2);
  const adam = uniform([start, n], [lr / (1 - beta1), beta1, beta2, unbias, eps]);
  const zeros = () => buffer(new Float32Array(n));
  run('step_adam.main', [buffer(theta), buffer(gradient), after, zeros(), zeros(), buffer(words), adam], n);
  off.step_adam = furthest(await read(after, Float32Array), theta.map((v, i) => (
    free(i) ? v - lr * gradient[i] / (Math.abs(gradient[i]) + eps) : v)));

  const moved = buffer(theta.map((v, i) => v + 0.02 * gradient[i]));
  after = buffer(new Float32Array(n));
  run('soft_threshold.main', [moved, buffer(theta), after, uniform([n], [0.01])], n);
  off.soft_threshold = furthest(await read(after, Float32Array), theta.map((v, i) => {
    const by = Math.fround(Math.fround(v + 0.02 * gradient[i]) - v);
    return Math.abs(by) <= 0.01 ? v : v + by - Math.sign(by) * 0.01;
  }));
  return { pipelines: Object.keys(made).length, off };
};
