"""The demo plays every patch, and leaves nothing behind."""

from __future__ import annotations

import soundfile

from player.demo import PHRASE_S, score
from tests.server import Server


def test_every_key_that_is_struck_is_released_and_all_is_in_time_order():
    steps = score(["a", "b", "c"])
    assert [s.arguments[0] for s in steps if s.address.endswith("patch")] == ["a", "b", "c", "a"]
    assert [s.seconds for s in steps] == sorted(s.seconds for s in steps)
    down: set[object] = set()
    for step in steps:
        if step.address.endswith("note"):
            key, velocity = step.arguments
            if velocity:
                assert key not in down or velocity
                down.add(key)
            else:
                down.remove(key)
    assert not down
    amounts = [s.arguments[2] for s in steps if s.address.endswith("morph")]
    assert amounts[0] == 0 and amounts[-1] == 1 and amounts == sorted(amounts)
    assert len([s for s in score([str(i) for i in range(40)]) if s.address.endswith("patch")]) == 11


def test_the_demo_is_heard_and_a_panic_ends_it(tmp_path):
    take = tmp_path / "demo.wav"
    with Server("--demo", "--record", str(take), "--patch", "trumpet") as server:
        server.play_on(PHRASE_S + 1)
        assert server.ask("/part/1/patch") == ["electric-piano"]
        server.send("/panic")
        server.play_on(1.0)
        assert server.ask("/part/1/patch") == ["trumpet"]
        assert server.stop()[0] == 0
    audio, rate = soundfile.read(take)
    assert abs(audio[: int(2 * rate)]).max() > 0.01
