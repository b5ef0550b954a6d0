"""Compiled code finds a place where nothing may be written."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from common.caches import EDITIONS, NAME, can_write, edition


def test_what_can_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert can_write(tmp_path) and can_write(file) and can_write(tmp_path / "new" / "newer")
    assert not can_write(file / "below")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_what_is_protected_cannot(tmp_path):
    tmp_path.chmod(0o555)
    assert not can_write(tmp_path / "new")


def ask(code: Path, home: Path, **more: str) -> tuple[str, Path]:
    """What is said of caches, and where they lie then, in a process that keeps its code there."""
    script = """
    import os, sys
    from pathlib import Path
    from common import caches
    caches.CODE = Path(sys.argv[1])
    problem = caches.provide_caches()
    import numba
    folder = os.environ["NUMBA_CACHE_DIR"]
    assert numba.config.CACHE_DIR == folder and os.path.isdir(folder)
    print(problem, folder, sep="|")
    """
    environment = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "caches")} | more
    command = [sys.executable, "-c", textwrap.dedent(script), str(code)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    problem, folder = ended.stdout.strip().split("|")
    return problem, Path(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's folders")
def test_compiled_code_is_kept_where_it_can_be(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    problem, folder = ask(tmp_path, nowhere)
    assert not problem and folder.parent == tmp_path / "synth" / "__pycache__"
    problem, folder = ask(nowhere, tmp_path)
    assert not problem and folder.parent == tmp_path / "caches" / "numba"
    problem, folder = ask(nowhere, nowhere, NUMBA_CACHE_DIR=str(tmp_path))
    assert not problem and folder.parent == tmp_path
    again = ask(nowhere, nowhere, NUMBA_CACHE_DIR=str(folder))
    assert again == ("", folder), "a program that we start has the same"
    for given in ({}, {"NUMBA_CACHE_DIR": str(nowhere)}):
        problem, folder = ask(nowhere, nowhere, **given)
        assert "each start takes about a minute" in problem and str(nowhere) in problem
        assert not folder.exists(), "the folder is removed at the end"


@pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's folders")
def test_each_edition_of_the_compiled_files_has_a_folder_and_old_ones_go(tmp_path):
    """Numba heeds only the outermost function's file: halves of two editions play noise."""
    inner = tmp_path / "common" / "inner.py"
    for package in ("common", "synth"):
        (tmp_path / package).mkdir()
    inner.write_text("import numba")
    (tmp_path / "synth" / "plain.py").write_text("one = 1")
    first = edition(tmp_path)
    (tmp_path / "synth" / "plain.py").write_text("one = 2")
    assert edition(tmp_path) == first
    # Constants are compiled in, too, however far they have come.
    inner.write_text("import numba\nfrom synth.between import one")
    (tmp_path / "synth" / "between.py").write_text("from synth.plain import one")
    second = edition(tmp_path)
    (tmp_path / "synth" / "plain.py").write_text("one = 3")
    assert len({first, second, edition(tmp_path)}) == 3
    folders = []
    for number in range(EDITIONS + 2):
        inner.write_text(f"import numba; number = {number}")
        folders.append(ask(tmp_path, tmp_path)[1])
        os.utime(folders[-1], (number, number))
    assert len(set(folders)) == EDITIONS + 2
    kept = set(folders[0].parent.glob(f"{NAME}*"))
    assert kept == set(folders[-EDITIONS:])
