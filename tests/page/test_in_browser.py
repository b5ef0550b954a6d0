"""The page in a real browser, with the real server and bank."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.alone import own_port
from tests.page.browser import PagedServer, Tabs, chromium, hear, needs_chromium
from tests.page.test_server import midi_file
from tests.server import run
from tests.waiting import PROCESS_S, wait_until, wait_until_equal
from trainer.bank.check import in_tune

pytestmark = needs_chromium
FIT_MS = 480_000
"""A fit takes seconds of a core that is free, and minutes of one that is not."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def tabs(browser: Browser) -> Iterator[Tabs]:
    opened = Tabs(browser)
    yield opened
    opened.close()
    assert not opened.errors


@pytest.fixture(scope="module")
def server() -> Iterator[PagedServer]:
    with PagedServer() as running:
        yield running


def test_a_key_that_is_struck_is_heard_at_its_pitch(tabs: Tabs, server: PagedServer) -> None:
    server.tell("/part/1/patch", "church-organ")
    tab = tabs.open(server.url)
    box = tab.locator(".key[data-key='69']").bounding_box()
    assert box
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.9 * box["height"])
    tab.mouse.down()
    rate, heard = hear(tab)
    assert in_tune(heard, 69, rate)
    expect(tab.locator(".key.lit")).to_have_attribute("data-key", "69")
    tab.mouse.up()
    expect(tab.locator(".key.lit")).to_have_count(0)


def test_letters_play_and_let_go_when_the_page_is_left(tabs: Tabs, server: PagedServer) -> None:
    server.tell("/part/1/patch", "church-organ")
    tab, other = tabs.open(server.url), tabs.open(server.url)
    tab.keyboard.press("x")
    tab.keyboard.down("a")
    lit = other.locator(".key.lit")
    expect(lit).to_have_attribute("data-key", "60")
    tab.close()
    expect(lit).to_have_count(0)


def last_of(tab: Tab, *messages: str) -> None:
    """Wait until these are the last messages that reached the server, the latest first."""
    for i, message in enumerate(messages):
        expect(tab.locator("#messages li").nth(i)).to_contain_text(message)


@pytest.fixture
def monitor(tabs: Tabs, server: PagedServer) -> Tab:
    """A page that shows the messages that others send."""
    tab = tabs.open(server.url)
    tab.locator(".tabs [data-panel=monitor]").click()
    return tab


def test_a_pedal_goes_up_on_the_part_where_it_was_pressed(
    tabs: Tabs, server: PagedServer, monitor: Tab
) -> None:
    tab = tabs.open(server.url)
    parts, pedal = tab.locator("#parts button"), tab.locator("#pedal")
    pedal.click()
    parts.nth(1).click()
    pedal.click()
    last_of(monitor, "/part/1/cc 64 0", "/part/1/cc 64 127")
    # Space, while the focus goes to a button or a field.
    for place in (parts.nth(2), tab.locator("#search")):
        tab.evaluate("document.activeElement.blur()")
        tab.keyboard.down(" ")
        expect(pedal).to_have_attribute("aria-pressed", "true")
        place.click()
        tab.keyboard.up(" ")
        expect(pedal).to_have_attribute("aria-pressed", "false")
    last_of(monitor, *(f"/part/{part}/cc 64 {value}" for part in (3, 2) for value in (0, 127)))


def test_pedals_and_wheel_of_web_midi_keep_their_part(
    tabs: Tabs, server: PagedServer, monitor: Tab
) -> None:
    tab = tabs.open(server.url)
    # A machine that tests need have no MIDI keyboard.
    tab.evaluate(
        """() => {
          window.keyboard = { name: "keys" };
          navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", window.keyboard]]) });
        }"""
    )
    tab.locator("#midi").click()
    expect(tab.locator("#midi")).to_have_attribute("title", "keys")
    tell = "bytes => window.keyboard.onmidimessage({ data: bytes })"
    for part, message in (
        *((1, [0xB0, 66, 127]), (1, [0xE0, 0, 96]), (2, [0xE0, 0, 32]), (2, [0xE0, 0, 64])),
        *((2, [0xB0, 66, 0]), (2, [0xB0, 66, 127]), (1, [0xB0, 66, 0])),
    ):
        tab.locator("#parts button").nth(part - 1).click()
        tab.evaluate(tell, message)
        tab.evaluate("() => new Promise((done) => requestAnimationFrame(done))")
    said = [(1, "cc 66 127"), (1, "bend 1"), (1, "bend -1"), (1, "bend 0"), (1, "cc 66 0")]
    said += [(2, "cc 66 127"), (2, "cc 66 0")]
    last_of(monitor, *(f"/part/{part}/{words}" for part, words in reversed(said)))


def test_escape_ends_all_sound_also_while_a_slider_has_the_focus(
    tabs: Tabs, server: PagedServer, monitor: Tab
) -> None:
    tab = tabs.open(server.url)
    tab.locator("#morph").focus()
    tab.keyboard.press("Escape")
    last_of(monitor, "/panic")


def test_the_puck_moves_the_part_and_the_other_page(tabs: Tabs, server: PagedServer) -> None:
    tab, other = tabs.open(server.url), tabs.open(server.url)
    server.tell("/part/1/patch", "grand-piano")
    before = server.ask("/part/1/timbre")
    expect(other.locator("#edited")).to_be_hidden()
    box = tab.locator("#map").bounding_box()
    assert box
    x, y = (box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.9)
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 20, y - 10, steps=5)
    # While it is dragged the page shows where it is, which the server is told with each frame.
    shown = tab.locator("#map-hint").text_content()
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(done))")
    expect(other.locator("#map-hint")).to_have_text(shown)
    expect(other.locator("#edited")).to_be_visible()
    tab.mouse.up()
    after = server.ask("/part/1/timbre")
    assert ", ".join(f"{v:.2f}" for v in after) == shown
    assert after[0] < before[0] and after[1] < before[1]
    # And back: what a DAW sends moves the pucks.
    server.send("/part/1/timbre", 0.25, 0.5)
    for page in (tab, other):
        expect(page.locator("#map-hint")).to_have_text("0.25, 0.50")


def test_knobs_gain_and_patches_are_commands(tabs: Tabs, server: PagedServer) -> None:
    for part in (1, 3):
        server.tell(f"/part/{part}/patch", "grand-piano")
    tab = tabs.open(server.url)
    expect(tab.locator("#edited")).to_be_hidden()
    tab.locator("[role=slider][aria-label=brightness]").focus()
    tab.keyboard.press("PageUp")
    expect(tab.locator("#edited")).to_be_visible()
    wait_until_equal(lambda: server.ask("/part/1/knob/brightness"), pytest.approx([0.6]))
    tab.locator("#parts button").nth(2).click()
    tab.locator("#search").fill("trum")
    tab.locator("#patches li").click()
    expect(tab.locator("#title")).to_have_text("trumpet")
    assert server.ask("/part/3/patch") == ["trumpet"]
    assert server.ask("/part/1/patch") == ["grand-piano"]
    server.send("/part/3/gain_db", -6)
    expect(tab.locator("[role=slider][aria-label=gain]")).to_have_attribute(
        "aria-valuetext", "-6.0 dB"
    )


def test_a_controller_is_learnt_shown_and_freed(tabs: Tabs, server: PagedServer) -> None:
    tab, other = tabs.open(server.url), tabs.open(server.url)
    knob = tab.locator("#knobs .knob").first
    tab.locator("#learn").click()
    knob.locator("svg").click()
    for page in (tab, other):
        expect(page.locator("#knobs .knob").first).to_have_class("knob waiting")
    tab.keyboard.press("Escape")
    expect(knob).to_have_class("knob")
    tab.locator("#learn").click()
    knob.locator("svg").click()
    for page in (tab, other):
        expect(page.locator("#knobs .knob").first).to_have_class("knob waiting")
    for value in (60, 61):
        server.send("/part/1/cc", 21, value)
    expect(other.locator("#knobs .badge").first).to_have_text("CC 21")
    expect(tab.locator("#learn")).to_have_attribute("aria-pressed", "false")
    assert server.ask("/midi/map") == [21, "brightness"]
    # It may be learnt for another knob instead.
    tab.locator("#learn").click()
    gain = tab.locator("#knobs .knob", has_text="gain")
    gain.locator("svg").click()
    expect(gain).to_have_class("knob waiting")
    for value in (62, 63):
        server.send("/part/1/cc", 21, value)
    expect(gain.locator(".badge")).to_have_text("CC 21")
    expect(tab.locator("#learn")).to_have_attribute("aria-pressed", "false")
    tab.locator("#learn").click()
    gain.locator(".badge").click()
    expect(gain.locator(".badge")).to_be_hidden()
    assert server.ask("/midi/map") == []


def test_the_morph_and_the_next_patch_are_learnt(tabs: Tabs, server: PagedServer) -> None:
    server.tell("/part/1/patch", "grand-piano")
    tab = tabs.open(server.url)
    for place, controller in (("#morphing", 22), ("#next", 23)):
        tab.locator("#learn").click()
        tab.locator(place).click()
        expect(tab.locator(place)).to_have_class(re.compile("waiting"))
        for value in (127, 0):
            server.send("/part/1/cc", controller, value)
        expect(tab.locator(f"{place} .badge")).to_have_text(f"CC {controller}")
    assert server.ask("/midi/map") == [22, "morph", 23, "patch/next"]
    expect(tab.locator("#title")).to_have_text("grand piano")
    server.send("/part/1/cc", 23, 127)
    expect(tab.locator("#title")).to_have_text("electric piano")
    for controller in (22, 23):
        server.ask("/midi/forget", controller)


def test_the_map_is_coloured_by_what_is_measured(tabs: Tabs, server: PagedServer) -> None:
    tab = tabs.open(server.url)
    expect(tab.locator("#legend")).to_be_hidden()
    tab.locator("#colours").select_option("brightness")
    # What measures them is compiled first, on a new machine.
    ready = {"timeout": 1000 * PROCESS_S}
    expect(tab.locator("#legend")).to_have_text(re.compile("Hz.*Hz"), **ready)
    tab.locator("#colours").select_option("loudness")
    expect(tab.locator("#legend")).to_have_text(re.compile("dB.*dB"))
    tab.locator("#colours").select_option("")
    expect(tab.locator("#legend")).to_be_hidden()


def test_mute_and_solo_of_a_strip(tabs: Tabs, server: PagedServer) -> None:
    tab, other = tabs.open(server.url), tabs.open(server.url)
    for page in (tab, other):
        page.locator(".tabs [data-panel=mix]").click()
    strips = other.locator("#panel-mix .strip")
    mute = tab.get_by_label("Mute part 2")
    mute.click()
    expect(strips.nth(1)).to_have_class("strip silent")
    expect(mute).to_have_attribute("aria-pressed", "true")
    mute.click()
    tab.get_by_label("Solo part 3").click()
    expect(other.locator(".strip.silent")).to_have_count(15)
    assert server.ask("/part/2/mute") == [0] and server.ask("/part/3/solo") == [1]
    server.send("/part/3/solo", 0)
    expect(other.locator(".strip.silent")).to_have_count(0)


def test_a_midi_file_that_is_dropped_is_played(tabs: Tabs, server: PagedServer) -> None:
    server.tell("/part/1/patch", "church-organ")
    tab, other = tabs.open(server.url), tabs.open(server.url)
    dropped = tab.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "one.mid"));
          return transfer;
        }""",
        list(midi_file(*((seconds / 2, 69) for seconds in range(121)))),
    )
    tab.dispatch_event("main", "drop", {"dataTransfer": dropped})
    rate, heard = hear(tab)
    assert in_tune(heard, 69, rate)
    expect(other.locator("#song")).to_have_attribute("title", "Stop one.mid (1:00)")
    other.locator("#song").click()
    expect(tab.locator("#song")).to_have_text("File")
    tab.locator("#file").set_input_files(
        {"name": "bad.mid", "mimeType": "audio/midi", "buffer": b"none"}
    )
    expect(tab.locator("#toast")).to_contain_text("bad.mid: not a MIDI file")


def dropped(tab: Tab, *files: Path) -> None:
    """Drop files on the page together."""
    transfer = tab.evaluate_handle("() => new DataTransfer()")
    for file in files:
        tab.evaluate(
            "([t, name, bytes]) => t.items.add(new File([new Uint8Array(bytes)], name))",
            [transfer, file.name, list(file.read_bytes())],
        )
    tab.dispatch_event("main", "drop", {"dataTransfer": transfer})


def test_a_recording_that_is_dropped_becomes_a_patch(
    tabs: Tabs, toy_bank: Path, tmp_path: Path
) -> None:
    # The toy bank: a fit goes behind all other programs, and may wait long for a busy machine.
    score, sound = tmp_path / "lead.mid", tmp_path / "lead.wav"
    score.write_bytes(midi_file(*((0.6 * i, key) for i, key in enumerate((60, 64, 67, 72, 65)))))
    bank = ("--bank", str(toy_bank))
    made = run("render", str(score), str(sound), *bank, "--patch", "bright-lead")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "own"
    with PagedServer(*bank, "--patches", str(folder)) as server:
        tab, other = tabs.open(server.url), tabs.open(server.url)
        # One that is cancelled leaves nothing.
        dropped(tab, sound, score)
        answer(tab, "never")
        expect(other.locator("#fit-title")).to_have_text("Fitting never …")
        other.locator("#fit-stop").click()
        expect(tab.locator("#fit")).to_be_hidden()
        dropped(tab, sound, score)
        answer(tab, "my lead")
        expect(tab.locator("#fit-title")).to_have_text("my lead is ready", timeout=FIT_MS)
        assert [file.name for file in folder.glob("*.yaml")] == ["my lead.yaml"]
        expect(tab.locator("#fit-lines")).to_contain_text("bright-lead")
        picture, sound = tab.locator("#fit-picture"), tab.locator("#fit-sound")
        wide = "image => image.complete && image.naturalWidth"
        wait_until(lambda: picture.evaluate(wide) > 1000)
        wait_until(lambda: sound.evaluate("sound => sound.duration > 3"))
        # It is over soon.
        pressed = "button => { button.click(); return button.getAttribute('aria-pressed'); }"
        assert tab.locator("#fit-b").evaluate(pressed) == "true"
        tab.locator("#fit-play").click()
        expect(other.locator("#title")).to_have_text("my lead")
        assert server.ask("/part/1/patch") == ["my lead"]
        tab.locator("#fit-stop").click()
        expect(other.locator("#fit")).to_be_hidden()
        (tmp_path / "bad.wav").write_bytes(b"RIFF nonsense")
        dropped(tab, tmp_path / "bad.wav", score)
        answer(tab, "bad")
        expect(tab.locator("#fit-title")).to_have_text("bad: no patch", timeout=FIT_MS)
        reason = "bad.wav: not a sound file that can be read"
        expect(tab.locator("#fit-lines dd").last).to_have_text(re.compile(f"^{reason}"))


def test_messages_of_a_daw_are_shown_with_what_was_wrong(tabs: Tabs, server: PagedServer) -> None:
    tab = tabs.open(server.url)
    tab.locator(".tabs [data-panel=monitor]").click()
    server.send("/part/1/knob/loudness", 0.5)
    line = tab.locator("#messages li").first
    expect(line).to_contain_text("/part/1/knob/loudness 0.5")
    expect(line.locator("em")).to_contain_text("brightness")


def test_on_a_phone_every_view_fits(tabs: Tabs, server: PagedServer) -> None:
    tab = tabs.open(server.url, 390, 844)
    for view in ("shape", "keep", "sound", "mix", "monitor"):
        tab.locator(f"nav [data-view={view}]").click()
        wide = tab.evaluate("[document.body.scrollWidth, document.body.scrollHeight]")
        assert wide == [390, 844], view
        expect(tab.locator("#keys")).to_be_visible()


def edit(tab: Tab, what: str) -> None:
    """Choose from the menu of the patch."""
    tab.locator("#more").click()
    tab.locator(f"#{what}").click()


def answer(tab: Tab, *texts: str) -> None:
    """Fill in what is asked, and say yes."""
    expect(tab.locator("#dialog")).to_be_visible()
    for field, text in zip(tab.locator("#dialog input").all(), texts, strict=True):
        field.fill(text)
    tab.locator("#dialog button").last.click()


def test_patches_are_copied_described_found_sent_and_dropped_in(tabs: Tabs, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    with PagedServer("--patches", str(folder)) as server:
        tab, other = tabs.open(server.url), tabs.open(server.url)
        edit(tab, "duplicate")
        expect(tab.get_by_label("Name of the copy")).to_have_value("grand-piano 2")
        answer(tab, "my piano")
        for page in (tab, other):
            expect(page.locator("#title")).to_have_text("my piano")
        edit(tab, "describe")
        answer(tab, "Ann", "warm, keys")
        other.locator("#search").fill("ann warm")
        expect(other.locator("#patches li")).to_have_text(["my piano"])
        expect(tab.locator("#dialog")).to_be_hidden()
        edit(tab, "like")
        other.locator("#search").fill("")
        other.locator("#liked").click()
        expect(other.locator("#patches li")).to_have_text(["my piano★"])
        with tab.expect_download() as sent:
            edit(tab, "export")
        assert sent.value.suggested_filename == "my piano.yaml"
        sent.value.save_as(tmp_path / "a friend's.yaml")
        content = (tmp_path / "a friend's.yaml").read_bytes()
        assert content == (folder / "my piano.yaml").read_bytes()
        tab.locator("#import-file").set_input_files(
            {"name": "sent.yaml", "mimeType": "application/yaml", "buffer": content}
        )
        expect(tab.locator("#title")).to_have_text("sent")
        (folder / "dropped in.yaml").write_bytes(content)
        expect(tab.locator("#patches li", has_text="dropped in")).to_be_visible()


def test_a_saved_patch_is_there_after_a_restart_whatever_was_undone(
    tabs: Tabs, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    with PagedServer("--patches", str(folder)) as server:
        tab, other = tabs.open(server.url), tabs.open(server.url)
        server.send("/part/1/timbre", 0.25, 0.5)
        expect(tab.locator("#delete")).to_be_disabled()
        tab.locator("#name").fill("kept by hand")
        tab.locator("#save button").click()
        kept = [page.locator("#patches li", has_text="kept by hand") for page in (tab, other)]
        for item in kept:
            expect(item).to_be_visible()
        expect(tab.locator("#title")).to_have_text("kept by hand")
        edit(tab, "delete")
        for item in kept:
            expect(item).to_have_count(0)
        assert not (folder / "kept by hand.yaml").exists()
        tab.locator("#toast button").click()
        for item in kept:
            expect(item).to_be_visible()
        kept[0].click()
        expect(tab.locator("#title")).to_have_text("kept by hand")
        edit(tab, "rename")
        # Keys and Escape belong to the question.
        tab.keyboard.press("Escape")
        expect(tab.locator("#dialog")).to_be_hidden()
        edit(tab, "rename")
        answer(tab, "renamed")
        expect(other.locator("#title")).to_have_text("renamed")
        assert server.stop()[0] == 0
    with PagedServer("--patches", str(folder)) as server:
        tab = tabs.open(server.url)
        tab.locator("#patches li", has_text="renamed").click()
        expect(tab.locator("#map-hint")).to_have_text("0.25, 0.50")
        assert server.ask("/part/1/timbre") == pytest.approx([0.25, 0.5])


def test_the_desk_is_saved_recalled_and_stands_again_after_a_restart(
    tabs: Tabs, tmp_path: Path
) -> None:
    folder = tmp_path / "desks"
    with PagedServer("--desk", str(folder)) as server:
        tab, other = tabs.open(server.url), tabs.open(server.url)
        for page in (tab, other):
            page.locator(".tabs [data-panel=mix]").click()
        server.send("/part/3/patch", "trumpet")
        server.send("/part/3/pan", -1)
        expect(tab.get_by_label("Patch of part 3")).to_have_value("trumpet")
        tab.locator("#desk-name").fill("two trumpets")
        tab.locator("#desk button", has_text="Save").click()
        expect(other.locator("#desks option")).to_have_count(2)
        server.tell("/part/3/patch", "orchestral-harp")
        expect(tab.get_by_label("Patch of part 3")).to_have_value("orchestral-harp")
        other.locator("#desks").select_option("two trumpets")
        expect(tab.get_by_label("Patch of part 3")).to_have_value("trumpet")
        assert server.ask("/part/3/pan") == [-1]
        other.locator("#desk-delete").click()
        expect(tab.locator("#desks option")).to_have_count(1)
        other.locator("#toast button").click()
        expect(tab.locator("#desks option")).to_have_count(2)
        tab.locator("#desk-name").fill("two trumpets")
        tab.locator("#desk button", has_text="Save").click()
        answer(tab)
        expect(tab.locator("#toast")).to_contain_text("Saved the desk as two trumpets")
        server.tell("/part/3/patch", "orchestral-harp")
        assert server.stop()[0] == 0
    with PagedServer("--desk", str(folder)) as server:
        assert server.ask("/part/3/patch") == ["orchestral-harp"]
        assert server.ask("/desk/list") == ["two trumpets"]
        assert any(line.startswith("desk ") and "as it stood" in line for line in server.lines)
    with PagedServer("--desk", str(folder), "--patch", "trumpet") as server:
        assert server.ask("/part/3/patch") == ["trumpet"]


def test_a_page_comes_back_after_the_server(tabs: Tabs) -> None:
    address = f"127.0.0.1:{own_port()}"
    with PagedServer("--http", address) as server:
        tab = tabs.open(server.url)
        assert server.stop()[0] == 0
    expect(tab.locator("body")).to_have_class("lost")
    with PagedServer("--http", address) as server:
        expect(tab.locator("body")).not_to_have_class("lost")
        server.send("/part/1/patch", "trumpet")
        expect(tab.locator("#title")).to_have_text("trumpet")
