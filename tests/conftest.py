"""What many rooms' tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from tests.toy_bank import make_toy_bank

pytest.register_assert_rewrite("tests.waiting")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Play as the server does. Matrices this small are not worth another core, and where that core
    is busy with something else, the threads wait for each other a hundred times as long."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def obedient() -> None:
    """A shell's background job ignores Ctrl-C, and what it starts would do so too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def toy_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small valid bank. A test that writes to it copies it first."""
    return make_toy_bank(tmp_path_factory.mktemp("banks") / "toy")
