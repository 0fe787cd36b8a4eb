#!/usr/bin/env python3
"""Includes run one way: checks the #include lines of every header under a folder against the tables below.

usage: check.py INCLUDE_FOLDER
"""
import pathlib
import re
import sys

ENGINE = "config core graph nn kernel exec"

# What the headers of a folder, and its face <vivace/folder.hpp>, may include besides the folder itself.
ALLOWED = {
    "config": "",
    "core": "config",
    "graph": "config core",
    "nn": "config core graph",
    "kernel": "config core graph",
    "exec": "config core graph kernel",
    "optim": ENGINE,
    "sparse": ENGINE,
    "comm": "config core kernel exec",
    "partition": ENGINE + " comm",
    "io": "config core",
    "data": "config core io",
    "estimate": "config core",
    "train": ENGINE + " optim sparse comm partition io data estimate",
    "search": ENGINE + " optim sparse comm partition io data estimate train",
    "interop": ENGINE + " optim sparse comm partition io data estimate train search",
    "vivace": ENGINE + " optim sparse comm partition io data estimate train search",
}

# Libraries that stand behind headers of their own: which headers may include them.
LIBRARIES = {
    r"tbb/|oneapi/": r"exec/tbb_headers\.hpp",
    r"Eigen/|unsupported/": r"interop/eigen\.hpp",
    r"xtensor/|xtl/|xsimd/": r"interop/xtensor\.hpp",
    r"benchmark/": r"interop/google_benchmark\.hpp",
    r"dlpack/": r"interop/dlpack\.hpp",
    r"mpi\.h": r"comm/mpi\.hpp|data/cluster_mpi\.hpp",
    r"nccl\.h": r"comm/nccl\.hpp",
    r"cu[a-z_]*\.h|cuda|cub/|thrust/": r".*cuda.*|.*nccl.*|kernel/vendor/.*",
    r"boost/": r"data/.*",
    r"libsvm/": r"estimate/curve_regression\.hpp",
    r"zlib\.h": r"io/.*",
}

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def violations(root):
    for header in sorted([*root.rglob("*.hpp"), *root.rglob("*.cuh")]):
        path = header.relative_to(root / "vivace")
        module = path.parts[0].split(".")[0]
        allowed = ALLOWED.get(module)
        for number, line in enumerate(header.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            where, (bracket, name) = f"{header}:{number}: ", match.groups()
            if allowed is None:
                yield where + f"folder {module} is not in the table of {sys.argv[0]}"
            elif bracket == '"':
                yield where + f'"{name}" is written <{name}>, from <vivace/...> on'
            elif name.startswith("vivace/"):
                target = name.split("/")[1].split(".")[0]
                if target != module and target not in allowed.split():
                    yield where + f"{module} may not include <{name}>; it may include: {allowed or 'nothing'}"
                if not (root / name).is_file():
                    yield where + f"<{name}> does not exist"
            else:
                for library, users in LIBRARIES.items():
                    if re.match(library, name) and not re.fullmatch(users, path.as_posix()):
                        yield where + f"<{name}> may be included only by headers that match {users}"


def reached(root, header, seen):
    """Yields (header, library's include) for all that including a header of vivace brings along."""
    if header in seen or not (root / header).is_file():
        return
    seen.add(header)
    for name in re.findall(r"^\s*#\s*include\s*<([^>]+)>", (root / header).read_text(encoding="utf-8"), re.M):
        if name.startswith("vivace/"):
            yield from reached(root, name, seen)
        elif any(re.match(library, name) for library in LIBRARIES):
            yield header, name


def violations_of_the_whole(root):
    for header, name in reached(root, "vivace/vivace.hpp", set()):
        if not re.match("tbb/", name):
            yield f"{root}/vivace/vivace.hpp: reaches <{name}> by {header}; it may need oneTBB alone"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    found = [*violations(folder), *violations_of_the_whole(folder)]
    print("\n".join(found))
    sys.exit(1 if found else 0)
