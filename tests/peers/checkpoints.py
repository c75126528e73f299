"""Writes tests/fixtures/extras.pth.gz and extras-*.pth.gz: a small ResNet-18 in the forms that training
scripts leave it in. Run with PyTorch 2 and NumPy: python tests/peers/checkpoints.py"""
import argparse, collections, gzip, io, pathlib, random
import numpy, torch

folder = pathlib.Path(__file__).parent.parent / 'fixtures'


def resnet(width=2, classes=4):
    """A ResNet-18 in its CIFAR form; the numbers repeat, so that the file packs well."""
    state, count = collections.OrderedDict(), 0

    def put(name, *shape):
        nonlocal count
        n = int(numpy.prod(shape))
        state[name] = torch.tensor([((count + i) % 7 - 3) / 8 for i in range(n)]).reshape(shape)
        count += 1

    def norm(name, c):
        for part in ('weight', 'bias', 'running_mean'):
            put(f'{name}.{part}', c)
        state[f'{name}.running_var'] = torch.ones(c)
        state[f'{name}.num_batches_tracked'] = torch.tensor(5)

    put('conv1.weight', width, 3, 3, 3)
    norm('bn1', width)
    for layer in range(4):
        out = width << layer
        for block in range(2):
            c = (out >> 1 if layer else out) if block == 0 else out
            name = f'layer{layer + 1}.{block}'
            put(f'{name}.conv1.weight', out, c, 3, 3)
            norm(f'{name}.bn1', out)
            put(f'{name}.conv2.weight', out, out, 3, 3)
            norm(f'{name}.bn2', out)
            if block == 0 and layer:
                put(f'{name}.downsample.0.weight', out, c, 1, 1)
                norm(f'{name}.downsample.1', out)
    put('fc.weight', classes, width << 3)
    put('fc.bias', classes)
    return state


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)


def save(name, value):
    file = io.BytesIO()
    torch.save(value, file)
    (folder / f'{name}.pth.gz').write_bytes(gzip.compress(file.getvalue(), 9, mtime=0))


weights = resnet()
parameter = torch.nn.Parameter(torch.ones(3))
optimiser = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
parameter.sum().backward()
optimiser.step()
averaged = {k: v + 1 if v.is_floating_point() else v for k, v in weights.items()}
save('extras', {
    'state_dict': weights, 'model_ema': averaged, 'optimizer': optimiser.state_dict(), 'epoch': 7,
    'best_sa': numpy.float64(93.5), 'evaluation_result': {'test': [numpy.float32(1.5), numpy.int64(3)]},
    'args': argparse.Namespace(lr=0.1, classes={'a', 'b'}, out=pathlib.Path('/tmp/out')),
    'rng': torch.get_rng_state(), 'numpy rng': numpy.random.get_state(), 'python rng': random.getstate(),
    'device': torch.device('cpu'), 'mask': numpy.arange(3), 'big': 2 ** 200,
})
save('extras-nested', {'epoch': 1, 'checkpoint': {'net': {
    f'_orig_mod.module.backbone.{k}': v for k, v in weights.items()}}})
save('extras-module', {'model': Net(), 'epoch': 1})
save('mask', {k: (v > 0).long() for k, v in weights.items() if not k.split('.')[-1].startswith(('running', 'num'))})
