"""docs/midi.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "tests" / "daw_bridge"
DOCS = (ROOT / "docs" / "midi.md").read_text()


def test_every_test_that_it_names_exists() -> None:
    sources = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", DOCS))
    assert len(named) > 30
    assert [name for name in sorted(named) if f"def {name}(" not in sources] == []
    files = set(re.findall(r"`(\w+/test_\w+\.py)`", DOCS))
    assert files and all((TESTS / file).exists() for file in files)
