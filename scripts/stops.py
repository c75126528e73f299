#!/usr/bin/env python3
"""Interrupts every command at moments spread over its time: the first Ctrl-C is answered within a second and
ends the command within five, the second ends it at once, and only whole files are left.

    scripts/stops.py PROGRAM [--moments 5] [--device cpu] [--only NAME]

About 12 minutes on two cores."""
import argparse, os, shutil, signal, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kills import folder_of_pictures

ANSWER, END, AT_ONCE = 1.0, 5.0, 1.0
OWN = 'train fashion-classifier --data folder:mine --width 4 --batch 8 --steps 30 --out model.safetensors'
TINY = '--budget tiny --seed 3 --out out'
COMMANDS = {
    'info': 'info',
    'data-check': 'data check fashion-mnist',
    'export': 'export --model fashion-ddpm --out out.pth',
    'train': 'train fashion-classifier --data folder:mine --width 16 --batch 64 --steps 60 --out out.safetensors',
    'train-ddpm': 'train fashion-ddpm --data fashion-mnist@1000 --width 32 --batch 32 --steps 6 --out out.safetensors',
    'train-t2i': 'train text-to-image --data emoji --autoencoder-steps 2 --steps 2 --decoder-steps 1 --out out',
    'saliency': 'saliency --model fashion-classifier --data fashion-mnist --forget class:Bag --out out.safetensors',
    'saliency-ddpm': 'saliency --model fashion-ddpm --data fashion-mnist --forget class:Bag --budget tiny --out out.safetensors',
    'saliency-t2i': 'saliency --model emoji-t2i --data emoji --forget prompt:cat --budget tiny --out out.safetensors',
    'unlearn': f'unlearn --model fashion-classifier --data fashion-mnist --forget class:Bag --steps 20 --out out',
    'unlearn-audit': f'unlearn --model fashion-classifier --data fashion-mnist --forget class:Bag --audit {TINY}',
    'unlearn-ddpm': f'unlearn --model fashion-ddpm --data fashion-mnist --forget class:Bag {TINY}',
    'unlearn-t2i': f'unlearn --model emoji-t2i --data emoji --forget prompt:cat {TINY}',
    'eval': 'eval --run run --out out',
    'sample': 'sample --model fashion-ddpm --n 4 --out out.png',
    'sample-t2i': 'sample --model emoji-t2i --prompt cat --prompt dog --steps 10 --out out.png',
    'table': 'table table1 --scale tiny --only ft,ga,salun --out out',
    'demo': 'demo --out out --budget tiny',
    'bench': 'bench --no-window --rounds 3 --only ddpm-step',
    'check': 'check --device gpu --only operations,kernels',
}


class Case:
    def __init__(self, program, device, base, name, line):
        self.name, self.dir = name, tempfile.mkdtemp(prefix=f'stops-{name}-')
        self.base = base
        self.command = [program] + line.split() + (['--device', device] if '--device' not in line else [])

    def fresh(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.copytree(self.base, self.dir)

    def start(self):
        # A script that runs in the background ignores Ctrl-C, and what it starts would, too.
        heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(self.command, cwd=self.dir, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True, preexec_fn=heard)

    def length(self, most=60):
        """Seconds that it takes undisturbed, or `most`."""
        self.fresh()
        clock = time.time()
        child = self.start()
        try:
            _, said = child.communicate(timeout=most)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return most
        assert child.returncode == 0, f'{self.name}: {child.returncode} {said}'
        return time.time() - clock

    def stop(self, moment, twice):
        """Interrupts it at a moment; what it said and when, and the complaints."""
        self.fresh()
        child, said, lines = self.start(), [], []

        def read():
            for line in child.stderr:
                said.append((time.time(), line.strip()))
        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(moment)
        if child.poll() is not None:
            reader.join()
            return None, []
        sent = time.time()
        child.send_signal(signal.SIGINT)
        again = sent
        if twice:
            time.sleep(0.7)
            again = time.time()
            child.send_signal(signal.SIGINT)
        child.wait()
        ended = time.time()
        reader.join()
        answered = next((at - sent for at, line in said if at >= sent and 'stopping' in line), None)
        wrong = []
        took, limit = ended - again, AT_ONCE if twice else END
        # It may have been done already; the start of the program, before it listens, ends at once.
        if child.returncode not in (0, 1, -signal.SIGINT):
            wrong.append(f'status {child.returncode}')
        if answered is None and ended - sent > ANSWER:
            wrong.append('no answer')
        if answered is not None and answered > ANSWER:
            wrong.append(f'answered after {answered:.2f} s')
        if took > limit:
            wrong.append(f'ended after {took:.2f} s')
        rest = [n for n in os.listdir(self.dir) if n.endswith(('.tmp', '.old'))]
        if rest:
            wrong.append(f'left behind: {rest}')
        how = 'twice' if twice else 'once'
        tail = said[-1][1] if said else ''
        return (answered or 0, took), [f'{self.name}, {how} after {moment:.2f} s: {w} ({tail})' for w in wrong]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('program')
    parser.add_argument('--moments', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--only')
    args = parser.parse_args()
    program = os.path.abspath(args.program)
    base = tempfile.mkdtemp(prefix='stops-base-')
    folder_of_pictures(f'{base}/mine')
    run = 'unlearn --model model.safetensors --data folder:mine --forget class:a --budget tiny --out run'
    for line in (OWN, run):
        subprocess.run([program] + line.split() + ['--device', 'cpu', '--quiet'], cwd=base, check=True,
                       stdout=subprocess.DEVNULL)
    wrong, stops = [], 0
    for name, line in COMMANDS.items():
        if args.only and args.only != name:
            continue
        case = Case(program, args.device, base, name, line)
        length, answers, ends, at_once = case.length(), [], [], []
        for i in range(args.moments):
            moment = length * (i + 0.5) / args.moments
            for twice in (False, True) if i == args.moments // 2 else (False,):
                times, found = case.stop(moment, twice)
                if times:
                    stops += 1
                    answers.append(times[0])
                    (at_once if twice else ends).append(times[1])
                wrong += found
                for line in found:
                    print(line, flush=True)
        most = lambda all: f'{max(all):.2f} s' if all else '-'
        print(f'{name} ({length:.1f} s): answered within {most(answers)}, ended within {most(ends)}, '
              f'at once within {most(at_once)}', flush=True)
        shutil.rmtree(case.dir, ignore_errors=True)
    shutil.rmtree(base, ignore_errors=True)
    print(f'{stops} stops, {len(wrong)} complaints')
    sys.exit(bool(wrong))


main()
