// The bytes of all tensors of a safetensors file, in the order of their names.
export const bitsOf = (file) => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const head = Number(view.getBigUint64(0, true));
  const tensors = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + head)));
  const names = Object.keys(tensors).filter((name) => name !== '__metadata__').sort();
  const parts = names.map((name) => {
    const [from, to] = tensors[name].data_offsets;
    return file.subarray(8 + head + from, 8 + head + to);
  });
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
};
