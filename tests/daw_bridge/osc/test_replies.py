"""Answers to other machines are limited; those to this one are not."""

from __future__ import annotations

from daw_bridge.osc.replies import BUNDLE_BYTES, BURST_BYTES, BYTES_PER_S, REMEMBERED, Replies


def test_this_machine_is_always_answered():
    replies = Replies(lambda: 0.0)
    assert all(replies.allow("127.0.0.1", 60_000, 10**6, True) for _ in range(100))
    assert replies.withheld == 0


def test_a_machine_is_answered_so_much_at_once_and_then_so_much_a_second():
    now = [0.0]
    replies = Replies(lambda: now[0])
    sent = sum(replies.allow("192.0.2.7", 1_024, 0, False) for _ in range(1_000))
    assert sent == BURST_BYTES // 1_024
    assert replies.withheld == 1_000 - sent
    assert replies.allow("192.0.2.8", 1_024, 0, False)
    now[0] = 2.0
    sent = sum(replies.allow("192.0.2.7", 1_024, 0, False) for _ in range(1_000))
    assert sent == 2 * BYTES_PER_S // 1_024


def test_a_bundle_is_answered_so_much():
    replies = Replies(lambda: 0.0)
    assert replies.allow("192.0.2.7", 1_000, BUNDLE_BYTES - 1_000, True)
    assert not replies.allow("192.0.2.7", 1_000, BUNDLE_BYTES - 999, True)
    assert replies.allow("192.0.2.7", 60_000, 0, False)


def test_many_machines_take_no_more_room():
    replies = Replies(lambda: 0.0)
    for k in range(3 * REMEMBERED):
        assert replies.allow(f"10.0.{k // 256}.{k % 256}", 100, 0, False)
    assert len(replies._shares) == REMEMBERED
