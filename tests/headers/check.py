#!/usr/bin/env python3
"""Rules for headers that no compiler checks.

usage: check.py INCLUDE_FOLDER             fails, naming each line that breaks a rule
       check.py --expected INCLUDE_FOLDER  fails unless exactly the lines that end in `// wrong: TEXT` break a rule
"""
import pathlib
import re
import sys

COMMENT_OR_TEXT = re.compile(r'R"([^(\s]*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
# Macros of other code; traps.hpp defines them, this check names the lines.
FOREIGN_MACRO = re.compile(r"\b(?:[A-Z]|B[01]|IN|OUT|small|near|far|(?:min|max)(?=\s*\())\b")
NAMESPACE = re.compile(r"\b(?:inline\s+)?namespace\b[^;{}()=]*$|\bextern\s*$")
TYPE = re.compile(r"\b(?:class|struct|union|enum)\b[^()=]*(?:\([^()]*\)[^()=]*)*$")


def blank(match):
    """Comments and texts go, lines stay."""
    if match[0].startswith("'") and match.start() and match.string[match.start() - 1].isalnum():
        return match[0]  # 1'000'000
    return re.sub(r"[^\n]", " ", match[0])


def statements(code):
    """Yields (line, scopes, text) for every piece of code before a `;`, `{` or `}`; scopes are N, T or F."""
    scopes, start = "", 0
    for end in (match.start() for match in re.finditer(r"[;{}]", code)):
        text = code[start:end]
        line = code.count("\n", 0, start + len(text) - len(text.lstrip())) + 1
        yield line, scopes, text.strip()
        if code[end] == "{":
            scopes += "N" if NAMESPACE.search(text) else "T" if TYPE.search(text) else "F"
        elif code[end] == "}":
            scopes = scopes[:-1]
        start = end + 1


def violations(header, name):
    source = header.read_text(encoding="utf-8")
    code = COMMENT_OR_TEXT.sub(blank, source)
    first = next((line for line in code.splitlines() if line.strip()), "")
    if first.strip() != "#pragma once":
        yield 1, "a header starts with #pragma once"
    for number, line in enumerate(code.splitlines(), 1):
        define = re.match(r"\s*#\s*define\s+(\w+)", line)
        if define and (name, define[1]) == ("vivace/exec/tbb_headers.hpp", "_IMMINTRIN_H_INCLUDED"):
            pass  # it undefines it again
        elif define and name != "vivace/config.hpp":
            yield number, "only config.hpp defines macros"
        elif define and not define[1].startswith("VIVACE_"):
            yield number, "macros start with VIVACE_"
        if re.match(r"\s*#\s*include\s*<(iostream|regex)>", line):
            yield number, "too heavy for every user to compile"
        if re.search(r"\busing\s+namespace\b", line):
            yield number, "using namespace in a header reaches its users"
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", code, flags=re.M)  # preprocessor lines
    for number, line in enumerate(code.splitlines(), 1):
        macro = FOREIGN_MACRO.search(line)
        if macro:
            yield number, f"other code defines a macro {macro[0]}: rename it, or write (std::max)(a, b)"
    for line, scopes, text in statements(code):
        if re.search(r"\bnamespace$", text):
            yield line, "an anonymous namespace gives each file its own copy"
        if re.match(r"(inline\s+)?namespace\s+vivace\b(?!::inline VIVACE_TARGET\b)", text) and "=" not in text:
            yield line, "the namespace is vivace::inline VIVACE_TARGET"
        static = re.search(r"\bstatic\b(?!\s+(?:inline\s+)?const(?:expr|init)?\b)", text)
        if re.search(r"\bstatic\b", text) and "F" not in scopes and "T" not in scopes:
            yield line, "static at namespace scope gives each file its own copy"
        elif static and scopes.endswith("F"):
            yield line, "no static state in functions"
        elif static and scopes.endswith("T") and not re.search(r"\(|operator", text):
            yield line, "no static state in classes"
        if set(scopes) <= {"N"} and re.match(r"const(expr)?\b[^()]*=", text):
            yield line, "a constant at namespace scope is inline constexpr"


def check(folder):
    for header in sorted([*folder.rglob("*.hpp"), *folder.rglob("*.cuh")]):
        for line, rule in violations(header, header.relative_to(folder).as_posix()):
            yield f"{header}:{line}", rule


def expected(folder):
    for header in sorted(folder.rglob("*.hpp")):
        for number, line in enumerate(header.read_text(encoding="utf-8").splitlines(), 1):
            if "// wrong: " in line:
                yield f"{header}:{number}", line.split("// wrong: ")[1]


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[-1])
    found = list(check(root))
    if sys.argv[1] == "--expected":
        found = sorted(set(found) ^ set(expected(root)))
    print("\n".join(f"{where}: {rule}" for where, rule in found))
    sys.exit(1 if found else 0)
