"""Where a user's files lie."""

from __future__ import annotations

import sys

import pytest

from common.folders import user_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="checks Linux's folders")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def test_files_lie_in_the_system_s_folder_for_settings(home, monkeypatch):
    assert user_file("a.yaml") == home / ".config" / "melstream" / "a.yaml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "elsewhere"))
    assert user_file("a.yaml") == home / "elsewhere" / "melstream" / "a.yaml"


def test_a_file_of_an_earlier_version_is_used_where_it_lies(home):
    earlier = home / ".melstream" / "a.yaml"
    earlier.parent.mkdir()
    earlier.write_text("21: brightness\n")
    assert user_file("a.yaml") == earlier
    assert user_file("b.yaml") == home / ".config" / "melstream" / "b.yaml"
