"""C4: who fails for five days is disabled and everybody is told; who fails now and then is not.

The pump of a worker runs here, against receivers over HTTP and a mail server over SMTP. Five days are made
short by TENEX_TIME_SCALE. The three cases of Svix (repeated failure, a success that begins the time anew,
sporadic failure), 410, and the rest that 429, 502, 504 and Retry-After ask for.
"""

import os
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.prove.dial_rig import database, main
from tests.prove.faulty_receiver import Act, FaultyReceiver, Way
from tests.prove.webhook_rig import record, subscribe, workspace

DAYS_5_S = 3.0
SCALE = 5 * 86400 / DAYS_5_S


def prove(full: bool) -> dict[str, Any]:
    rounds = 10 if full else 1
    mails = _MailServer()
    os.environ.update(
        {
            "DEBUG": "1",
            "LOG_LEVEL": "ERROR",
            "TENEX_TIME_SCALE": str(SCALE),
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(mails.port),
            "EMAIL_SECURITY": "none",
            "CELERY_BROKER_URL": "memory://",
            "DATABASE_POOL_SIZE": "12",
            "DJANGO_SETTINGS_MODULE": "tenex.settings",
        }
    )
    from tenex.engines.bootstrap import ensure_environment

    ensure_environment(throwaway=True)
    broken: Counter[str] = Counter()
    cases = (_repeated, _gone, _anew, _sporadic, _rests)
    with database():
        from tenex.webhooks.pump import Pump

        pump = Pump()
        for _ in range(rounds):
            for case in cases:
                broken.update({f"{case.__name__[1:]}: {what}": 1 for what in case(pump, mails)})
        pump.stop(5)
    return {
        "trials": rounds * len(cases),
        "violations": sum(broken.values()),
        **broken,
        "mails": len(mails.received),
    }


def _lane(act: Callable[[], Act]) -> tuple[Any, Any, FaultyReceiver]:
    from tenex.workspaces.models import Membership, Role, User

    receiver = FaultyReceiver(lambda _: act())
    space = workspace()
    owner = User.objects.create(email=f"{space.slug}@prove.example")
    Membership.objects.create(workspace=space, user=owner, role=Role.OWNER)
    return space, subscribe(space, receiver.url("/hook"), timeout_s=2), receiver


def _told(space: Any, lane: Any, mails: "_MailServer", reason: str) -> list[str]:
    """What is missing of status, event, audit row and e-mail."""
    from tenex.events.models import Event
    from tenex.webhooks.services import notices
    from tenex.workspaces.models import AuditEntry

    lane.refresh_from_db()
    notices.send_due()
    events = list(Event.objects.filter(workspace=space, type="webhook.disabled"))
    found = {
        "not disabled": lane.status == "disabled",
        "wrong reason": reason in lane.disabled_reason,
        "no event": len(events) == 1 and events[0].data["subscription_id"] == str(lane.pk),
        "no audit row": AuditEntry.objects.filter(
            workspace=space, action="webhook.disabled", object_id=str(lane.pk)
        ).count()
        == 1,
        "no mail": sum(f"{space.slug}@prove.example" in one for one in mails.received) == 1,
    }
    return [what for what, right in found.items() if not right]


def _run(pump: Any, space: Any, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """An event every 150 ms for so long."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and not until():
        record(space)
        pump.wake()
        time.sleep(0.15)


def _wait(until: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10.0
    while time.monotonic() < end_s and not until():
        time.sleep(0.01)


def _is_disabled(lane: Any) -> bool:
    lane.refresh_from_db()
    return str(lane.status) == "disabled"


def _rests_now(lane: Any) -> bool:
    lane.refresh_from_db()
    return lane.throttled_until is not None


def _repeated(pump: Any, mails: "_MailServer") -> list[str]:
    space, lane, receiver = _lane(lambda: Act(Way.STATUS, status=500))
    began_s = time.monotonic()
    _run(pump, space, DAYS_5_S * 5, lambda: _is_disabled(lane))
    early = ["too early"] if time.monotonic() - began_s < DAYS_5_S else []
    before = len(receiver.seen)
    _run(pump, space, 0.6)
    late = ["sent to while disabled"] if len(receiver.seen) > before + 8 else []
    receiver.close()
    return early + late + _told(space, lane, mails, "five days")


def _gone(pump: Any, mails: "_MailServer") -> list[str]:
    space, lane, receiver = _lane(lambda: Act(Way.STATUS, status=410))
    record(space)
    pump.wake()
    end_s = time.monotonic() + 10
    while not _is_disabled(lane) and time.monotonic() < end_s:
        time.sleep(0.05)
    receiver.close()
    return _told(space, lane, mails, "410")


def _anew(pump: Any, mails: "_MailServer") -> list[str]:
    """Twice four days of failure with one success between them."""
    acts = {"well": False}
    space, lane, receiver = _lane(lambda: Act() if acts["well"] else Act(Way.STATUS, status=500))
    _run(pump, space, DAYS_5_S * 0.8)
    acts["well"] = True
    _run(pump, space, 0.5)
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s and _failing(lane):
        pump.wake()
        time.sleep(0.05)
    acts["well"] = False
    _run(pump, space, DAYS_5_S * 0.5)
    disabled = _is_disabled(lane)
    acts["well"] = True
    receiver.close()
    return ["disabled"] if disabled else []


def _failing(lane: Any) -> bool:
    lane.refresh_from_db()
    return lane.failing_since is not None


def _sporadic(pump: Any, mails: "_MailServer") -> list[str]:
    """One request in three fails, for longer than five days."""
    count = iter(range(10**9))
    space, lane, receiver = _lane(lambda: Act(Way.STATUS, status=500) if next(count) % 3 == 0 else Act())
    _run(pump, space, DAYS_5_S * 1.5)
    disabled = _is_disabled(lane)
    receiver.close()
    return ["disabled"] if disabled else []


def _rests(pump: Any, mails: "_MailServer") -> list[str]:
    """After such an answer nothing is sent, however much there is, until the time is over. In real time."""
    from django.test import override_settings

    wrong = []
    with override_settings(TIME_SCALE=1.0):
        for status, asked_s in ((429, 2), (503, 2), (502, 0), (504, 0)):
            retry = {"retry-after": str(asked_s)} if asked_s else {}
            answers = iter([Act(Way.STATUS, status=status, headers=retry)])
            space, lane, receiver = _lane(lambda answers=answers: next(answers, Act()))  # type: ignore[misc]
            record(space)  # one alone: of two that are due at once both would be on their way
            pump.wake()
            _wait(lambda lane=lane: _rests_now(lane))  # type: ignore[misc]  # the answer is known to us, too
            _run(pump, space, 10.0, lambda receiver=receiver: len(receiver.seen) > 1)  # type: ignore[misc]
            times = [one.at_s for one in receiver.seen]
            if len(times) < 2:
                wrong.append(f"never again after {status}")
            elif not 0.9 * (asked_s or 1) <= times[1] - times[0]:
                wrong.append(f"no rest after {status}: {times[1] - times[0]:.2f} s")
            receiver.close()
    return wrong


class _MailServer:
    """Takes every message; what came is in `received`."""

    def __init__(self) -> None:
        self.received: list[str] = []
        received = self.received

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 prove\r\n")
                while line := self.rfile.readline():
                    verb = line[:4].upper().strip()
                    if verb == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        text = b""
                        while not text.endswith(b"\r\n.\r\n"):
                            text += self.rfile.readline()
                        received.append(text.decode("utf-8", "replace"))
                    self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                    if verb == b"QUIT":
                        return

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        server.daemon_threads = True
        self.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    main("C4", prove)
