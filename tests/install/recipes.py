#!/usr/bin/env python3
"""The recipes for package managers are well formed, and say the version of config.hpp.

usage: recipes.py CHECKOUT
"""
import ast
import json
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
config = (root / "include/vivace/config.hpp").read_text(encoding="utf-8")
version = ".".join(re.search(rf"VIVACE_VERSION_{part} (\d+)", config)[1] for part in ("MAJOR", "MINOR", "PATCH"))

port = json.loads((root / "cmake/vcpkg/vcpkg.json").read_text(encoding="utf-8"))
assert port["name"] == "vivace" and port["license"] == "Apache-2.0"
assert port["version"] == version, f"vcpkg.json says {port['version']}, config.hpp {version}"
assert set(port) <= {"name", "version", "description", "homepage", "license", "dependencies", "default-features", "features"}
assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", port["name"])
for feature in port["features"].values():
    assert set(feature) == {"description", "dependencies"}
assert set(port["default-features"]) <= set(port["features"])
portfile = (root / "cmake/vcpkg/portfile.cmake").read_text(encoding="utf-8")
lists = "".join(path.read_text(encoding="utf-8") for path in [root / "CMakeLists.txt", *root.glob("cmake/*.cmake")])
for option in re.findall(r"-D(VIVACE_\w+)", portfile):
    assert f"option({option} " in lists, f"portfile.cmake sets {option}, which is no option"

for recipe in (root / "cmake/conan").rglob("conanfile.py"):
    tree = ast.parse(recipe.read_text(encoding="utf-8"))
    methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert ("package_info" if recipe.parent.name == "conan" else "test") in methods, recipe

changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
assert re.search(rf"^## \[?(Unreleased|{re.escape(version)})\]?", changes, re.M), f"CHANGELOG.md does not name {version}"
