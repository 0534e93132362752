"""<Dial><Number>: the application connects the caller to a colleague (twilio.md 13)."""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from voice.rehearsal.carrier import shapes, twiml
from voice.rehearsal.carrier.records import (
    CallbackPlan,
    CallRecord,
    CallStatus,
    StatusEntry,
    new_sid,
    utc_now,
)
from voice.rehearsal.carrier.webhooks import WebhookFailed
from voice.rehearsal.scenario import Answer

if TYPE_CHECKING:
    from voice.rehearsal.carrier.call import LiveCall
    from voice.rehearsal.carrier.exchange import Exchange

_STATUS_OF = {
    Answer.NO_ANSWER: CallStatus.NO_ANSWER,
    Answer.BUSY: CallStatus.BUSY,
    Answer.FAILED: CallStatus.FAILED,
}


class DialVerb:
    """Rings the numbers, lets the two talk, and knows what the `action` URL is told.

    The colleague is played by `call.transfer` of the caller's scenario; all numbers ring as one.
    """

    def __init__(self, exchange: "Exchange", live: "LiveCall", verb: twiml.Dial, base_url: str) -> None:
        self._exchange = exchange
        self._live = live
        self._verb = verb
        self._base_url = base_url
        self._child = self._dial(verb.numbers[0])
        self._bridged_at_s: float | None = None

    async def run(self) -> dict[str, str]:
        """The form for `action`."""
        self._live.line.held = True
        try:
            await self._talk()
        except asyncio.CancelledError:
            # The caller hung up, or new TwiML replaces this: `action` is told, its answer is not used.
            self._end(CallStatus.COMPLETED if self._bridged_at_s is not None else CallStatus.CANCELED)
            form = self._form()
            if not self._live.over:
                form["DialCallStatus"] = "completed"  # as measured in the field (twilio.md 9)
            if self._verb.action:
                self._exchange.webhooks.notify(
                    urljoin(self._base_url, self._verb.action),
                    self._live.form() | form,
                    method=self._verb.method,
                    call_sid=self._live.record.sid,
                )
            raise
        finally:
            self._live.line.held = False
        return self._form()

    async def _talk(self) -> None:
        plan, clock = self._live.scenario.call.transfer, self._exchange.clock
        self._move(CallStatus.RINGING)
        if not plan.answer.picks_up:
            timed_out = plan.answer is Answer.NO_ANSWER
            await clock.sleep(self._verb.timeout_s if timed_out else plan.ring_s)
            self._end(_STATUS_OF.get(plan.answer, CallStatus.NO_ANSWER))
            return
        await clock.sleep(min(plan.ring_s, self._verb.timeout_s))
        if plan.ring_s > self._verb.timeout_s:
            self._end(CallStatus.NO_ANSWER)
            return
        self._child.start_time = utc_now()
        self._move(CallStatus.IN_PROGRESS)
        await self._whisper()
        self._bridged_at_s = clock.now()
        await clock.sleep(min(plan.talk_s, self._verb.time_limit_s))
        self._end(CallStatus.COMPLETED)

    async def _whisper(self) -> None:
        """TwiML for the colleague alone, before the two are connected; only checked, not heard."""
        url = self._verb.numbers[0].url
        if not url:
            return
        form = shapes.call_form(self._child, self._exchange.options.account_sid)
        try:
            answer = await self._exchange.webhooks.fetch(urljoin(self._base_url, url), form)
            twiml.parse(answer.body, answer.content_type)
        except (WebhookFailed, twiml.TwimlError) as exc:
            self._exchange.books.alert(exc.code, str(exc), call_sid=self._child.sid, level="error")

    def _dial(self, number: twiml.Number) -> CallRecord:
        record = self._live.record
        child = CallRecord(
            sid=new_sid("CA"),
            from_=self._verb.caller_id or record.from_,
            to=number.phone_number,
            direction="outbound-dial",
            status=CallStatus.QUEUED,
            callback=CallbackPlan(events=frozenset()),
            parent_call_sid=record.sid,
            phone_number_sid=record.phone_number_sid,
            dials=1,
        )
        self._exchange.books.calls[child.sid] = child
        self._exchange.dials[child.to] += 1
        return child

    def _move(self, status: CallStatus) -> None:
        self._child.status = status
        self._child.date_updated = utc_now()
        self._child.history.append(StatusEntry(status, utc_now(), self._exchange.clock.now()))

    def _end(self, status: CallStatus) -> None:
        if self._child.status.terminal:
            return
        self._child.end_time = utc_now()
        self._child.duration_s = self._talked_s()
        self._move(status)

    def _talked_s(self) -> int:
        if self._bridged_at_s is None:
            return 0
        return round(self._exchange.clock.now() - self._bridged_at_s)

    def _form(self) -> dict[str, str]:
        form = {
            "DialCallSid": self._child.sid,
            "DialCallStatus": self._child.status.value,
            "DialBridged": "true" if self._bridged_at_s is not None else "false",
        }
        if self._bridged_at_s is not None:
            form["DialCallDuration"] = str(self._child.duration_s or 0)
        return form
