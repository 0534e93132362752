"""What the caller's words do by themselves, whatever the model makes of them.

Deterministic and beside the model: a clear wish not to be called, or not to be recorded, works with a model
that is dead, slow or of another opinion.
"""

from voice.session import answering, record, tooling, wordings
from voice.session.phases import Phase
from voice.session.state import Live


def on_words(live: Live, text: str, now: float) -> None:
    """A turn of the caller has its words."""
    answering.on_words(live, text, now)
    language = live.script.language if live.script is not None else "en"
    if wordings.wants_no_calls(text, language, single_words=live.direction == "outbound"):
        tooling.opt_out_by_word(live, text, now)
    elif wordings.objects_to_recording(text):
        record.object_to(live)
    elif live.recording == "asked" and live.phase in {Phase.TALKING, Phase.CLOSING}:
        record.answered(live, yes=wordings.says_yes(text, language))
