#!/usr/bin/env python3
"""Shows that the gradient tests notice a wrong sign: runs them once for each operation that has a backward rule, with
that rule's sign flipped, and fails if they ever pass.

usage: flip_all.py TEST_GRADIENT_PROGRAM
"""
import os
import pathlib
import re
import subprocess
import sys

OPS = pathlib.Path(__file__).resolve().parents[2] / "include/vivace/graph/op.hpp"
# Sources, and what is flat wherever it has a derivative.
WITHOUT_RULE = "none input labels parameter state setting constant step sign greater equal dropout_mask".split()


def operations():
    table = re.search(r"names\[op_count\] = \{(.*?)\}", OPS.read_text(encoding="utf-8"), re.DOTALL).group(1)
    return [name for name in re.findall(r'"(\w+)"', table) if name not in WITHOUT_RULE]


def first_failure(program, flipped):
    """The test case that fails first with a flipped operation, or None."""
    environment = dict(os.environ, VIVACE_FLIP=flipped)
    run = subprocess.run([program, "--abort-after=1", "--no-colors=true"], env=environment, capture_output=True, text=True)
    if run.returncode == 0:
        return None
    found = re.search(r"TEST CASE:\s*(.*)", run.stdout)
    return found.group(1) if found else f"exit status {run.returncode}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = sys.argv[1]
    if first_failure(program, "none") is not None:
        sys.exit("the tests fail with no flip at all")
    unnoticed = 0
    for name in operations():
        noticed_by = first_failure(program, name)
        unnoticed += noticed_by is None
        print(f"{name:24} {noticed_by or 'UNNOTICED'}", flush=True)
    print(f"{unnoticed} of {len(operations())} flips went unnoticed")
    sys.exit(unnoticed > 0)


if __name__ == "__main__":
    main()
