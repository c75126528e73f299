"""What the rivals of `salun bench` say on standard output, as `src/cli/bench/worker.rs` reads it."""

import sys
import time

import torch


def field(name):
    """MiB of this process by a field of Linux's status, `VmRSS:` or `VmHWM:`."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


def serve(round, device, start):
    """Prints "ready"; then does a round for every line on standard input and prints its seconds; at the end of input
    prints the MiB at the height beyond `start`."""
    print("ready", flush=True)
    for _ in sys.stdin:
        clock = time.perf_counter()
        round()
        if device == "cuda":
            torch.cuda.synchronize()
        print(time.perf_counter() - clock, flush=True)
    print(field("VmHWM:") - start, flush=True)
