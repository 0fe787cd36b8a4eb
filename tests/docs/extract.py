#!/usr/bin/env python3
"""Takes the code out of the pages, so that what a reader copies is what the tests compile.

  extract.py ROOT OUT

In the pages below ROOT/docs, README.md and CONTRIBUTING.md,
  ```cpp       is a complete program, written to OUT/<page>_<n>.cpp;
  ```cpp-fail  is a mistake, written to OUT/fail/<page>_<n>.cpp. Its first line, `// expect: REGEX`, says what the
               compiler must print. Without an #include it is a network and gets what the guide says stands around it;
  ```c++       is a part: it must stand, blanks aside, in a program of the pages, in include/ or in examples/.
Links to files must lead somewhere. OUT/programs.cmake lists what was written. Files that do not change are left alone.
"""
import re
import sys
from pathlib import Path

PROGRAM, FAILURE, PART = "cpp", "cpp-fail", "c++"
FOREIGN = {"cc", "cxx", "hpp", "C++", "Cpp", "c"}  # names of the same language that nobody would check
AROUND = """#include <vivace/nn.hpp>
#include <vivace/train/compiled.hpp>
namespace vv = vivace;

{}
static_assert(vv::network_fits<vv::mistake_of<net>>);
int main() {{}}
"""


def fences(text):
    """Yields (line number, language, content) of each fenced block."""
    language, start, lines = None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if language is None and line.startswith("```"):
            language, start, lines = line[3:].strip(), number, []
        elif language is not None and line.strip() == "```":
            yield start, language, "\n".join(lines) + "\n"
            language = None
        elif language is not None:
            lines.append(line)
    if language is not None:
        yield start, "unclosed", ""


def squeezed(text):
    return re.sub(r"\s+", "", text)


def failing_program(block):
    first, rest = block.split("\n", 1)
    return block if "#include" in rest else first + "\n" + AROUND.format(rest)


def pages_of(root):
    pages = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    return [page for page in pages if page.exists()]


def broken_links(page, text):
    outside_code = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", outside_code):
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            yield target


def main():
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    mistakes, programs, failures, parts = [], {}, {}, []
    for page in pages_of(root):
        text, count = page.read_text(), 0
        for line, language, block in fences(text):
            where = f"{page.relative_to(root)}:{line}"
            name = f"{page.stem}_{count + 1}"
            if language == PROGRAM:
                count += 1
                programs[name] = block
                if "int main" not in block:
                    mistakes.append(f"{where}: a ```cpp block is a complete program; a part of one is ```c++")
            elif language == FAILURE:
                count += 1
                failures[name] = failing_program(block)
                if not block.startswith("// expect: "):
                    mistakes.append(f"{where}: the first line of a ```cpp-fail block is `// expect: REGEX`")
            elif language == PART:
                parts.append((where, block))
            elif language in FOREIGN or language == "unclosed":
                mistakes.append(f"{where}: a block marked {language!r}: use cpp, cpp-fail or c++, and close it")
        mistakes += [f"{page.relative_to(root)}: a link to {target}, which is not there" for target in broken_links(page, text)]

    sources = [*(root / "include").rglob("*.hpp"), *(root / "examples").rglob("*.[ch]pp")]
    known = "\n".join([*map(squeezed, programs.values()), *(squeezed(source.read_text()) for source in sources)])
    mistakes += [f"{where}: this part stands in no program of the pages, nor in include/ or examples/"
                 for where, block in parts if squeezed(block) not in known]

    write(out, programs)
    write(out / "fail", failures)
    listing = f"set(programs {' '.join(sorted(programs))})\nset(failures {' '.join(sorted(failures))})\n"
    write_if_new(out / "programs.cmake", listing)
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    print(f"{len(programs)} programs, {len(failures)} mistakes, {len(parts)} parts")
    return 1 if mistakes else 0


def write_if_new(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.cpp"):
        if old.stem not in files:
            old.unlink()
    for name, text in files.items():
        write_if_new(folder / f"{name}.cpp", text)


if __name__ == "__main__":
    sys.exit(main())
