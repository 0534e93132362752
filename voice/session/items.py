"""Conversation items that we insert ourselves: no turns of the transcript."""

from typing import Final

OWN_ITEM_PREFIX: Final = "own_"
"""Ids of inserted facts and of replayed history begin with this; the transcript passes them over."""
