#!/usr/bin/env python3
"""Measures training steps of this library and of others, in turns.

Every side is a process of its own that holds the same network, start values and batch, and works only when told to: in
each round each side runs for the same short time, one after the other. Reported are medians over the rounds, and the
median and quartiles of the ratio theirs / ours within a round. First the losses of all sides must agree.

One thread: all processes share one core, and a side's time is the smaller of wall and processor time, so that jobs of
others on the machine count little. More threads, or a GPU: wall time.
"""
import argparse
import fnmatch
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from side import Side  # noqa: E402

EAGER, JAX = "torch eager", "jax jit"

# Row: network, optimiser, batch, rate, {peer: (must, aim)}, and the precision unless it is f32. What a peer is called is
# in `command_of`; must and aim are None where no bar is set and the figure is only shown.
SHOWN = (None, None)
CPU_ROWS = {
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


# How far losses may differ, relative to ours: the first by rounding alone, those after updates by what it grows to.
# tf32 keeps 10 bits of an operand's mantissa and bf16 7 (0.0005 and 0.004 at most), and the sides need not round the
# same values; on the CPU, bf16 moves first losses by up to 0.0013 and later ones by up to 0.004. Each bound is still
# below what the updates change in these steps, so that wrong gradients show.
TOLERANCES = {"f32": (2e-5, 2e-3), "tf32": (2e-3, 1e-2), "bf16": (1e-2, 3e-2)}


def gpu_rows():
    rows = {}
    for precision in TOLERANCES:
        for network in ("tiny", "gpt", "mlp", "resnet20", "lenet"):  # five rows in turn fit into a GPU's memory
            for batch in (128, 1024):
                small = network in ("tiny", "mlp", "lenet")
                must = 1.3 if small else 1.2 if precision == "bf16" else None
                forms = ["compile", "compile reduce-overhead", "graph", "compile graph"]
                if network in ("lenet", "resnet20"):
                    forms += ["graph channels_last", "compile graph channels_last"]
                peers = {EAGER: (5 if small and batch == 128 else None, None)}
                peers |= {f"torch {form}": (must, None) for form in forms}
                rows[f"{network} {batch} {precision}"] = (network, "adam", batch, 1e-3, peers, precision)
    return rows


GPU_ROWS = gpu_rows()
ROWS = CPU_ROWS | GPU_ROWS


def precision_of(row):
    return ROWS[row][5] if len(ROWS[row]) > 5 else "f32"


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
    network, optimiser, batch, rate = ROWS[row][:4]
    common = ["--network", network, "--optimiser", optimiser, "--threads", str(threads or options.threads), "--rate",
              str(rate)]
    precise = ["--precision", precision_of(row)]
    if peer == "ours":
        program = options.build / ("cuda_step_times" if options.device == "cuda" else "step_times")
        return [program, *common, *precise, "--batch", str(batch), "--write", data, "--serve"]
    if peer in ("libtorch", "dlib"):
        program = options.build / f"{peer}_steps"
        return [program, *common, "--data", data] if program.exists() else None
    script = {"torch": "torch_steps.py", "jax": "jax_steps.py"}[peer.split()[0]]
    return [options.python, HERE / script, *common, *precise, "--device", options.device, "--mode",
            peer.split(" ", 1)[1], "--data", data]


def agree(ours, theirs, first, later):
    """None, or how the losses differ: the first ones by rounding alone, later ones by what rounding grows to."""
    for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if not abs(one - other) <= (first if at == 0 else later) * max(abs(one), 1e-6):
            return f"loss {at} is {other:.7g}, ours {one:.7g}"
    return None


def quartiles(numbers):
    return statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3


def start(rows, options):
    """All sides of some rows at once, so that they compile side by side: {row: (sides, result)}, the result without
    times. Ours first, for it writes what theirs read."""
    started, question = {}, f"losses {options.losses}"
    threads = 0 if options.device == "cuda" else options.threads
    for at, row in enumerate(rows):
        data = options.build / f"start{at}.safetensors"
        ours = TimedSide("ours", command_of("ours", row, options, data), threads, options.core)
        ours.tell(question)
        started[row] = [ours], {"peers": {}}, data
    for row, (sides, result, data) in started.items():
        try:
            result["losses"] = sides[0].answer()["losses"]
        except RuntimeError as failure:
            result["failed"] = str(failure)
            continue
        for peer in ROWS[row][4]:
            if options.peers and peer not in options.peers:
                continue
            command = command_of(peer, row, options, data)
            result["peers"][peer] = {} if command else {"missing": "was not built"}
            if command:
                sides.append(TimedSide(peer, command, threads, options.core))
                sides[-1].tell(question)
    return {row: ([side for side in sides if joins(side, row, result, options)], result)
            for row, (sides, result, _) in started.items()}


def joins(side, row, result, options):
    """True if a side is ours, or its losses agree with ours; otherwise the result says why not."""
    if side.name == "ours":
        return True
    try:
        first, later = TOLERANCES[precision_of(row)]
        difference = agree(result["losses"], side.answer()["losses"], options.first_loss or first,
                           options.later_losses or later)
        if not difference:
            return True
        result["differs"] = True
        failure = f"{side.name} computes something else: {difference}"
    except RuntimeError as stopped:
        failure = str(stopped)
    print(f"  {row}: {failure}", file=sys.stderr)
    result["peers"][side.name] = {"missing": failure.strip().splitlines()[-1]}
    side.close()
    return False


def measure(row, sides, result, options):
    """Lets the sides take turns; adds {ours, limits, work, peers: {name: ...}} to the result."""
    ours = sides[0]
    for side in sides:
        for _ in range(4):  # the first says how long a step takes
            side.time(options.seconds / 2)
    result["limits"] = []
    for at in range(options.rounds):
        if at % 5 == 0:
            result["limits"].append(ours.ask("limits 0"))
        for side in sides if at % 2 == 0 else reversed(sides):
            side.times.append(side.time(options.seconds))
            if side.threads > 1:
                time.sleep(0.02)  # until idle threads have stopped spinning
    result["ours"] = quartiles(ours.times)
    for side in sides[1:]:
        result["peers"][side.name] = {"seconds": quartiles(side.times),
                                      "ratio": quartiles([theirs / own for own, theirs in zip(ours.times, side.times)])}
    work = result["limits"][0]
    if options.gpu:
        best = {"peak": options.gpu["peak"][precision_of(row)], "bandwidth": options.gpu["bandwidth"]}
    else:
        best = {key: max(one[key] for one in result["limits"]) for key in ("peak", "bandwidth")}
    result |= {"flops": work["flops"], "bytes": work["bytes"], **best}
    result["share_of_peak"] = work["flops"] / result["ours"][1] / best["peak"]
    result["share_of_bandwidth"] = work["bytes"] / result["ours"][1] / best["bandwidth"]


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
        verdict = "" if must is None else "aim" if aim and middle >= aim else "must" if middle >= must else "no"
        print(f"| {peer} | {scaled(one['seconds'][1])} | {middle:.2f} | {low:.2f} to {high:.2f} | {must or ''} | "
              f"{aim or ''} | {verdict} |")
    sys.stdout.flush()


def summarise(rows):
    """The rows of a GPU: ours beside PyTorch eager, and beside the best of what is compiled or captured."""
    print("\n| row | ours | of peak | of bandwidth | eager | must | best other form | ratio | quartiles | must | reached |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row, result in rows.items():
        timed = {peer: one for peer, one in result["peers"].items() if "ratio" in one}
        others = [peer for peer in timed if peer != EAGER]
        if "ours" not in result or not others or EAGER not in timed:
            print(f"| {row} | not measured | | | | | | | | | no |")
            continue
        best = min(others, key=lambda peer: timed[peer]["seconds"][1])
        eager, (low, middle, high) = timed[EAGER]["ratio"][1], timed[best]["ratio"]
        musts = ROWS[row][4][EAGER][0], ROWS[row][4][best][0]
        reached = "yes" if eager >= (musts[0] or 0) and middle >= (musts[1] or 0) else "no"
        print(f"| {row} | {scaled(result['ours'][1])} | {100 * result['share_of_peak']:.1f} % | "
              f"{100 * result['share_of_bandwidth']:.1f} % | {eager:.2f} | {musts[0] or ''} | {best} | {middle:.2f} | "
              f"{low:.2f} to {high:.2f} | {musts[1] or ''} | {reached if any(musts) else ''} |")


def versions(python):
    script = """
import importlib.metadata as m
for name in ("torch", "jax", "numpy"):
    try: print(name, m.version(name))
    except m.PackageNotFoundError: pass
"""
    return subprocess.run([python, "-c", script], capture_output=True, text=True).stdout.split("\n")[:-1]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="folder of step_times and the peers' programs")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the Python peers")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rows", nargs="*", metavar="ROW", help="names or patterns such as '* bf16'; on the CPU: "
                        f"{', '.join(CPU_ROWS)}; on a GPU: {', '.join(GPU_ROWS)}")
    parser.add_argument("--peers", nargs="*", metavar="PEER", help="only these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="25, or 9 on a GPU")
    parser.add_argument("--seconds", type=float, help="of one side in one round; 0.1, or 0.06 on a GPU")
    parser.add_argument("--together", type=int, help="rows whose sides start at once; 1, or 5 on a GPU")
    parser.add_argument("--losses", type=int, default=8, help="steps whose losses must agree")
    parser.add_argument("--first-loss", type=float, help="relative difference allowed of the first; 2e-5 in f32")
    parser.add_argument("--later-losses", type=float, help="and of those after updates; 2e-3 in f32")
    parser.add_argument("--scaling", type=int, metavar="N", help="instead of peers: ours on N threads against one")
    parser.add_argument("--endless", type=int, default=0, metavar="N", help="with --scaling: beside N endless loops")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    on_gpu = options.device == "cuda"
    options.rounds = options.rounds or (9 if on_gpu else 25)
    options.seconds = options.seconds or (0.06 if on_gpu else 0.1)
    options.together = options.together or (5 if on_gpu else 1)
    patterns = list(GPU_ROWS if on_gpu else CPU_ROWS) if options.rows is None else options.rows
    for pattern in patterns:
        if not fnmatch.filter(ROWS, pattern):
            parser.error(f"no row {pattern!r}; rows are: {', '.join(ROWS)}")
    options.rows = list(dict.fromkeys(row for pattern in patterns for row in fnmatch.filter(ROWS, pattern)))
    options.build = options.build.resolve()
    options.core = max(os.sched_getaffinity(0))
    options.gpu = None
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(options.build / "inductor"))
    if on_gpu:  # many sides compile at once
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(max(1, os.cpu_count() // 4)))
    return options


def compare(rows, options, results):
    """Measures some rows that start together. False if one failed, or a side computes something else."""
    fine = True
    for row, (sides, result) in start(rows, options).items():
        results[row] = result
        try:
            if "failed" not in result:
                measure(row, sides, result, options)
                show(row, result)
        except RuntimeError as failure:
            result["failed"] = str(failure)
        if "failed" in result:
            print(f"\n{row}: {result['failed']}", flush=True)
        fine = fine and "failed" not in result and "differs" not in result
        for side in sides:
            side.close()
    return fine


def main():
    options = arguments()
    results = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "command": sys.argv,
               "versions": versions(options.python), "threads": options.threads, "rounds": options.rounds,
               "seconds": options.seconds, "load": [os.getloadavg()[0]], "rows": {}}
    if options.device == "cuda":
        limits = subprocess.check_output([options.python, HERE / "torch_limits.py"], text=True)
        options.gpu = results["gpu"] = json.loads(limits)
        print("{name}, driver {driver}, CUDA {cuda}, PyTorch {torch}, cuDNN {cudnn}; ".format(**options.gpu) +
              ", ".join(f"{rate / 1e12:.1f} TFLOP/s in {name}" for name, rate in options.gpu["peak"].items()) +
              f", {options.gpu['bandwidth'] / 1e9:.0f} GB/s\n{shlex.join(sys.argv)}")
    where = "a GPU" if options.gpu else f"{options.threads} thread(s)"
    print(f"{where}, {options.rounds} rounds of {options.seconds} s a side; "
          f"{', '.join(results['versions'])}; load {results['load'][0]:.1f}")
    if options.scaling:
        print(f"\n| row | 1 thread | {options.scaling} threads | speed-up | quartiles |\n|---|---|---|---|---|")
    fine = True
    for at in range(0, len(options.rows), 1 if options.scaling else options.together):
        if options.scaling:
            row = options.rows[at]
            one = results["rows"][row] = scaling(row, options, options.build / "start.safetensors")
            low, middle, high = one["speedup"]
            print(f"| {row} | {scaled(one['one'][1])} | {scaled(one['several'][1])} | {middle:.2f} | "
                  f"{low:.2f} to {high:.2f} |", flush=True)
        else:
            fine = compare(options.rows[at:at + options.together], options, results["rows"]) and fine
        results["load"].append(os.getloadavg()[0])
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(results, indent=1))
    measured = {row: results["rows"][row] for row in GPU_ROWS if row in results["rows"]}
    if measured and not options.scaling:
        summarise(measured)
    print(f"\nload of the machine: {min(results['load']):.1f} to {max(results['load']):.1f}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
