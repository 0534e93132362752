"""What the machine tells the model about the call: short facts, inserted as system items."""

from typing import Final


def greet(greeting: str) -> str:
    if greeting:
        return f"The call has just been connected and you speak first. Open with this line: {greeting}"
    return "The call has just been connected and you speak first. Greet the caller now."


RESUME: Final = (
    "The line was interrupted for a moment and is back; the call goes on. Do not greet again and do not start"
    " over. Apologize in a few words and continue where you were."
)
REPROMPT: Final = "The caller has been silent. Ask in one short sentence whether they are still there."
SILENCE_GOODBYE: Final = (
    "The caller does not answer any more. Say goodbye in one short sentence; the call ends after it."
)
LIMIT_GOODBYE: Final = (
    "The call has reached its limit. Say goodbye in one short sentence; the call ends after it."
)
OPT_OUT_AGAIN: Final = (
    "The caller spoke after asking not to be called again. That request is recorded and final. Confirm it in"
    " one sentence and say goodbye; the call ends after it."
)
END_CANCELED: Final = (
    "The caller spoke before the call had ended, so it was not ended. Answer them. When they are done, say"
    " goodbye and end the call again."
)
TRANSFER_FAILED: Final = (
    "The transfer did not work and the caller is still with you. Say so, and offer another way."
)
STEPPED_IN: Final = "The call is not ending after all: a supervisor has stepped in."
UNMUTED: Final = (
    "A supervisor had muted you for a while and lets you speak again. Do not mention it and do not start"
    " over. Answer what the caller said meanwhile, or go on where you were."
)
OPERATOR_TRANSFER: Final = (
    "A colleague takes this call over. Tell the caller in one short sentence that you are connecting them."
)


def wrap_up(seconds: float) -> str:
    return f"About {round(seconds)} seconds of this call are left. Come to an end politely, without hurry."


def digits(text: str) -> str:
    return f"[The caller pressed {text} on the keypad.]"


def whisper(text: str) -> str:
    return f"Instruction from the supervisor, not to be read out or mentioned: {text}"


def gave_back(seconds: float, note: str) -> str:
    noted = f" What the colleague wants you to know: {note}" if note else ""
    return (
        "A colleague of yours has just talked with the caller in your place for about"
        f" {round(seconds)} seconds. You have heard the caller; what the colleague said was told to you as"
        " far as it was understood. Do not greet again and do not start over; go on from what was said"
        f" last.{noted}"
    )


def colleague_said(text: str) -> str:
    return f"[The colleague who talks in your place said to the caller: {text}]"


def say(text: str) -> str:
    return f"Say exactly the following, word for word, and nothing else: {text}"


def late_result(name: str, output: str) -> str:
    return f"Result of the tool {name} that was called before the line was interrupted: {output}"
