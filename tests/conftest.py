"""What many rooms' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toy_bank import make_toy_bank


@pytest.fixture(scope="session")
def toy_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small valid bank. A test that writes to it copies it first."""
    return make_toy_bank(tmp_path_factory.mktemp("banks") / "toy")
