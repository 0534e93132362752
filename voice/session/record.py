"""The recording of a call: begun when the notice was heard or a yes was said, ended by an objection."""

from voice.session import commands as cmd
from voice.session.state import Live


def start(live: Live, *, asked: str, answer: str) -> None:
    live.recording = "on"
    live.journal("call.recording", state="started", asked=asked, answer=answer)
    live.out.append(cmd.StartRecording())


def notice_heard(live: Live) -> None:
    """The opening has been heard to its end, its last line with it."""
    if live.recording == "announce":
        start(live, asked="announce", answer="told")
    elif live.recording == "explicit":
        live.recording = "asked"
        live.journal("call.recording", state="asked", asked="explicit")


def answered(live: Live, *, yes: bool) -> None:
    """Their first words after our question count: a clear yes, or no recording."""
    if yes:
        start(live, asked="explicit", answer="yes")
        return
    live.recording = "refused"
    live.journal("call.recording", state="refused", asked="explicit", answer="no")


def object_to(live: Live) -> None:
    """They object: the recording ends, and no more words of this call are stored."""
    if live.off_record:
        return
    live.out.extend(live.transcript.take_dirty())  # up to the objection itself
    live.off_record = True
    live.journal("call.off_record")
    if live.recording in {"announce", "explicit", "asked"}:
        live.recording = "refused"
    live.out.append(cmd.StopRecording())
