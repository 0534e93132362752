"""I2: without a consent that holds, nobody is dialed, whatever the way: 0 dials in the carrier's books.

People without a consent, with one that is revoked, expired, not yet given, for another purpose, or somebody
else's, are put in through every door: batches over the API (made, appended, from a segment), MCP, single
calls, the admin. Others agree first and revoke while they wait: in a paused batch that is resumed, between
two tries, in a call that the carrier throttled, in a call that is queued. Beside each of them somebody who
has agreed is called, or the trial would prove nothing.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2

from tests.prove.dial_rig import Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier

if TYPE_CHECKING:
    from crm.models import Lead
    from tenex.workspaces.models import Workspace

KINDS = ("none", "revoked", "expired", "not_yet", "another_purpose", "somebody_elses")
API = "/api/v1"


class Doors:
    """A workspace, its people, and the ways to have them called."""

    def __init__(self, world: Rig) -> None:
        from django.conf import settings

        from tenex.workspaces.services import keys

        self.world = world
        self.space: Workspace = world.space(calls_per_second=60, lines=60)
        _, self.key = keys.create(self.space, "prove", ["*"], "system:prove")
        self.base_url = settings.PUBLIC_BASE_URL
        self.barred: set[str] = set()
        self.agreed: set[str] = set()
        self.broken: Counter[str] = Counter()

    def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        return httpx2.post(
            self.base_url + path,
            json=body,
            headers={"Authorization": f"Bearer {self.key}", "Accept": "application/json"},
            timeout=60,
            trust_env=False,
        )

    def people(self, each: int) -> tuple[list["Lead"], list["Lead"]]:
        """People of every kind that must not be called, and as many who have agreed."""
        from django.utils import timezone

        now = timezone.now()
        barred: list[Lead] = []
        for kind in KINDS:
            few = self.world.people(self.space, each)
            barred += few
            past = {"given_at": now - timedelta(days=2)}
            match kind:
                case "revoked":
                    self.world.agree(few, **past, revoked_at=now - timedelta(days=1))
                case "expired":
                    self.world.agree(few, **past, expires_at=now - timedelta(seconds=1))
                case "not_yet":
                    self.world.agree(few, given_at=now + timedelta(hours=1))
                case "another_purpose":
                    self.world.agree(few, **past, purpose="informational")
                case "somebody_elses":
                    self.world.agree(self.world.people(self.space, each), **past)
        return barred, self.willing(each)

    def willing(self, count: int) -> list["Lead"]:
        few = self.world.people(self.space, count)
        self.world.agree(few)
        return few

    def expect(self, barred: list["Lead"], agreed: list["Lead"]) -> None:
        self.barred |= {str(lead.phone) for lead in barred}
        self.agreed |= {str(lead.phone) for lead in agreed}


def prove(full: bool) -> dict[str, Any]:
    each = 20 if full else 1
    carrier = FakeCarrier(outcome=lambda _: "no-answer", ring_s=0.05, seed=random.randrange(2**32))
    with rig(carrier, {"DIAL_GRACE_S": "20"}) as world:
        world.processes.spawn("web")
        doors = Doors(world)
        _wait_for(lambda: doors.post(f"{API}/voice/batches", {}).status_code == 422)
        by_doors(doors, each)
        after_a_revocation(doors, each * 3)
        for _ in range(2):
            world.processes.spawn()
        settled = _wait_for(lambda: _all_over(doors), timeout_s=240)
        dialed = carrier.dialed()
        broken = doors.broken
        broken["dialed_without_consent"] += sum(dialed[phone] for phone in doors.barred)
        broken["agreed_and_not_dialed"] += sum(dialed[phone] == 0 for phone in doors.agreed)
        broken["not_settled"] += not settled
        broken["without_a_decision"] += _unexplained(doors)
        broken["unexpected_errors"] += world.unexpected()
        found = +broken
        return {
            "trials": len(doors.barred),
            "violations": sum(found.values()),
            **found,
            "called_with_consent": len(doors.agreed),
        }


def by_doors(doors: Doors, each: int) -> None:
    """Every way in, with people who have not agreed."""
    batches = f"{API}/voice/batches"
    what = {"objective": "Call them", "concurrency": 50}

    def ids(few: list["Lead"]) -> list[str]:
        return [str(lead.pk) for lead in few]

    barred, agreed = doors.people(each)
    made = doors.post(batches, {**what, "lead_ids": ids([*barred, *agreed])}).json()
    doors.broken["accepted"] += made["accepted"] != len(agreed)
    doors.expect(barred, agreed)

    barred, agreed = doors.people(each)
    more = doors.post(f"{batches}/{made['id']}/leads", {"lead_ids": ids([*barred, *agreed])}).json()
    doors.broken["accepted"] += more["accepted"] != len(agreed)
    doors.expect(barred, agreed)

    barred, agreed = doors.people(each)
    segment = doors.post(f"{API}/crm/segments", {"name": "All", "kind": "static"}).json()
    doors.post(f"{API}/crm/segments/{segment['id']}/leads", {"lead_ids": ids([*barred, *agreed])})
    doors.post(batches, {**what, "segment_id": segment["id"]})
    doors.expect(barred, agreed)

    barred, agreed = doors.people(each)
    call = {
        "name": "run_voice_qualifier",
        "arguments": {"lead_ids": ids([*barred, *agreed]), "objective": "x"},
    }
    told = doors.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
    doors.broken["accepted"] += told.json()["result"]["structuredContent"]["accepted"] != len(agreed)
    doors.expect(barred, agreed)

    barred, agreed = doors.people(each)
    agent = doors.space.agents.get()
    for lead in (*barred, *agreed):
        asked = doors.post(f"{API}/voice/sessions", {"agent_id": str(agent.pk), "lead_id": str(lead.pk)})
        refused = asked.status_code == 409 and asked.json()["code"].startswith(("no_consent", "consent_"))
        doors.broken["session_taken"] += refused is not (lead in barred)
    stranger = doors.post(f"{API}/voice/sessions", {"agent_id": str(agent.pk), "phone": "+14155550177"})
    doors.broken["session_taken"] += stranger.json().get("code") != "no_consent"
    doors.expect(barred, agreed)
    doors.barred.add("+14155550177")
    doors.broken["admin_lets_add"] += _admin_adds(doors)


def _admin_adds(doors: Doors) -> int:
    """Pages of the admin on which a call, a recipient or a batch could be added: none."""
    from django.contrib import admin
    from django.test import RequestFactory

    from tenex.workspaces.models import User
    from voice.models import Batch, Call, Recipient

    admin.autodiscover()
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_superuser("admin@prove.example", "a long enough password")
    pages = [admin.site._registry[model] for model in (Call, Batch, Recipient)]
    return sum(page.has_add_permission(request) or page.has_change_permission(request) for page in pages)


def after_a_revocation(doors: Doors, count: int) -> None:
    """Who had agreed and says no while they wait."""
    from django.utils import timezone

    from voice.models import Call, CallStatus, EndReason, Recipient
    from voice.outbound import claims, settle
    from voice.services import attempts, batches, calls, dialing
    from voice.telephony.client import carrier

    space = doors.space

    def batch(few: list["Lead"], **fields: Any) -> Any:
        return batches.create(
            space, objective="x", lead_ids=[lead.pk for lead in few], machine_detection=False, **fields
        ).batch

    # In a paused batch that is resumed.
    few = doors.willing(count)
    paused = batches.pause(batch(few))
    _revoke(few)
    batches.resume(paused)
    doors.expect(few, [])

    # In the queue: a single call that nobody has dialed yet.
    few = doors.willing(count)
    for lead in few:
        dialing.place(space, lead=lead)
    _revoke(few)
    doors.expect(few, [])

    # A call that the carrier did not take, and one that was not answered: both wait for another try.
    for fault in ("throttled", ""):
        few = doors.willing(count)
        waiting = batch(few, max_attempts=3, retry_after_s=1, concurrency=500)
        doors.world.carrier.faults.throttled = 1.0 if fault else 0.0
        settle.start_due()
        _dial_all(space, waiting.pk, claims, attempts, carrier())
        doors.world.carrier.faults.throttled = 0.0
        if not fault:
            _wait_for(lambda: doors.world.carrier.live() == 0)
            for call in Call.objects.filter(batch=waiting):
                calls.end(call.pk, EndReason.NO_ANSWER)
                calls.move(call.pk, CallStatus.FINALIZING)
                calls.move(call.pk, CallStatus.FINALIZED, outcome="no-answer", finalized_at=timezone.now())
        _revoke(few)
        before = doors.world.carrier.dialed()
        doors.broken["nothing_waited"] += Recipient.objects.filter(batch=waiting).count() != count
        doors.broken["first_try"] += sum(before[str(lead.phone)] != (0 if fault else 1) for lead in few)
        if fault:
            doors.expect(few, [])
        else:
            _LATER.update({str(lead.phone): 1 for lead in few})


_LATER: dict[str, int] = {}
"""Numbers that were dialed while they had agreed: no more than so often."""


def _dial_all(space: Any, batch_id: Any, claims: Any, attempts: Any, carrier: Any) -> None:
    """Dial what this batch has, in this process; other work of the workspace waits meanwhile."""
    from voice.models import Batch, BatchStatus, Call

    others = Batch.objects.filter(workspace=space, status=BatchStatus.RUNNING).exclude(pk=batch_id)
    held = list(others.values_list("pk", flat=True))
    Batch.objects.filter(pk__in=held).update(status=BatchStatus.PAUSED)
    queued = list(
        Call.objects.filter(workspace=space, status="queued", batch=None).values_list("pk", flat=True)
    )
    from django.utils import timezone

    Call.objects.filter(pk__in=queued).update(sweep_at=timezone.now() + timedelta(hours=1))
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        match claims.claim(space.pk):
            case claims.Claimed(attempt_id):
                attempts.dial(attempt_id, carrier)
            case claims.Wait(seconds):
                time.sleep(seconds)
            case claims.Nothing():
                break
    Batch.objects.filter(pk__in=held).update(status=BatchStatus.RUNNING)
    Call.objects.filter(pk__in=queued).update(sweep_at=None)


def _revoke(few: list["Lead"]) -> None:
    from crm.services import consents

    for lead in few:
        for consent in lead.consents.all():
            consents.revoke(
                lead.workspace, lead.pk, consent.pk, reason="changed my mind", actor="system:prove"
            )


def _all_over(doors: Doors) -> bool:
    from voice.models import Batch, Call

    open_batches = Batch.objects.filter(workspace=doors.space).exclude(status__in=("completed", "canceled"))
    open_calls = Call.objects.filter(workspace=doors.space).exclude(status="finalized")
    return not open_batches.exists() and not open_calls.exists()


def _unexplained(doors: Doors) -> int:
    """People who were put in and were not called, of whom no decision says why; dials without one."""
    from crm.models import Lead
    from voice.models import Decision

    decided = Decision.objects.filter(workspace=doors.space)
    refused = set(decided.filter(code__contains="consent").values_list("lead__phone", flat=True))
    allowed = set(decided.filter(allowed=True, stage="dial").values_list("lead__phone", flat=True))
    known = set(Lead.objects.filter(workspace=doors.space).values_list("phone", flat=True))
    dialed = doors.world.carrier.dialed()
    twice = sum(dialed[phone] > most for phone, most in _LATER.items())
    return len((doors.barred & known) - refused) + len(set(dialed) - allowed) + twice


def _wait_for(done: Callable[[], bool], timeout_s: float = 60) -> bool:
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        try:
            if done():
                return True
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    return False


if __name__ == "__main__":
    main("I2", prove)
