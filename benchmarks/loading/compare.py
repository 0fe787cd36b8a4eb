#!/usr/bin/env python3
"""Jobs that train at once on the same data: a hub, independent loaders of ours, and PyTorch's DataLoader, in turns.

In each round each side trains all jobs for an epoch, one side after the other, while the others sleep. Reported are
medians over the rounds, and the median and quartiles of the ratio theirs / shared within a round: the throughput of the
hub beside theirs. Times are wall times: measure on an idle machine.

    cmake --preset bench && cmake --build --preset bench
    benchmarks/loading/compare.py --build build/bench/benchmarks --python PYTHON_WITH_PYTORCH
"""
import argparse
import json
import os
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from side import Side  # noqa: E402

SIDES = ("shared", "independent", "PyTorch")
# What must be reached: (preparation, jobs, side) -> ratio.
MUST = {("costly", 4, "independent"): 2.5, ("trivial", 1, "independent"): 0.97, ("trivial", 4, "independent"): 0.9}


def quartiles(numbers):
    return statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3


def measure(preparation, jobs, ours, torch, rounds):
    times = {side: [] for side in SIDES if side != "PyTorch" or torch}
    prepared = 0
    for at in range(rounds + 1):  # the first one warms up
        for side in list(times) if at % 2 == 0 else reversed(list(times)):
            answer = (torch if side == "PyTorch" else ours).ask(f"{preparation} {jobs} {side}")
            if side == "shared":
                prepared = answer["prepared"]
            if at > 0:
                times[side].append(answer["seconds"])
    ratios = {side: quartiles([theirs / own for own, theirs in zip(times["shared"], times[side])])
              for side in times if side != "shared"}
    return {"seconds": {side: quartiles(one) for side, one in times.items()}, "ratios": ratios, "prepared": prepared}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True,
                        help="folder of loading_throughput and loading_turns.so")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has PyTorch")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2, 4, 6])
    parser.add_argument("--preparations", nargs="*", default=["costly", "trivial"])
    parser.add_argument("--workers", type=int, default=-1, help="of each DataLoader; default: cores over jobs")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    ours = Side("ours", [options.build / "loading_throughput", "--serve", str(options.samples)])
    torch = None if options.no_torch else Side(
        "PyTorch",
        [options.python, HERE / "torch_loader.py", "--library", options.build.resolve() / "loading_turns.so",
         "--samples", str(options.samples), "--workers", str(options.workers)])
    cost = ours.ask("costly 1 shared")["sample"]
    print(f"costly preparation of a sample: {1e6 * cost:.0f} us; {options.samples} samples an epoch, {options.rounds} "
          f"rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| preparation | jobs | shared ms | independent ms | ratio | quartiles | PyTorch ms | ratio | quartiles | "
          "prepared an item | must |\n|---|---|---|---|---|---|---|---|---|---|---|")
    results = []
    for preparation in options.preparations:
        for jobs in options.jobs:
            one = measure(preparation, jobs, ours, torch, options.rounds)
            results.append({"preparation": preparation, "jobs": jobs, **one})
            cells = [preparation, str(jobs), f"{1e3 * one['seconds']['shared'][1]:.1f}"]
            for side in SIDES[1:]:
                if side not in one["ratios"]:
                    cells += [""] * 3
                    continue
                low, middle, high = one["ratios"][side]
                cells += [f"{1e3 * one['seconds'][side][1]:.1f}", f"{middle:.3g}", f"{low:.3g} to {high:.3g}"]
            must = MUST.get((preparation, jobs, "independent"))
            cells += [f"{one['prepared']:.2f}",
                      "" if must is None else f"{must}: {'yes' if one['ratios']['independent'][1] >= must else 'no'}"]
            print("| " + " | ".join(cells) + " |", flush=True)
            if options.json:
                pathlib.Path(options.json).write_text(json.dumps(results, indent=1))
    for side in (ours, torch):
        if side:
            side.close()
    print(f"\nload of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
