"""Which failures the CI tries again: `.ci/test` in a folder with a few tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PROCESS_S

SCRIPT = Path(__file__).parents[1] / ".ci" / "test"
pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")

README = """<!-- test -->
```sh
.venv/bin/python -m pytest -n 2 --dist loadfile tests
```
"""
PYTHON = f"""#!/bin/sh
exec {sys.executable} "$@"
"""
GOOD = "def test_good(): pass"
BAD = "def test_bad(): assert False"
LATE = """
from pathlib import Path

def test_late():
    seen = Path("seen")
    before = seen.exists()
    seen.touch()
    assert before
"""
UNREAD = """
from pathlib import Path

if not Path("seen").exists():
    Path("seen").touch()
    raise RuntimeError

def test_read(): pass
"""
STOPS = """
import pytest
from pathlib import Path

def test_stops():
    if not Path("seen").exists():
        Path("seen").touch()
        pytest.exit("enough", returncode=3)
"""
MANY = LATE.replace("seen", "{n}").replace("test_late", "test_{n}")


@pytest.mark.parametrize(
    ("files", "passes", "again"),
    [
        ((GOOD,), True, False),
        ((GOOD, LATE), True, True),
        ((GOOD, BAD), False, True),
        (("\n".join(MANY.format(n=f"n{n}") for n in range(4)),), False, False),
        ((UNREAD, BAD), False, False),
        ((STOPS, BAD), False, False),
    ],
    ids=["all pass", "one is late", "one fails", "four are late", "one is not read", "one stops"],
)
def test_few_tests_that_failed_are_tried_again(files, passes, again, tmp_path):
    for folder in (".ci", ".venv/bin", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / ".ci" / "test")
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    (tmp_path / "README.md").write_text(README)
    for number, content in enumerate(files):
        (tmp_path / "tests" / f"test_{number}.py").write_text(content)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [tmp_path / ".ci" / "test"],
        env=mine,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROCESS_S,
    )
    assert (done.returncode == 0, "UNSTEADY" in done.stdout) == (passes, again), done.stdout
