#!/usr/bin/env python3
"""Counts the instructions of a training step with callgrind, so that a regression shows on a busy machine, too.

  count.py PROGRAM FILE           fails where a step takes more than 1.03 times what FILE holds
  count.py --update PROGRAM FILE  writes FILE anew

Lines of FILE: network, instructions of a step. Exit status 77: valgrind is not there.
"""
import pathlib
import re
import shutil
import subprocess
import sys

ALLOWED = 1.03
STEPS = {"tiny": (20, 220), "mlp": (1, 4)}  # a short run and a long one: what they share is not the step's


def instructions(program, network, steps):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, network, str(steps)]
    ran = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode != 0 or not found:
        sys.exit(f"{' '.join(command)}: exit status {ran.returncode}\n{ran.stderr[-2000:]}")
    return int(found[1])


def of_a_step(program, network):
    short, long = STEPS[network]
    return (instructions(program, network, long) - instructions(program, network, short)) / (long - short)


def main():
    update = "--update" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--update"]
    if len(arguments) != 2:
        sys.exit(__doc__)
    program, file = arguments[0], pathlib.Path(arguments[1])
    if shutil.which("valgrind") is None:
        print("valgrind was not found")
        return 77
    counts = {network: of_a_step(program, network) for network in STEPS}
    if update:
        file.write_text("".join(f"{network} {count:.0f}\n" for network, count in counts.items()))
        return 0
    stored = {network: float(count) for network, count in map(str.split, file.read_text().splitlines())}
    failed = False
    for network, count in counts.items():
        ratio = count / stored[network]
        print(f"{network}: {count:.0f} instructions a step, {ratio:.3f} times the {stored[network]:.0f} of {file.name}")
        if ratio > ALLOWED:
            failed = True
        elif ratio < 1 / ALLOWED:
            print(f"  fewer than before: keep them with count.py --update {program} {file}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
