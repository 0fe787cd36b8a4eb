#!/usr/bin/env python3
"""Registers, stack and spills of every kernel, as ptxas counts them, against budget.txt.

usage: budget.py NVCC INCLUDE_FOLDER           fails, naming each kernel that is over its budget or has none
       budget.py --write NVCC INCLUDE_FOLDER   writes budget.txt as things stand, rounded up
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ARCHITECTURE = "sm_90"
HERE = pathlib.Path(__file__).parent
BUDGET = HERE / "budget.txt"
HEADER = """# Budgets of the kernels for {}: registers of a thread; bytes of stack; bytes of spills, stored and loaded.
# budget.py checks them, and writes this file anew with --write.
"""
ENTRY = re.compile(r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
                   r"(\d+) bytes spill loads.*?Used (\d+) registers", re.S)


def readable(symbol):
    """run_work<X>(X) without namespaces is X."""
    name = subprocess.run(["c++filt", symbol], capture_output=True, text=True, check=True).stdout.strip()
    name = re.sub(r"vivace::\w+::(gpu::)?", "", name)
    name = re.sub(r"\((op)\)(\d+)", r"\1 \2", name)
    depth, begin = 0, name.index("<")
    for end in range(begin, len(name)):
        depth += {"<": 1, ">": -1}.get(name[end], 0)
        if depth == 0:
            return name[begin + 1:end].strip()
    return name


def measured(nvcc, include):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([nvcc, "-std=c++20", "-O3", f"-arch={ARCHITECTURE}", "-Xptxas", "-v", "-I", include,
                               "-cubin", "-o", folder + "/kernels.cubin", str(HERE / "library.cu")],
                              capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    found = {}
    for symbol, stack, stored, loaded, registers in ENTRY.findall(done.stdout + done.stderr):
        found[readable(symbol)] = (int(registers), int(stack), int(stored) + int(loaded))
    if not found:
        sys.exit("ptxas says nothing about any kernel:\n" + done.stdout + done.stderr)
    return found


def main(arguments):
    write = arguments[:1] == ["--write"]
    if len(arguments) != 2 + write:
        sys.exit(__doc__)
    found = measured(*arguments[write:])
    if write:
        rows = [f"{(r + 7) // 8 * 8:3d} {(stack + 15) // 16 * 16:4d} {spills:4d}  {name}"
                for name, (r, stack, spills) in sorted(found.items())]
        BUDGET.write_text(HEADER.format(ARCHITECTURE) + "\n".join(rows) + "\n", encoding="utf-8")
        return 0
    allowed = {}
    for line in BUDGET.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            registers, stack, spills, name = line.split(maxsplit=3)
            allowed[name] = (int(registers), int(stack), int(spills))
    failures = [f"{name}: registers, stack, spills are {used}, the budget is {allowed.get(name, 'not written')}"
                for name, used in sorted(found.items())
                if name not in allowed or any(u > a for u, a in zip(used, allowed[name]))]
    failures += [f"{name}: has a budget, and does not exist" for name in sorted(allowed.keys() - found.keys())]
    print("\n".join(failures) if failures else f"{len(found)} kernels within their budgets")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
