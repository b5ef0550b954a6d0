"""One page of everything kept: whole, safe, and with sounds that a browser plays."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.__main__ import main
from benchmarks.report import report
from benchmarks.report.headline import Entry, headline
from benchmarks.report.report import gather
from benchmarks.report.sounds import BEFORE_FRAMES
from benchmarks.report.tables import tables
from tests.toy_bank import ANALYSIS
from tests.trainer.tiny_data import make_take, write_excerpt, write_manifest
from tests.waiting import PROCESS_S

pytest.importorskip("matplotlib")
STATED = {"date": "2026-01-02", "commit": "abc1234", "machine": "Some CPU, 2 cores"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 1.0
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """What a page holds: tags (name, attributes), and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of the toy bank's two programs, one test excerpt for each."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for patch in ("piano", "organ"):
        audio, roll = make_take(random, harmonics=3)
        write_excerpt(folder / "test" / f"a_piece-{patch}.npz", audio, roll, patch)
    write_manifest(folder, {"piano": 0, "organ": 19})
    return folder


def _keep(folder: Path, name: str, rows: list) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps([row | STATED for row in rows]))


def _report(toy_bank: Path, tmp_path: Path, *flags: object) -> int:
    """Write tmp_path/report.html of tmp_path/results; the exit code."""
    (tmp_path / "results").mkdir(exist_ok=True)
    known = ["--out", tmp_path / "report.html", "--results", tmp_path / "results"]
    known += ["--bank", toy_bank, "--data", tmp_path / "none", "--seconds", SECONDS]
    return main(["report", *map(str, [*known, *flags])])


@pytest.fixture(scope="module")
def sounding(toy_bank: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole report, with sounds, as the command writes it."""
    folder = tmp_path_factory.mktemp("report")
    kind = folder / "results" / "some-machine"
    _keep(kind, "tuning", [{"vocoder": "spectral", "patch": "piano", "in_tune": 0.96}])
    (kind / "plots").mkdir()
    (kind / "plots" / "tuning-by-key.png").write_bytes(PIXEL)
    flags = ["--results", folder / "results", "--out", folder / "report.html", "--bank", toy_bank]
    flags += ["--data", data, "--patches", "piano", "organ", "--seconds", SECONDS]
    assert main(["report", *map(str, flags)]) == 0
    return folder / "report.html"


def test_the_page_loads_nothing_from_outside(sounding):
    page = Page(sounding)
    loaded = [a[k] for _, a in page.tags for k in ("src", "href") if k in a]
    assert len(loaded) > 20
    assert all(x.startswith(("data:image/png", "data:audio/flac", "#")) for x in loaded)
    assert not page.all("link")
    assert not re.search(r"url\(|@import|https?:", sounding.read_text(encoding="utf-8"))
    (policy,) = (m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'")


def test_each_patch_has_every_condition_and_the_original_as_it_was(sounding, data):
    page = Page(sounding)
    sounds = [a["src"] for a in page.all("audio")]
    assert len(sounds) == 2 * 6
    heard, rate = soundfile.read(
        io.BytesIO(base64.b64decode(sounds[0].partition(",")[2])), dtype="int16"
    )
    assert (rate, len(heard)) == (ANALYSIS.rate, SECONDS * ANALYSIS.rate)
    with np.load(data / "test" / "a_piece-piano.npz") as excerpt:
        # `make_take` strikes its first key at frame 10.
        first = (10 - BEFORE_FRAMES) * ANALYSIS.hop
        assert np.abs(heard - excerpt["audio"][first : first + len(heard)]).max() <= 1


def test_the_resynthesis_of_true_magnitudes_is_aligned_and_as_loud(sounding):
    sounds = [a["src"].partition(",")[2] for a in Page(sounding).all("audio")]
    original, resynthesis = (soundfile.read(io.BytesIO(base64.b64decode(s)))[0] for s in sounds[:2])
    levels = []
    for audio in (original, resynthesis):
        pieces = audio[: 15 * 8 * ANALYSIS.hop].reshape(15, -1)
        levels.append(np.sqrt(np.square(pieces).mean(1)))
    assert np.corrcoef(*levels)[0, 1] > 0.95
    assert levels[1].mean() == pytest.approx(levels[0].mean(), rel=0.1)


def test_a_browser_can_play_every_sound(sounding, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        pytest.skip("no Chromium here to play the sounds")
    script = """<script>addEventListener("load", () => { document.body.dataset.ready =
        [...document.querySelectorAll("audio")].map((a) => a.readyState).join() })</script>"""
    probe = tmp_path / "probe.html"
    probe.write_text(sounding.read_text(encoding="utf-8").replace("</body>", script + "</body>"))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", probe.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=PROCESS_S)
    found = re.search(r'data-ready="([\d,]+)"', shown.stdout)
    assert found, shown.stderr[-500:]
    states = [int(state) for state in found[1].split(",")]
    assert len(states) == 12
    # 2 is HAVE_CURRENT_DATA: it is decoded.
    assert min(states) >= 2


def test_figures_pictures_and_their_origin_are_on_it(sounding):
    page = Page(sounding)
    assert "some-machine" in page.text
    assert "96%" in page.text
    assert page.text.count("2026-01-02, commit abc1234, Some CPU, 2 cores") == 3
    assert [i["alt"] for i in page.all("img") if i["alt"] != "spectrogram"] == ["tuning-by-key"]


def test_what_was_not_measured_is_named_with_its_command(toy_bank, tmp_path):
    kind = tmp_path / "results" / "box"
    _keep(kind, "soak", [{"minutes": 10.0}])
    assert _report(toy_bank, tmp_path, "--json", tmp_path / "sections.json") == 0
    rows = json.loads((tmp_path / "sections.json").read_text())
    assert {row["section"]: row["rows"] for row in rows} == dict.fromkeys(report.NAMES, 0) | {
        "soak": 1
    }
    text = Page(tmp_path / "report.html").text
    for name in report.NAMES:
        command = f"python -m benchmarks {name} --json {kind / name}.json"
        assert (command in text) == (name != "soak")
    assert "no test pieces to play" in text


def test_what_files_say_cannot_become_markup(toy_bank, tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    machine = {"machine": evil}
    rows = [{"condition": evil, evil: evil, "mean_r": 0.5, "instrument": "all", "lookahead": evil}]
    for name in ("fidelity", "tuning", "latency", "sampler", "x'><script>"):
        figures = {"in_tune": 1.0, "median_ms": 3.0, "real_time_factor": 2.0, "streams": 1}
        labels = dict.fromkeys(("vocoder", "path", "timing", "stage", "sampler"), evil)
        folder = tmp_path / "results" / "<i>box"
        folder.mkdir(parents=True, exist_ok=True)
        kept = [row | figures | labels | STATED | machine for row in rows]
        (folder / f"{name}.json").write_text(json.dumps(kept))
    (folder / "a'><script>.png").write_bytes(PIXEL)
    assert _report(toy_bank, tmp_path) == 0
    page = Page(tmp_path / "report.html")
    assert len(page.all("script")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert {i["src"][:15] for i in page.all("img")} == {"data:image/png;"}
    assert page.text.count(evil) > 10


def test_runs_of_different_days_stand_apart():
    later = STATED | {"date": "2026-02-03"}
    rows = [{"r": 0.5} | STATED, {"r": 0.25} | later, {"r": 0.75, "more": "x"} | STATED]
    first, second = tables(rows)
    assert first.rows == [["0.500", ""], ["0.750", "x"]]
    assert [(c.title, c.numeric) for c in first.columns] == [("r", True), ("more", False)]
    assert second.rows == [["0.250"]] and second.stated.startswith("2026-02-03, commit abc1234")


def test_the_headline_takes_whole_rows_before_means_and_names_what_differs():
    def row(**more: object) -> dict:
        return STATED | {"condition": "notes", "loss": "abs", "lookahead": 0} | more

    rows = [
        row(instrument="piano", mean_r=0.1),
        row(instrument="all", mean_r=0.62, published=0.75),
        row(instrument="piano", mean_r=0.25, loss="log", lookahead="full"),
        row(instrument="organ", mean_r=0.75, loss="log", lookahead="full", published=float("nan")),
        row(condition="mu-law", loss="-", lookahead="-", instrument="all", mean_r=0.98),
        row(condition="broken", mean_r=float("nan")),
        row(instrument="all", mean_r=0.61, lookahead=4),
    ]
    (panel,) = headline({"fidelity": rows})
    assert panel.lines == [
        Entry("notes, abs, lookahead 0", "0.62 (0.75)", 0.62, 0.75),
        Entry("notes, log, whole piece", "0.50", 0.5),
        Entry("mu-law", "0.98", 0.98),
    ]
    assert headline({"soak": rows}) == []


def test_a_folder_of_one_machine_and_one_of_many_are_both_read(tmp_path):
    for kind in ("b", "a"):
        _keep(tmp_path / kind, "soak", [{"minutes": 1}])
    (tmp_path / "empty").mkdir()
    assert [kept.machine for kept in gather(tmp_path)] == ["a", "b"]
    assert [kept.machine for kept in gather(tmp_path / "b")] == ["b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("{}", "expected a list of one or more rows"),
        ("[]", "expected a list of one or more rows"),
        ("[3]", "row 1: expected columns and values, got 3"),
        ('[{"a": 1}, {"b": [1]}]', "row 2: b: expected text or a number"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, said):
    (tmp_path / "soak.json").write_text(text)
    with pytest.raises(ValueError, match=f"soak.json: .*{said}"):
        gather(tmp_path)


def test_a_picture_that_is_none_and_a_folder_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        gather(tmp_path / "nowhere")
    (tmp_path / "a.png").write_text("<svg onload=alert(1)>")
    with pytest.raises(ValueError, match="a.png: not a PNG"):
        gather(tmp_path)


def test_a_data_set_or_flag_that_does_not_fit_is_refused(toy_bank, data, tmp_path, capsys):
    def complaint(*flags: object) -> str:
        assert _report(toy_bank, tmp_path, *flags) == 2
        return capsys.readouterr().err

    assert "no patch 'tuba'" in complaint("--patches", "tuba")
    assert "--seconds: expected a number above 0, got '0'" in complaint("--seconds", "0")
    other = shutil.copytree(data, tmp_path / "data")
    text = (other / "manifest.yaml").read_text().replace("rate: 16000", "rate: 48000")
    (other / "manifest.yaml").write_text(text)
    assert "rate: expected 16000" in complaint("--data", other)
    assert not (tmp_path / "report.html").exists()


def test_of_a_quick_look_and_a_long_one_the_headline_takes_the_long_one():
    row = {"condition": "notes", "lookahead": "full", "instrument": "all"}
    quick, long = ({**row, "mean_r": r, "seconds": s} for r, s in ((0.7, 30.0), (0.8, 840.0)))
    (panel,) = headline({"fidelity": [quick, long]})
    assert [line.words for line in panel.lines] == ["0.80"]


def test_the_page_begins_with_the_sounds(sounding):
    ids = [a["id"] for a in Page(sounding).all("section")]
    assert ids[:3] == ["listen", "figures", report.NAMES[0]]


def test_bars_are_as_long_as_their_figures(toy_bank, tmp_path):
    row = {"condition": "notes", "instrument": "all", "mean_r": 0.62, "published": 0.75}
    _keep(tmp_path / "results" / "box", "fidelity", [row])
    assert _report(toy_bank, tmp_path) == 0
    page = (tmp_path / "report.html").read_text()
    assert 'style="width:62.0%"' in page and 'style="left:75.0%"' in page
