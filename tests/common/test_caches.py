"""Compiled code finds a place where nothing may be written."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from common.caches import can_write


def test_what_can_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert can_write(tmp_path) and can_write(file) and can_write(tmp_path / "new" / "newer")
    assert not can_write(file / "below")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_what_is_protected_cannot(tmp_path):
    tmp_path.chmod(0o555)
    assert not can_write(tmp_path / "new")


def ask(code: Path, home: Path, **more: str) -> tuple[str, str]:
    """What is said of caches, and where they lie then, in a process that keeps its code there."""
    script = """
    import os, sys
    from pathlib import Path
    from common import caches
    caches.CODE = Path(sys.argv[1])
    problem = caches.provide_caches()
    folder = os.environ.get("NUMBA_CACHE_DIR", "")
    assert not folder or os.path.isdir(folder)
    print(problem, folder, sep="|")
    """
    environment = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "caches")} | more
    command = [sys.executable, "-c", textwrap.dedent(script), str(code)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    problem, folder = ended.stdout.strip().split("|")
    return problem, folder


@pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's folders")
def test_compiled_code_is_kept_where_it_can_be(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    assert ask(tmp_path, nowhere) == ("", "")
    assert ask(nowhere, tmp_path) == ("", "")
    assert ask(nowhere, nowhere, NUMBA_CACHE_DIR=str(tmp_path)) == ("", str(tmp_path))
    problem, folder = ask(nowhere, nowhere)
    assert "each start takes about a minute" in problem and str(nowhere) in problem
    assert folder and not Path(folder).exists(), "the folder is removed at the end"
