"""Rule 1: heard = min(received, sent, acked + time since the last ack), per (item, content part)."""

import pytest

from voice.session.playback import LOST_MARK_GRACE_S, Playback


def playback(backlog_ms: float = 120_000) -> Playback:
    return Playback(max_backlog_ms=backlog_ms)


def test_before_the_first_mark_the_clock_since_the_first_frame_bounds_it() -> None:
    p = playback()
    p.play("r", "a", 0, 1000, now=5.0)
    part = p.parts["a", 0]
    assert p.heard_ms(part, 5.0) == 0
    assert p.heard_ms(part, 5.3) == pytest.approx(300)
    assert p.heard_ms(part, 99.0) == 1000  # never past what was received


def test_a_mark_corrects_the_clock_in_both_directions() -> None:
    p = playback()
    first = p.play("r", "a", 0, 200, now=0.0)
    second = p.play("r", "a", 0, 800, now=0.0)
    part = p.parts["a", 0]
    assert first
    assert second
    p.mark_returned(first, now=0.5)  # the carrier is 300 ms late
    assert p.heard_ms(part, 0.5) == 200
    assert p.heard_ms(part, 0.7) == pytest.approx(400)
    p.mark_returned(second, now=0.75)  # and now early
    assert p.heard_ms(part, 0.75) == 1000


def test_a_queued_item_starts_where_the_one_before_it_ends() -> None:
    p = playback()
    p.play("r", "a", 0, 1000, now=0.0)
    p.play("r", "b", 0, 1000, now=0.0)
    assert p.heard_ms(p.parts["a", 0], 1.2) == 1000
    assert p.heard_ms(p.parts["b", 0], 1.2) == pytest.approx(200)


def test_content_parts_of_one_item_are_counted_apart() -> None:
    p = playback()
    p.play("r", "a", 0, 300, now=0.0)
    p.play("r", "a", 1, 300, now=0.0)
    assert p.heard_ms(p.parts["a", 0], 0.4) == 300
    assert p.heard_ms(p.parts["a", 1], 0.4) == pytest.approx(100)


def test_after_a_pause_the_clock_starts_with_the_new_audio() -> None:
    p = playback()
    mark = p.play("r", "a", 0, 200, now=0.0)
    assert mark
    p.mark_returned(mark, now=0.2)
    p.play("r", "b", 0, 500, now=10.0)
    assert p.heard_ms(p.parts["b", 0], 10.1) == pytest.approx(100)


def test_a_filler_between_two_chunks_of_an_item_does_not_count_as_the_item() -> None:
    p = playback()
    p.play("r", "a", 0, 200, now=0.0)
    p.play_clip(1000, now=0.0)
    p.play("r", "a", 0, 200, now=0.0)
    part = p.parts["a", 0]
    assert p.heard_ms(part, 1.0) == 200
    assert p.heard_ms(part, 1.3) == pytest.approx(300)


def test_marks_of_an_older_generation_prove_nothing() -> None:
    p = playback()
    mark = p.play("r", "a", 0, 1000, now=0.0)
    assert mark
    cuts = p.clear(0.1)
    assert [round(c.heard_ms) for c in cuts] == [100]
    p.play("r2", "b", 0, 1000, now=0.1)
    assert p.mark_returned(mark, 0.11) == ("stale", [])
    assert p.heard_ms(p.parts["b", 0], 0.2) == pytest.approx(100)


@pytest.mark.parametrize("name", ["", "x", "g1", "g1:", "g1:x", "g:1", "g1:99", "gg:1", "g²:1", "g1:³"])
def test_marks_that_are_not_ours_change_nothing(name: str) -> None:
    p = playback()
    p.play("r", "a", 0, 1000, now=0.0)
    verdict, parts = p.mark_returned(name, 0.0)
    assert verdict in {"unknown", "stale"}
    assert not parts
    assert p.heard_ms(p.parts["a", 0], 0.0) == 0


def test_a_later_mark_confirms_the_lost_ones_before_it() -> None:
    p = playback()
    names = [p.play("r", "a", 0, 100, now=0.0) for _ in range(5)]
    assert names[3]
    assert names[1]
    p.mark_returned(names[3], 0.4)
    assert p.heard_ms(p.parts["a", 0], 0.4) == 400
    assert p.mark_returned(names[1], 0.41) == ("repeated", [])


def test_a_part_is_over_when_complete_and_acknowledged_in_either_order() -> None:
    p = playback()
    one = p.play("r", "a", 0, 100, now=0.0)
    two = p.play("r", "b", 0, 100, now=0.0)
    assert one
    assert two
    assert p.mark_returned(one, 0.1) == ("ok", [])  # more of it may come
    assert [part.item_id for part in p.complete("a", 0)] == ["a"]
    assert p.complete("b", 0) == []
    _, parts = p.mark_returned(two, 0.2)
    assert [part.item_id for part in parts] == ["b"]
    assert not p.parts


def test_without_the_last_mark_the_clock_ends_it_after_a_grace() -> None:
    p = playback()
    p.play("r", "a", 0, 1000, now=0.0)
    p.complete("a", 0)
    assert p.busy
    assert p.ends_at() == pytest.approx(1.0)
    assert [part.item_id for part in p.assume_played(1.0 + LOST_MARK_GRACE_S)] == ["a"]
    assert not p.busy


def test_the_backlog_is_bounded_and_what_was_dropped_was_received_but_never_heard() -> None:
    p = playback(backlog_ms=1000)
    assert all(p.play("r", "a", 0, 400, now=0.0) for _ in range(3))
    assert p.play("r", "a", 0, 400, now=0.0) is None
    part = p.parts["a", 0]
    assert (part.received_ms, part.sent_ms) == (1600, 1200)
    assert p.heard_ms(part, 60.0) == 1200


def test_a_flood_of_items_is_bounded() -> None:
    p = playback()
    played = [p.play("r", f"i{n}", 0, 1, now=0.0) for n in range(10_000)]
    assert sum(name is not None for name in played) == len(p.parts) <= 256
