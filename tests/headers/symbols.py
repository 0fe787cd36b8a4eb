#!/usr/bin/env python3
"""No function of vivace is in both object files: the linker would keep one, and might keep the one that uses
instructions the machine lacks.

usage: symbols.py NM OBJECT OBJECT
"""
import subprocess
import sys


def symbols(nm, file):
    text = subprocess.run([nm, "--demangle", "--defined-only", file], check=True, capture_output=True, text=True).stdout
    return {line.split(" ", 2)[2] for line in text.splitlines() if " " in line}


if __name__ == "__main__":
    first, second = (symbols(sys.argv[1], file) for file in sys.argv[2:4])
    named = [{symbol for symbol in found if "vivace::" in symbol} for found in (first, second)]
    shared = sorted(named[0] & named[1])
    print("in the first %d symbols of vivace, in the second %d, in both:" % (len(named[0]), len(named[1])))
    print("\n".join(shared))
    sys.exit(0 if named[0] and named[1] and not shared else 1)
