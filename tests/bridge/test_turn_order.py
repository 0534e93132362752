"""Positions of turns: by what they follow, not by when they came."""

from voice.bridge.turn_order import TurnOrder


def test_in_order_of_arrival_when_nothing_else_is_known() -> None:
    order = TurnOrder()
    places = [order.place(name, None)[0] for name in ("a", "b", "c")]
    assert places == sorted(places)
    assert len(set(places)) == 3


def test_a_late_turn_goes_behind_the_one_it_follows() -> None:
    order = TurnOrder()
    a, c = order.place("a", None)[0], order.place("c", "a")[0]
    b, moved = order.place("b", "a")
    assert a < b < c
    assert moved == {}


def test_a_place_is_kept() -> None:
    order = TurnOrder()
    first = order.place("a", None)[0]
    order.place("b", "a")
    assert order.place("a", "b") == (first, {})


def test_a_resumed_call_goes_on_behind_what_is_stored() -> None:
    assert TurnOrder(5000).place("a", "unknown")[0] >= 5000


def test_room_is_made_when_there_is_none() -> None:
    order = TurnOrder()
    places = {"a": order.place("a", None)[0], "z": order.place("z", "a")[0]}
    for number in range(40):  # each goes right behind a: the gap halves until it is used up
        name = f"m{number}"
        places[name], moved = order.place(name, "a")
        places.update(moved)
        assert all(place >= 0 for place in places.values())
    expected = ["a", *(f"m{number}" for number in reversed(range(40))), "z"]
    assert sorted(places, key=lambda name: places[name]) == expected
