"""Files appear whole or not at all, and nothing planted is written through."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from common.files import back_up, put_content, read_file, remove_partials, whole_file, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_replaces_the_old_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.yaml"
    write_whole(path, "old")
    write_whole(path, b"n\xc3\xa9w")
    assert path.read_text(encoding="utf-8") == "néw"
    assert names(tmp_path) == ["a.yaml"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o777 == 0o644 & ~_umask()


def test_a_block_that_raises_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    write_whole(path, "old")
    with pytest.raises(RuntimeError), whole_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old" and names(tmp_path) == ["a"]


def test_a_taken_name_is_kept_unless_asked(tmp_path):
    path = tmp_path / "a"
    write_whole(path, "first", overwrite=False)
    with pytest.raises(FileExistsError, match=f"{path}: exists"):
        write_whole(path, "second", overwrite=False)
    assert path.read_text() == "first" and names(tmp_path) == ["a"]


def test_without_hard_links_a_taken_name_is_kept_too(tmp_path, monkeypatch):
    def refuse(*paths: object) -> None:
        raise PermissionError("no links on this disk")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a"
    write_whole(path, "first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_whole(path, "second", overwrite=False)
    assert path.read_text() == "first" and names(tmp_path) == ["a"]


def test_what_cannot_be_written_is_told_in_one_line(tmp_path):
    path = tmp_path / "missing" / "a"
    with pytest.raises(OSError, match="cannot be written: No such file or directory") as told:
        write_whole(path, "x")
    assert str(told.value).startswith(str(path)) and "\n" not in str(told.value)


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "a"
    path.symlink_to(victim)
    write_whole(path, "mine")
    assert victim.read_text() == "precious"
    assert path.read_text() == "mine" and not path.is_symlink()


def test_what_a_killed_program_left_is_removed(tmp_path):
    code = """
        import os, sys
        from pathlib import Path
        from common.files import whole_file
        with whole_file(Path(sys.argv[1])) as file:
            file.write(b"half")
            file.flush()
            os._exit(9)
    """
    path = tmp_path / "a"
    write_whole(path, "old")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)])
    assert done.returncode == 9 and path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    remove_partials(tmp_path)
    assert names(tmp_path) == ["a"]


def test_what_another_program_writes_is_not_swept_away(tmp_path):
    with whole_file(tmp_path / "a") as file:
        remove_partials(tmp_path)
        file.write(b"mine")
    assert (tmp_path / "a").read_bytes() == b"mine" and names(tmp_path) == ["a"]


def test_a_pipe_or_link_among_the_partials_stops_nothing(tmp_path):
    os.mkfifo(tmp_path / ".a.1234.part")
    (tmp_path / ".b.1234.part").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_text("precious")
    remove_partials(tmp_path)
    write_whole(tmp_path / "a", "mine")
    assert (tmp_path / "victim").read_text() == "precious"


def test_only_files_of_a_known_size_are_read(tmp_path):
    path, pipe = tmp_path / "a", tmp_path / "pipe"
    path.write_bytes(b"12345")
    os.mkfifo(pipe)
    assert read_file(path, 5) == b"12345"
    with pytest.raises(ValueError, match="a: expected at most "):
        read_file(path, 4)
    for odd in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(ValueError, match=f"{odd}: expected a file, got a folder, pipe or"):
            read_file(odd, 5)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "gone", 5)


def test_readers_never_see_halves(tmp_path):
    path = tmp_path / "a"
    contents = {bytes([n]) * 200_000 for n in range(4)}
    write_whole(path, min(contents))
    code = """
        import sys
        from pathlib import Path
        from common.files import write_whole
        n = 0
        while Path(sys.argv[2]).exists():
            write_whole(Path(sys.argv[1]), bytes([n % 4]) * 200_000)
            n += 1
        print(n)
    """
    wanted = tmp_path / "wanted"
    wanted.touch()
    command = [sys.executable, "-c", textwrap.dedent(code), str(path), str(wanted)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in "ab"]
    seen: set[int] = set()
    try:
        while len(seen) < 30:
            assert all(writer.poll() is None for writer in writers)
            assert path.read_bytes() in contents
            seen.add(path.stat().st_mtime_ns)
    finally:
        wanted.unlink()
        written = [int(writer.communicate()[0]) for writer in writers]
    assert min(written) > 0
    assert names(tmp_path) == ["a"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_file_is_backed_up_changed_and_put_back(tmp_path):
    path = tmp_path / "one.yaml"
    assert back_up(path, 100) is None
    put_content(path, b"first")
    assert back_up(path, 100) == b"first"
    put_content(path, None)
    put_content(path, None)
    assert not path.exists() and (tmp_path / "one.yaml~").read_bytes() == b"first"
    with pytest.raises(ValueError, match=r"folder: cannot be changed: .*irectory"):
        (tmp_path / "folder").mkdir()
        put_content(tmp_path / "folder", b"")
