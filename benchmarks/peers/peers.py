#!/usr/bin/env python3
"""Measures training steps of this library and of others, in turns.

Every side is a process of its own that holds the same network, start values and batch, and works only when told to: in
each round each side runs for the same short time, one after the other. Reported are medians over the rounds, and the
median and quartiles of the ratio theirs / ours within a round. First the losses of all sides must agree.

One thread: all processes share one core, and a side's time is the smaller of wall and processor time, so that jobs of
others on the machine count little. More threads: wall time.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from side import Side  # noqa: E402

EAGER, JAX = "torch eager", "jax jit"

# Row: network, optimiser, batch, rate, {peer: (must, aim)}. What a peer is called is in `command_of`; must and aim are
# None where no bar is set and the figure is only shown.
SHOWN = (None, None)
ROWS = {
    "tiny sgd": ("tiny", "sgd", 32, 0.01, {EAGER: (100, 150), "libtorch": (45, 60), "dlib": (4, 7), JAX: (5, 10),
                                           "torch compile": SHOWN}),
    "tiny adam": ("tiny", "adam", 32, 1e-4, {EAGER: (100, 150), "libtorch": (45, 60), JAX: (5, 10),
                                             "torch eager fused": SHOWN}),
    "mlp sgd": ("mlp", "sgd", 64, 0.01, {EAGER: (1.5, 2), "libtorch": (1.2, 1.5), JAX: (1.2, 1.5),
                                         "torch compile": SHOWN, "torch eager fused": SHOWN}),
    "mlp adam": ("mlp", "adam", 64, 1e-4, {EAGER: (1.8, 2.5), "libtorch": (1.2, 1.5), JAX: (1.2, 1.5),
                                           "torch compile": SHOWN, "torch eager fused": SHOWN}),
    "mlp sgd 128": ("mlp", "sgd", 128, 0.01, {EAGER: SHOWN, JAX: SHOWN}),
    "lenet5 sgd": ("lenet5", "sgd", 64, 0.01, {EAGER: (2.5, 3.5), "torch eager channels_last": (2.5, 3.5),
                                               "torch compile": SHOWN, JAX: SHOWN}),
    "lenet sgd": ("lenet", "sgd", 64, 0.01, {EAGER: (1.3, 1.6), "torch eager channels_last": (1.3, 1.6),
                                             "torch compile": SHOWN, JAX: SHOWN}),
    "resnet20 momentum": ("resnet20", "momentum", 128, 0.01, {"torch eager channels_last": (1.15, 1.45), EAGER: SHOWN,
                                                              "torch compile channels_last": SHOWN, JAX: SHOWN}),
    "gpt adam": ("gpt", "adam", 8, 1e-4, {EAGER: (1.5, 2.2), "torch compile": SHOWN, "torch eager fused": SHOWN,
                                          JAX: SHOWN}),
}


class TimedSide(Side):
    """One that times steps."""

    def __init__(self, name, command, threads, core):
        environment = dict(os.environ)
        if threads > 0:  # 0: as the program likes, unpinned
            environment |= {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
        pin = (lambda: os.sched_setaffinity(0, {core})) if threads == 1 else None
        super().__init__(name, command, env=environment, preexec_fn=pin)
        self.threads, self.times = threads, []

    def time(self, seconds):
        answer = self.ask(f"time {seconds}")
        spent = min(answer["wall"], answer["cpu"]) if self.threads == 1 else answer["wall"]
        return spent / answer["steps"]


def command_of(peer, row, options, data, threads=None):
    network, optimiser, batch, rate, _ = ROWS[row]
    common = ["--network", network, "--optimiser", optimiser, "--threads", str(threads or options.threads), "--rate",
              str(rate)]
    if peer == "ours":
        return [options.build / "step_times", *common, "--batch", str(batch), "--write", data, "--serve"]
    if peer in ("libtorch", "dlib"):
        program = options.build / f"{peer}_steps"
        return [program, *common, "--data", data] if program.exists() else None
    script = {"torch": "torch_steps.py", "jax": "jax_steps.py"}[peer.split()[0]]
    return [options.python, HERE / script, *common, "--mode", peer.split(" ", 1)[1], "--data", data]


def agree(ours, theirs, first, later):
    """None, or how the losses differ: the first ones by rounding alone, later ones by what rounding grows to."""
    for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if not abs(one - other) <= (first if at == 0 else later) * max(abs(one), 1e-6):
            return f"loss {at} is {other:.7g}, ours {one:.7g}"
    return None


def quartiles(numbers):
    return statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3


def measure(row, options, data):
    """One row: {ours, work, limits, peers: {name: ...}}"""
    wanted = [peer for peer in ROWS[row][4] if not options.peers or peer in options.peers]
    ours = TimedSide("ours", command_of("ours", row, options, data), options.threads, options.core)
    losses = ours.ask(f"losses {options.losses}")["losses"]
    sides, result = [ours], {"peers": {}, "limits": [], "losses": losses}
    for peer in wanted:
        command = command_of(peer, row, options, data)
        if command is None:
            result["peers"][peer] = {"missing": "was not built"}
            continue
        side = TimedSide(peer, command, options.threads, options.core)
        try:
            theirs = side.ask(f"losses {options.losses}")["losses"]
            difference = agree(losses, theirs, options.first_loss, options.later_losses)
            if difference:
                raise RuntimeError(f"{peer} computes something else: {difference}")
            sides.append(side)
            result["peers"][peer] = {}
        except RuntimeError as failure:
            print(f"  {row}: {failure}", file=sys.stderr)
            result["peers"][peer] = {"missing": str(failure).splitlines()[0]}
            side.close()
    for side in sides:
        for _ in range(4):  # the first says how long a step takes
            side.time(options.seconds / 2)
    for at in range(options.rounds):
        if at % 5 == 0:
            result["limits"].append(ours.ask("limits 0"))
        for side in sides if at % 2 == 0 else reversed(sides):
            side.times.append(side.time(options.seconds))
            if options.threads > 1:
                time.sleep(0.02)  # until idle threads have stopped spinning
    result["ours"] = quartiles(ours.times)
    for side in sides[1:]:
        result["peers"][side.name] = {"seconds": quartiles(side.times),
                                      "ratio": quartiles([theirs / own for own, theirs in zip(ours.times, side.times)])}
    for side in sides:
        side.close()
    best = {key: max(one[key] for one in result["limits"]) for key in ("peak", "bandwidth")}
    work = result["limits"][0]
    result |= {"flops": work["flops"], "bytes": work["bytes"], **best}
    result["share_of_peak"] = work["flops"] / result["ours"][1] / best["peak"]
    result["share_of_bandwidth"] = work["bytes"] / result["ours"][1] / best["bandwidth"]
    return result


def scaling(row, options, data):
    """Ours on several threads against ours on one, by the clock, beside as many endless loops as asked for."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.endless)]
    sides = [TimedSide(f"{threads} threads", command_of("ours", row, options, data, threads), 0, None)
             for threads in (1, options.scaling)]
    try:
        for side in sides * 4:
            side.time(options.seconds / 2)
        for at in range(options.rounds):
            for side in sides if at % 2 == 0 else reversed(sides):
                side.times.append(side.time(options.seconds))
                time.sleep(0.02)
    finally:
        for side in sides:
            side.close()
        for loop in loops:
            loop.kill()
            loop.wait()
    one, several = (side.times for side in sides)
    return {"one": quartiles(one), "several": quartiles(several), "endless_loops": options.endless,
            "speedup": quartiles([a / b for a, b in zip(one, several)]), "load": os.getloadavg()[0]}


def scaled(seconds):
    for unit, size in (("us", 1e-6), ("ms", 1e-3)):
        if seconds < 1000 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def show(row, result):
    print(f"\n{row}: ours {scaled(result['ours'][1])} ({scaled(result['ours'][0])} to {scaled(result['ours'][2])}), "
          f"{100 * result['share_of_peak']:.0f} % of {result['peak'] / 1e9:.0f} GFLOP/s, "
          f"{100 * result['share_of_bandwidth']:.0f} % of {result['bandwidth'] / 1e9:.0f} GB/s")
    print("| peer | time | ratio | quartiles | must | aim | reached |\n|---|---|---|---|---|---|---|")
    for peer, one in result["peers"].items():
        must, aim = ROWS[row][4][peer]
        if "missing" in one:
            print(f"| {peer} | {one['missing']} | | | {must or ''} | {aim or ''} | |")
            continue
        low, middle, high = one["ratio"]
        verdict = "" if must is None else "aim" if middle >= aim else "must" if middle >= must else "no"
        print(f"| {peer} | {scaled(one['seconds'][1])} | {middle:.2f} | {low:.2f} to {high:.2f} | {must or ''} | "
              f"{aim or ''} | {verdict} |")
    sys.stdout.flush()


def versions(python):
    script = """
import importlib.metadata as m
for name in ("torch", "jax", "numpy"):
    try: print(name, m.version(name))
    except m.PackageNotFoundError: pass
"""
    return subprocess.run([python, "-c", script], capture_output=True, text=True).stdout.split("\n")[:-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="folder of step_times and the peers' programs")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the Python peers")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--peers", nargs="*", metavar="PEER", help="only these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one side in one round")
    parser.add_argument("--losses", type=int, default=8, help="steps whose losses must agree")
    parser.add_argument("--first-loss", type=float, default=2e-5, help="relative difference allowed of the first")
    parser.add_argument("--later-losses", type=float, default=2e-3, help="and of those after updates")
    parser.add_argument("--scaling", type=int, metavar="N", help="instead of peers: ours on N threads against one")
    parser.add_argument("--endless", type=int, default=0, metavar="N", help="with --scaling: beside N endless loops")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"no row {row!r}; rows are: {', '.join(ROWS)}")
    options.build = options.build.resolve()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(options.build / "inductor"))
    options.core = max(os.sched_getaffinity(0))
    data = options.build / "start.safetensors"
    results = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(),
               "versions": versions(options.python), "threads": options.threads, "rounds": options.rounds,
               "seconds": options.seconds, "load": [os.getloadavg()[0]], "rows": {}}
    print(f"{options.threads} thread(s), {options.rounds} rounds of {options.seconds} s a side; "
          f"{', '.join(results['versions'])}; load {results['load'][0]:.1f}")
    if options.scaling:
        print(f"\n| row | 1 thread | {options.scaling} threads | speed-up | quartiles |\n|---|---|---|---|---|")
    for row in options.rows:
        if options.scaling:
            one = results["rows"][row] = scaling(row, options, data)
            low, middle, high = one["speedup"]
            print(f"| {row} | {scaled(one['one'][1])} | {scaled(one['several'][1])} | {middle:.2f} | "
                  f"{low:.2f} to {high:.2f} |", flush=True)
        else:
            results["rows"][row] = measure(row, options, data)
            show(row, results["rows"][row])
        results["load"].append(os.getloadavg()[0])
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(results, indent=1))
    print(f"\nload of the machine: {min(results['load']):.1f} to {max(results['load']):.1f}")


if __name__ == "__main__":
    main()
