#!/usr/bin/env python3
"""Kills commands that write, before each rename, link, unlink, mkdir and sync, and at random moments, and
looks at what is left: the old whole, the new whole or nothing; the same command then goes on without a hand
and comes to the bytes of an undisturbed one.

    scripts/kills.py PROGRAM [--random 50] [--only NAME]

Needs strace. About 15 minutes on two cores."""
import argparse, json, os, random, shutil, signal, struct, subprocess, sys, tempfile, time, zlib

CALLS = 'rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync'
TRAIN = ('train fashion-classifier --data folder:mine --width 4 --batch 8 --steps 30 --seed {seed} '
         '--out own.safetensors')
RUN = ('unlearn --model model.safetensors --data folder:mine --forget class:a --budget tiny --steps 2 '
       '--batch 8 --seed {seed} --out run')
MASK = 'saliency --model model.safetensors --data folder:mine --forget class:a --budget tiny --out mask.safetensors'
TABLE = 'table table1 --scale tiny --only ga --out table --seeds {seeds}'
EVAL = 'eval --run run'
EXPORT = 'export --model model.safetensors --out own.pth'


def png(size, value):
    chunk = lambda t, d: struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))
    rows = b''.join(b'\0' + bytes((value + x * y) % 256 for x in range(size)) for y in range(size))
    head = struct.pack('>IIBBBBB', size, size, 8, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def folder_of_pictures(path):
    """Two classes of 30 pictures."""
    for name, value in (('a', 10), ('b', 150)):
        os.makedirs(f'{path}/{name}')
        for i in range(30):
            open(f'{path}/{name}/{i:03}.png', 'wb').write(png(28, value + i))


def tensors(path):
    """What a safetensors file holds besides its metadata, which has seconds in it."""
    data = open(path, 'rb').read()
    n = struct.unpack('<Q', data[:8])[0]
    head = json.loads(data[8:8 + n])
    head.pop('__metadata__', None)
    return json.dumps(head, sort_keys=True).encode() + data[8 + n:]


def timeless(value):
    """A JSON value without what depends on the clock."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in ('seconds', 'training', 'metrics')}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def cells(path):
    """The runs of a table."""
    if not os.path.isdir(f'{path}/cells'):
        return None
    return {n: json.load(open(f'{path}/cells/{n}'))['outcome']['done']['metrics']
            for n in sorted(os.listdir(f'{path}/cells')) if n.endswith('.json')}


def seen(path):
    """What does not depend on the clock, of a file or of a folder; None where there is none."""
    if os.path.isdir(path):
        return {n: seen(os.path.join(path, n)) for n in sorted(os.listdir(path))
                if n.endswith(('.safetensors', '.toml', '.png'))}
    if not os.path.exists(path):
        return None
    if path.endswith('.safetensors'):
        return tensors(path)
    if path.endswith(('.json', '.jsonl')):
        # A card has its steps and seed, statistics their mask; both are whole JSON.
        lines = open(path).read().splitlines() if path.endswith('l') else [open(path).read()]
        values = [json.loads(line) for line in lines]
        return timeless(values)
    return open(path, 'rb').read()


class Case:
    """`old` is run before. A table may be there in part: it is gone on with."""

    def __init__(self, program, name, line, outputs, old=None, table=False):
        self.program, self.name, self.line, self.outputs, self.old = program, name, line, outputs, old
        self.look, self.in_part = (cells, True) if table else (seen, False)

    def command(self, line):
        return [self.program] + line.split() + ['--device', 'cpu', '--quiet']

    def fresh(self, base):
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.copytree(base, self.dir)

    def run(self, line, **more):
        return subprocess.run(self.command(line), cwd=self.dir, capture_output=True, text=True, **more)

    def state(self):
        return [self.look(os.path.join(self.dir, o)) for o in self.outputs]

    def leftovers(self):
        known = {'mine', 'model.safetensors', 'model.json', 'model.safetensors.log.jsonl', 'run',
                 *(o.split('/')[0] for o in self.outputs)}
        hidden = [n for _, folders, files in os.walk(self.dir) for n in folders + files if n.startswith('.')]
        return sorted(set(os.listdir(self.dir)) - known) + hidden

    def prepare(self, base):
        self.dir = tempfile.mkdtemp(prefix=f'kills-{self.name}-')
        self.base = tempfile.mkdtemp(prefix=f'kills-{self.name}-base-')
        shutil.rmtree(self.base)
        self.fresh(base)
        if self.old:
            done = self.run(self.old)
            assert done.returncode == 0, done.stderr
        self.before = self.state()
        shutil.copytree(self.dir, self.base)
        done = self.run(self.line)
        assert done.returncode == 0, done.stderr
        self.after = self.state()

    def check(self, where):
        """What a kill left, and what the same command makes of it; the complaints."""
        wrong = []
        for name, now, old, new in zip(self.outputs, self.state(), self.before, self.after):
            if now is not None and now != old and now != new and not self.in_part:
                wrong.append(f'{name} is neither old nor new')
        main = self.outputs[0]
        states = self.state()
        for name, now, old, new in list(zip(self.outputs, states, self.before, self.after))[1:]:
            # Beside a name that nothing has yet, what belongs to it is of an output that is not done.
            unchanged = states[0] == self.before[0] and states[0] not in (None, self.after[0])
            if now is not None and unchanged and now != old:
                wrong.append(f'{name} is new beside an old {main}')
            if now is not None and states[0] == self.after[0] != self.before[0] and now != new:
                wrong.append(f'{name} is old beside a new {main}')
        line = self.line
        if os.path.exists(os.path.join(self.dir, main.split('/')[0] + '.state')):
            line += ' --resume'
        again = self.run(line)
        whole = self.state()[0] == self.after[0]
        if again.returncode and not (whole and 'already there' in again.stderr):
            wrong.append(f'then: {again.returncode} {again.stderr.strip()[-160:]}')
        if not whole:
            wrong.append(f'{main} is not what an undisturbed command writes')
        rest = [n for n in self.leftovers() if not n.endswith('.state')]
        if rest:
            wrong.append(f'left behind: {rest}')
        return [f'{self.name}, {where}: {w}' for w in wrong]

    def calls(self):
        """How often each call is made, from the log of an undisturbed command."""
        self.fresh(self.base)
        log = os.path.join(self.dir, '..', os.path.basename(self.dir) + '.log')
        subprocess.run(['strace', '-f', '-o', log, '-e', f'trace={CALLS}'] + self.command(self.line),
                       cwd=self.dir, capture_output=True)
        count = {}
        for line in open(log):
            call = line.split(' ', 1)[1].lstrip().split('(')[0]
            if call in CALLS.split(',') and 'resumed' not in line:
                count[call] = count.get(call, 0) + 1
        os.remove(log)
        return count

    def kill_at_calls(self):
        for call, n in self.calls().items():
            for when in range(1, n + 1):
                self.fresh(self.base)
                inject = f'inject={call}:signal=SIGKILL:when={when}'
                done = subprocess.run(['strace', '-f', '-o', '/dev/null', '-e', f'trace={call}', '-e', inject]
                                      + self.command(self.line), cwd=self.dir, capture_output=True)
                # Calls are counted for each thread by itself: some numbers are never reached.
                if done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
                    yield self.check(f'{call} {when} of {n}')

    def kill_at_random(self, times, rng):
        self.fresh(self.base)
        clock = time.time()
        self.run(self.line)
        took = time.time() - clock
        for _ in range(times):
            self.fresh(self.base)
            moment = rng.uniform(0, took)
            child = subprocess.Popen(self.command(self.line), cwd=self.dir, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            time.sleep(moment)
            child.send_signal(signal.SIGKILL)
            if child.wait() != -signal.SIGKILL:
                continue
            yield self.check(f'after {moment:.3f} s of {took:.3f}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('program')
    parser.add_argument('--random', type=int, default=50)
    parser.add_argument('--only')
    args = parser.parse_args()
    program, rng = os.path.abspath(args.program), random.Random(1)
    base = tempfile.mkdtemp(prefix='kills-base-')
    folder_of_pictures(f'{base}/mine')
    model = TRAIN.format(seed=1).replace('own.', 'model.')
    subprocess.run([program] + model.split() + ['--device', 'cpu', '--quiet'], cwd=base, check=True,
                   stdout=subprocess.DEVNULL)
    weights = ['own.safetensors', 'own.json', 'own.safetensors.log.jsonl']
    masks = ['mask.safetensors', 'mask.json', 'mask.png']
    one, two = TRAIN.format(seed=1), TRAIN.format(seed=2)
    cases = [
        Case(program, 'train', one, weights),
        Case(program, 'train-force', f'{two} --force', weights, old=one),
        Case(program, 'unlearn', RUN.format(seed=1), ['run']),
        Case(program, 'unlearn-force', f'{RUN.format(seed=2)} --force', ['run'], old=RUN.format(seed=1)),
        Case(program, 'saliency', MASK, masks),
        Case(program, 'saliency-force', f'{MASK} --density 0.2 --force', masks, old=MASK),
        Case(program, 'table', TABLE.format(seeds=2), ['table'], old=TABLE.format(seeds=1), table=True),
        Case(program, 'table-force', f'{TABLE.format(seeds=1)} --force', ['table'],
             old=TABLE.format(seeds=1).replace('table1', 'classwise'), table=True),
        Case(program, 'eval', EVAL, ['run/audit.json', 'run/roc.png', 'run/relearn.png'], old=RUN.format(seed=1)),
        Case(program, 'export', EXPORT, ['own.pth']),
        Case(program, 'export-force', f'{EXPORT} --bare --force', ['own.pth'], old=EXPORT),
    ]
    wrong, kills = [], 0
    for case in cases:
        if args.only and args.only != case.name:
            continue
        case.prepare(base)
        before = kills
        for found in list(case.kill_at_calls()) + list(case.kill_at_random(args.random // len(cases) + 1, rng)):
            kills += 1
            wrong += found
            for line in found:
                print(line, flush=True)
        print(f'{case.name}: {kills - before} kills', flush=True)
        shutil.rmtree(case.dir, ignore_errors=True)
        shutil.rmtree(case.base, ignore_errors=True)
    shutil.rmtree(base, ignore_errors=True)
    print(f'{kills} kills, {len(wrong)} complaints')
    sys.exit(bool(wrong))


if __name__ == '__main__':
    main()
