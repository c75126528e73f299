// What a page must refuse with a line: weights files and links.

// A safetensors file of a header and a body.
const made = (header, body = Buffer.alloc(0)) => {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, body]);
};

// A whole file with its header changed.
const changed = (file, change) => {
  const head = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + head).toString());
  return made(change(header) ?? header, file.subarray(8 + head));
};

const claims = (length) => {
  const file = Buffer.alloc(64);
  file.writeBigUInt64LE(length);
  return file;
};

export const malformedFiles = (whole) => {
  const card = (change) => changed(whole, (header) => {
    const card = JSON.parse(header.__metadata__.salun);
    change(card);
    header.__metadata__.salun = JSON.stringify(card);
  });
  const infinite = Buffer.from(whole);
  infinite.fill(0x7c, whole.length - 4096);
  return [
    ['empty.safetensors', Buffer.alloc(0)],
    ['short.safetensors', Buffer.from([1, 2, 3])],
    ['zeros.safetensors', Buffer.alloc(4096)],
    ['noise.safetensors', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 2_654_435_761) >>> 24))],
    ['picture.safetensors', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
    ['pickle.safetensors', Buffer.from('80027d7100285805000000', 'hex')],
    ['text.safetensors', Buffer.from('these are not weights\n'.repeat(40))],
    ['endless-header.safetensors', claims(0xffffffffffffffffn)],
    ['long-header.safetensors', claims(1_000_000_000n)],
    ['cut-in-half.safetensors', whole.subarray(0, whole.length >> 1)],
    ['cut-by-one.safetensors', whole.subarray(0, whole.length - 1)],
    ['one-more.safetensors', Buffer.concat([whole, Buffer.from([0])])],
    ['not-json.safetensors', made('{"a":')],
    ['no-tensors.safetensors', made({})],
    ['deep.safetensors', made('['.repeat(20_000))],
    ['no-card.safetensors', changed(whole, (h) => { delete h.__metadata__; delete h['conv1.weight']; })],
    ['card-not-json.safetensors', changed(whole, (h) => { h.__metadata__.salun = '{'; })],
    ['huge-width.safetensors', card((c) => { c.architecture.width = 4_000_000_000; })],
    ['other-width.safetensors', card((c) => { c.architecture.width = 32; })],
    ['no-classes.safetensors', card((c) => { c.classes = []; })],
    ['missing-tensor.safetensors', changed(whole, (h) => { h['renamed.weight'] = h['fc.weight']; delete h['fc.weight']; })],
    ['other-shape.safetensors', changed(whole, (h) => { h['fc.weight'].shape.reverse(); })],
    ['overlapping.safetensors', changed(whole, (h) => { h['fc.bias'].data_offsets = h['fc.weight'].data_offsets; })],
    ['not-finite.safetensors', infinite],
  ];
};

export const malformedLinks = [
  'density=1.5', 'density=-0.1', 'density=NaN', 'density=inf', 'density=', 'density=0,5', 'density=50%25',
  'density=0.5&density=0.6', 'seed=-1', 'seed=1.5', 'seed=18446744073709551616', 'seed=', 'seed=0x10', 'seed=%00',
  'steps=0', 'steps=-3', 'steps=10000001', 'steps=1e3', 'steps=ten', 'at=-1', 'at=x', 'run=yes', 'run=2', 'run=',
  'run=1&run=1', 'method=salum', 'method=', 'method=%F0%9F%98%80', 'budget=huge', 'budget=QUICK', 'budget=',
  'modle=fashion-ddpm', '=', '=1', '%00=1', '%ff%fe=%ff', '__proto__=1', '<script>alert(1)</script>',
  'model=a&model=b', 'Density=0.5', ' density=0.5', 'weights=../../etc/passwd', 'model=', 'model=../../x',
  'model=https://example.com/x.safetensors', 'model=fashion-classifier-retrain', 'forget=a&forget=b',
  `forget=${'x'.repeat(3000)}`, 'model=%2e%2e%2f', 'data=folder:/etc', 'constructor=1', 'budget=tiny&forget=class:Nothing',
  'budget=tiny&forget=random:10%25', 'budget=tiny&forget=indices:/etc/passwd',
];
