#!/usr/bin/env python3
"""Checks that extract.py refuses a page with the named mistake, and says so: notices.py MISTAKE"""
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = {
    "part": ("```c++\nthis_is_in_no_program();\n```\n", "stands in no program"),
    "link": ("[nowhere](nowhere.md)\n", "nowhere.md, which is not there"),
    "mark": ("```cxx\nint x;\n```\n", "a block marked 'cxx'"),
    "program": ("```cpp\nint x;\n```\n", "is a complete program"),
}

page, expected = PAGES[sys.argv[1]]
with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    (root / "docs").mkdir()
    (root / "docs/page.md").write_text(page)
    script = Path(__file__).with_name("extract.py")
    result = subprocess.run([sys.executable, script, root, root / "out"], capture_output=True, text=True)
    print(result.stderr)
    sys.exit(0 if result.returncode == 1 and expected in result.stderr else 1)
