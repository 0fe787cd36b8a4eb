#!/usr/bin/env python3
"""Compiles the files of budgets.txt and fails where one takes more memory or time than it may.

usage: measure.py COMPILER OPTION...
"""
import os
import pathlib
import statistics
import subprocess
import sys

ROUNDS = 3
REFERENCE = "reference.cpp"
FOLDER = pathlib.Path(__file__).parent


def compile_once(command, source):
    """User CPU seconds and peak memory in MB, of the compiler and all that it starts."""
    process = subprocess.Popen([*command, "-c", str(FOLDER / source), "-o", os.devnull])
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{source} does not compile")
    return usage.ru_utime, usage.ru_maxrss / 1024


def read_budgets():
    for line in (FOLDER / "budgets.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            source, less, megabytes, ratio, slack = line.split()
            yield source, less, float(megabytes), float(ratio), float(slack)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    budgets = list(read_budgets())
    sources = list(dict.fromkeys([REFERENCE, *(name for budget in budgets for name in budget[:2] if name != "-")]))
    # In turn, so that what slows the machine for a while slows all of them.
    measured = [{source: compile_once(sys.argv[1:], source) for source in sources} for _ in range(ROUNDS)]
    seconds = {source: statistics.median(one[source][0] for one in measured) for source in sources}
    megabytes = {source: max(one[source][1] for one in measured) for source in sources}

    failed = False
    print(f"{'file':40} {'MB':>6} {'of':>6} {'ratio':>7} {'of':>6} {'slack':>6}")
    for source, less, most_megabytes, most_ratio, slack in budgets:
        name = source if less == "-" else f"{source} less {less}"
        spent = seconds[source] - (seconds[less] if less != "-" else 0)
        ratio = spent / seconds[REFERENCE]
        over = megabytes[source] > most_megabytes or ratio > most_ratio * slack
        failed |= over
        print(f"{name:40} {megabytes[source]:6.0f} {most_megabytes:6.0f} {ratio:7.3f} {most_ratio:6.2f} {slack:6.2f}"
              + ("  OVER" if over else ""))
    sys.exit(1 if failed else 0)
