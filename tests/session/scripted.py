"""Outbound calls with a script, and incoming ones that have to be asked: how their tests begin."""

from tests.session.dsl import Call
from tests.session.sounds import SILENCE, tone, voice
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits
from voice.session.script import Line, Recording, Script

WHO = Line("identity", "Hello, this is Acme. I am an AI assistant: say stop or press 9.", 4000)
WHY = Line("purpose", "This is a sales call.", 1500)
NOTICE = Line("recording", "This call is recorded.", 1500)
HERE = Line("identity", "Hello, this is Acme. I am an AI assistant.", 2500)
QUESTION = Line("recording", "May we record this call? Please say yes or no.", 2500)
SCREENED = Line("screening", "This is the AI assistant of Acme, with a sales call.", 3000)
MESSAGE = Line("voicemail", "Hello, Acme called. We will try again.", 3000)
READY = ev.ModelReady("sess_1", attempt=1)


def dialed(
    *,
    voicemail: bool = False,
    recording: Recording = "announce",
    amd: bool = True,
    opened: bool = False,
    **options: object,
) -> Call:
    script = Script(
        opening=(WHO, WHY, NOTICE),
        recording=recording,
        screening=SCREENED,
        voicemail=MESSAGE if voicemail else None,
        opened=opened,
    )
    limits = Limits(server_responds=False)
    return Call(limits, direction="outbound", amd_expected=amd, script=script, **options).start()


def hears(call: Call, ms: int, kind: str = "silence", hz: float = 1000.0) -> None:
    for n in range(ms // 20):
        frame = {"silence": SILENCE, "voice": voice(n), "tone": tone(hz, n)}[kind]
        call.wait(0.02)
        call.on(ev.CallerAudio(frame, 20))
        call.wait(0.0)


def lines(call: Call) -> list[str]:
    return [c.line for c in call.sent(cmd.PlayLine)]


def opened(call: Call) -> Call:
    """A person said hello and has listened to everything."""
    call.on(READY)
    hears(call, 500, "voice")
    hears(call, 500)
    call.played()
    return call


def hung_up(call: Call) -> list[str]:
    return [c.reason for c in call.sent(cmd.HangUp)]


def called_us(*, opened: bool = False) -> Call:
    """An incoming call that has to be asked."""
    script = Script(opening=(HERE, QUESTION), recording="explicit", opened=opened)
    return Call(Limits(server_responds=False), direction="inbound", script=script).start()
