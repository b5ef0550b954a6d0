"""What the page draws: columns of blocks as the render thread shows them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from common.window import ROLL_CHANNELS, Window
from page.columns import Column, Columns
from page.tap import KEPT, Tap
from synth.mel import Analysis, band_centres

ANALYSIS = Analysis()
HOP = ANALYSIS.hop


def window(part: int, keys: dict[int, int], struck: tuple[int, ...] = (), voice: int = 0) -> Window:
    roll = np.zeros((1, ROLL_CHANNELS), np.float32)
    for key, velocity in keys.items():
        roll[0, key - 21] = velocity / 127
        roll[0, 88 + key - 21] = velocity / 127 if key in struck else 0
    settings = (np.zeros((1, n), np.float32) for n in (2, 2))
    return Window(part, roll, *settings, *np.zeros((2, 1)), voice)


def play(tap: Tap, sound: np.ndarray, windows: list[list[Window]] | None = None) -> None:
    for i, start in enumerate(range(0, len(sound), HOP)):
        block = np.stack([sound[start : start + HOP]] * 2, 1)
        tap.put(start, block, windows[i] if windows else [], {3: [block / 2]})


@pytest.fixture
def tap() -> Tap:
    made = Tap()
    made.watchers = 1
    return made


def test_nothing_is_kept_while_nobody_watches() -> None:
    tap = Tap()
    play(tap, np.zeros(HOP, np.float32))
    assert tap.trail.count == 0


@pytest.mark.parametrize("together", [1, 3, 40])
def test_a_tone_is_bright_in_its_band_however_often_one_looks(tap: Tap, together: int) -> None:
    columns = Columns(tap, ANALYSIS, 0.7)
    times = np.arange(40 * HOP) / ANALYSIS.rate
    tone = (0.5 * np.sin(2 * np.pi * 1000 * times)).astype(np.float32)
    for start in range(0, 40, together):
        for i in range(start, min(start + together, 40)):
            block = np.stack([tone[i * HOP : (i + 1) * HOP]] * 2, 1)
            tap.put(i * HOP, block, [], {3: [block / 2]})
        columns.catch_up()
    made, _ = columns.trail.since(0)
    assert [column.number for column in made] == list(range(40))
    last = made[-1]
    assert last.mel is not None
    brightest = band_centres(ANALYSIS, "mel")[int(last.mel.argmax())]
    assert abs(brightest - 1000) < 40 and last.mel.min() < 40
    assert last.peaks == pytest.approx((0.5, 0.5), abs=0.01)
    assert last.levels == {3: pytest.approx(0.25, abs=0.01)} and not last.limited


def test_silence_has_no_spectrum_and_a_loud_mix_lights_the_limiter(tap: Tap) -> None:
    columns = Columns(tap, ANALYSIS, 0.7)
    sound = np.zeros(20 * HOP, np.float32)
    sound[9 * HOP : 10 * HOP] = 0.9
    play(tap, sound)
    columns.catch_up()
    made, _ = columns.trail.since(0)
    # The window reaches over eight frames.
    assert [column.mel is not None for column in made] == [False] * 9 + [True] * 8 + [False] * 3
    assert [column.limited for column in made].index(True) == 9


def test_a_loud_mix_tells_which_parts_drive_the_limiter(tap: Tap) -> None:
    columns = Columns(tap, ANALYSIS, 0.7)
    loud, less, little = (np.full((HOP, 2), x, np.float32) for x in (0.5, 0.3, 0.1))
    parts = {1: [loud / 2, loud / 2], 2: [less], 3: [little], 4: [-loud]}
    tap.put(0, np.tanh(loud + less + little), [], parts)
    tap.put(HOP, little, [], {3: [little]})
    columns.catch_up()
    made, _ = columns.trail.since(0)
    # Part 4 is as loud as part 1, but takes away from the sum.
    assert made[0].limited and made[0].drivers == {1, 2}
    assert not made[1].limited and not made[1].drivers
    assert struct.unpack_from("<Bf", made[0].packed(), 20)[0] == 1 + 128


def test_keys_are_told_once_when_struck_again_and_when_released(tap: Tap) -> None:
    columns = Columns(tap, ANALYSIS, 0.7)
    windows = [
        [window(1, {60: 100}, (60,))],
        [window(1, {60: 100}), window(2, {64: 1}, (64,))],
        [window(1, {60: 80}, (60,)), window(2, {64: 1})],
        [window(1, {}), window(2, {64: 1})],
    ]
    play(tap, np.zeros(4 * HOP, np.float32), windows)
    columns.catch_up()
    made, _ = columns.trail.since(0)
    notes = [column.notes for column in made]
    assert notes == [[(1, 60, 100)], [(2, 64, 1)], [(1, 60, 80)], [(1, 60, 0)]]
    assert columns.held == {2: {64: 1}}


def test_keys_of_two_patches_are_keys_of_one_part(tap: Tap) -> None:
    columns = Columns(tap, ANALYSIS, 0.7)
    windows = [
        [window(1, {60: 100}, (60,)), window(1, {}, voice=1)],
        [window(1, {60: 100}), window(1, {64: 90}, (64,), voice=1)],
        [window(1, {}), window(1, {64: 90}, voice=1)],
    ]
    play(tap, np.zeros(3 * HOP, np.float32), windows)
    columns.catch_up()
    made, _ = columns.trail.since(0)
    assert [column.notes for column in made] == [[(1, 60, 100)], [(1, 64, 90)], [(1, 60, 0)]]
    assert columns.held == {1: {64: 90}}


def test_who_is_too_late_has_lost_blocks_and_is_told_how_many(tap: Tap) -> None:
    play(tap, np.zeros((KEPT + 5) * HOP, np.float32))
    instants, lost = tap.trail.since(2)
    assert (len(instants), lost) == (KEPT, 3) and instants[0].start == 5 * HOP


def test_a_column_is_packed_as_the_page_reads_it() -> None:
    mel = np.arange(80, dtype=np.uint8)
    packed = Column(7, mel, (0.5, 0.25), True, {2: 0.125}, [(2, 60, 100), (2, 64, 0)]).packed()
    assert struct.unpack_from("<dffBBH", packed) == (7.0, 0.5, 0.25, 3, 1, 2)
    assert struct.unpack_from("<Bf", packed, 20) == (2, 0.125)
    assert packed[25:31] == bytes([2, 60, 100, 2, 64, 0]) and packed[31:] == mel.tobytes()
