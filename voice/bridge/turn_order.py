"""Where each turn stands in the conversation: by `previous_item_id`, not by arrival. Pure."""

from typing import Final

SPACING: Final = 1024
"""Positions are this far apart, so that a turn that comes late fits between two stored ones."""


class TurnOrder:
    """Positions of the turns of one stream, continuing after those of an earlier stream."""

    def __init__(self, first_position: int = 0) -> None:
        self._base = first_position
        self._order: list[str] = []
        self._positions: dict[str, int] = {}

    def place(self, item_id: str, previous_item_id: str | None) -> tuple[int, dict[str, int]]:
        """Position of a turn, and the new positions of turns that had to make room.

        A turn keeps its place: only its first sight counts.
        """
        known = self._positions.get(item_id)
        if known is not None:
            return known, {}
        index = len(self._order)
        if previous_item_id in self._positions:
            index = self._order.index(previous_item_id) + 1
        self._order.insert(index, item_id)
        below = self._positions[self._order[index - 1]] if index else self._base - 1
        if index == len(self._order) - 1:
            self._positions[item_id] = below + (SPACING if index else 1)
            return self._positions[item_id], {}
        above = self._positions[self._order[index + 1]]
        if above - below > 1:
            self._positions[item_id] = (above + below) // 2
            return self._positions[item_id], {}
        return self._renumber(item_id)

    def _renumber(self, item_id: str) -> tuple[int, dict[str, int]]:
        moved = {name: self._base + SPACING * number for number, name in enumerate(self._order)}
        changed = {
            name: position
            for name, position in moved.items()
            if name != item_id and self._positions.get(name) != position
        }
        self._positions = moved
        return moved[item_id], changed
