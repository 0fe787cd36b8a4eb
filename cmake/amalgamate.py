#!/usr/bin/env python3
"""Makes one header of the library: each <vivace/...> that the root includes stands in it once, in order.

usage: amalgamate.py OUTPUT [ROOT]     ROOT is vivace/vivace.hpp unless given
"""
import pathlib
import re
import sys

INCLUDE_DIR = pathlib.Path(__file__).resolve().parent.parent / "include"
INCLUDE = re.compile(r"\s*#\s*include\s*<([^>]+)>")


class Amalgamation:
    def __init__(self):
        self.done = set()
        self.lines = []

    def add(self, name):
        """Appends a header, after the headers that it includes."""
        self.done.add(name)
        depth = 0  # of #if
        self.lines.append(f"// --- {name}\n")
        for number, line in enumerate((INCLUDE_DIR / name).read_text(encoding="utf-8").splitlines(True), 1):
            directive = re.match(r"\s*#\s*(\w+)", line)
            depth += {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}.get(directive[1], 0) if directive else 0
            include = INCLUDE.match(line)
            if include and include[1].startswith("vivace/"):
                if depth > 0:
                    sys.exit(f"{name}:{number}: an include inside of #if cannot be in one file")
                if include[1] not in self.done:
                    self.add(include[1])
            elif include and depth == 0 and include[1] in self.done:
                pass  # a library that is included already
            elif not re.match(r"\s*#\s*pragma\s+once", line):
                self.lines.append(line)
                if include and depth == 0:
                    self.done.add(include[1])


def version():
    config = (INCLUDE_DIR / "vivace/config.hpp").read_text(encoding="utf-8")
    return ".".join(re.search(rf"VIVACE_VERSION_{part} (\d+)", config)[1] for part in ("MAJOR", "MINOR", "PATCH"))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    result = Amalgamation()
    result.add(sys.argv[2] if len(sys.argv) == 3 else "vivace/vivace.hpp")
    head = f"// vivace {version()}, all in one file. Licensed under the Apache License 2.0.\n#pragma once\n"
    pathlib.Path(sys.argv[1]).write_text(head + "".join(result.lines), encoding="utf-8")
