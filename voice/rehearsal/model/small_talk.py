"""Stock lines: what the offline model says when no script tells it."""

import re

from voice.rehearsal.model.steps import Cue

CONVERSATION = (
    "Hello, thank you for calling. How can I help you?",
    "I see. May I ask what your name is?",
    "Thank you. And when would it suit you to talk to one of my colleagues?",
    "Very good, I have made a note of that. Is there anything else?",
)
"""The built-in conversation, for clients that come without a scenario."""

CLOSING = "Thank you very much for your time. Goodbye."
FAREWELL = "Have a nice day."
"""When everything has been said, `end_call` too."""
BESIDE = "Noted."
"""Out of band."""
GO_ON = "Yes, please go on."
PATIENCE = "One moment, please."
PARDON = "Sorry, I did not catch that."
"""The caller said something, and no word of it was understood."""

BY_PURPOSE = {
    "greeting": CONVERSATION[0],
    "tool": "All right, that is done.",
    "reprompt": "Are you still there?",
    "goodbye": CLOSING,
    "whisper": "Of course.",
    "resume": "Sorry, the line was gone for a moment.",
    "dtmf": "Thank you.",
}


def lines() -> list[str]:
    """Every stock line once."""
    return list(
        dict.fromkeys([*CONVERSATION, CLOSING, FAREWELL, GO_ON, PATIENCE, PARDON, *BY_PURPOSE.values()])
    )


def verbatim(cue: Cue) -> str:
    """What `purpose: say` asks for: `metadata.text`, else what is quoted or stands after the colon."""
    if text := cue.metadata.get("text"):
        return text
    instructions = (cue.instructions or "").strip()
    quoted = re.fullmatch(r"[^\"“:]*:?\s*[\"“](.+)[\"”]\.?", instructions, re.DOTALL)
    after_colon = re.match(r"[^:]*\b(?:say|speak|read|tell)\b[^:]*:\s*(.+)", instructions, re.DOTALL | re.I)
    found = quoted or after_colon
    return (found.group(1) if found else instructions).strip() or GO_ON
