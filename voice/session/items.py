"""Names of conversation items that are ours, and that a model cannot take."""

from typing import Final

OWN_ITEM_PREFIX: Final = "own_"
"""Ids of inserted facts and of replayed history begin with this; the transcript passes them over."""

OPENING: Final = "opening"
VOICEMAIL: Final = "voicemail"
SCREENING: Final = "screening"
OUR_TURNS: Final = (OPENING, VOICEMAIL, SCREENING)
"""Ids of the turns that we say ourselves begin with one of these; what a model says of them is not heard."""
