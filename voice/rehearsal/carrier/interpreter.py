"""Carries out TwiML on a call, verb by verb (twilio.md 2, 7, 11, 13)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never
from urllib.parse import urljoin

import structlog

from voice.rehearsal import speech
from voice.rehearsal.carrier import twiml
from voice.rehearsal.carrier.dial import DialVerb
from voice.rehearsal.carrier.params import Instructions, RecordingPlan
from voice.rehearsal.carrier.records import CallbackPlan, CallStatus
from voice.rehearsal.carrier.stream import MediaStream, ProtocolBroken, StreamFailed
from voice.rehearsal.carrier.voicemail import collect_digits, record_message
from voice.rehearsal.carrier.webhooks import WebhookFailed

if TYPE_CHECKING:
    from voice.rehearsal.carrier.call import LiveCall
    from voice.rehearsal.carrier.exchange import Exchange

log = structlog.get_logger(__name__)

APOLOGY = "We are sorry. An application error has occurred. Goodbye."
_MAX_DOCUMENTS = 100
_PLAYED_S = 2.0
"""How long a sound file is taken to be: files are not fetched."""
_TONE_S = 0.5


@dataclass(frozen=True, slots=True)
class Next:
    """Go on with the document at this URL."""

    url: str
    method: str
    form: dict[str, str]


class Interpreter:
    """One chain of documents; a call update starts a new one."""

    def __init__(self, exchange: "Exchange", live: "LiveCall") -> None:
        self._exchange = exchange
        self._live = live
        self._base_url = ""

    async def run(self, plan: Instructions) -> None:
        """Follow `plan` to its end; then the call is over."""
        try:
            following = await self._first(plan)
            for _ in range(_MAX_DOCUMENTS):
                if following is None:
                    break
                following = await self._document(
                    await self._fetch(following.url, following.method, following.form)
                )
        except (twiml.TwimlError, WebhookFailed) as exc:
            await self._apologize(exc.code, str(exc))
        except ProtocolBroken as exc:
            await self._apologize(31951, str(exc))
        self._live.end(CallStatus.COMPLETED, by="twiml")

    async def _first(self, plan: Instructions) -> Next | None:
        if not plan.url:
            return await self._document(twiml.parse(plan.twiml.encode())) if plan.twiml else None
        try:
            verbs = await self._fetch(plan.url, plan.method, {})
        except (twiml.TwimlError, WebhookFailed) as exc:
            if not plan.fallback_url:
                raise
            self._alert(exc.code, str(exc))
            form = {"ErrorCode": str(exc.code), "ErrorUrl": plan.url}
            verbs = await self._fetch(plan.fallback_url, plan.fallback_method, form)
        return await self._document(verbs)

    async def _fetch(self, url: str, method: str, form: dict[str, str]) -> tuple[twiml.Verb, ...]:
        url = urljoin(self._base_url, url)
        answer = await self._exchange.webhooks.fetch(url, self._live.form() | form, method=method)
        self._base_url = url
        return twiml.parse(answer.body, answer.content_type)

    async def _apologize(self, code: int, message: str) -> None:
        """The caller hears that something is broken, and the call ends."""
        self._alert(code, message)
        if self._live.record.direction == "inbound" and self._live.answered_at_s is None:
            self._live.answer()
        await self._say(APOLOGY)
        self._live.end(CallStatus.COMPLETED, by="carrier")

    def _alert(self, code: int, message: str) -> None:
        log.warning("instructions failed", call_sid=self._live.record.sid, code=code)
        self._exchange.books.alert(code, message, call_sid=self._live.record.sid, level="error")

    # --- verbs -------------------------------------------------------------------------------------

    async def _document(self, verbs: tuple[twiml.Verb, ...]) -> Next | None:
        """Carry out a document; where to go on, or None when the call is to end."""
        for verb in verbs:
            following = await self._verb(verb)
            if following is not None or self._live.over:
                return following
        return None

    async def _verb(self, verb: twiml.Verb) -> Next | None:
        live = self._live
        if not isinstance(verb, twiml.Reject | twiml.Redirect | twiml.Pause):
            await self._answer()
        match verb:
            case twiml.Say() | twiml.Play() | twiml.Pause():
                await self._prompt(verb)
            case twiml.Hangup():
                live.end(CallStatus.COMPLETED, by="twiml")
            case twiml.Reject():
                self._reject(verb)
            case twiml.Redirect():
                return Next(verb.url or self._base_url, verb.method, {})
            case twiml.StartRecording():
                self._start_recording(verb)
            case twiml.Connect():
                return await self._connect(verb)
            case twiml.Dial():
                form = await DialVerb(self._exchange, live, verb, self._base_url).run()
                return Next(verb.action, verb.method, form) if verb.action else None
            case twiml.Record():
                form = await record_message(self._exchange, live, verb, self._base_url)
                return Next(verb.action or self._base_url, verb.method, form)
            case twiml.Gather():
                return await self._gather(verb)
            case _:
                assert_never(verb)
        return None

    async def _answer(self) -> None:
        """Pick up an inbound call, which rings at least as long as its scenario says."""
        live = self._live
        if live.answered_at_s is not None or live.record.direction != "inbound":
            return
        rung_s = self._exchange.clock.now() - live.record.history[0].clock_s
        await self._exchange.clock.sleep(live.scenario.call.ring_s - rung_s)
        live.answer()

    def _reject(self, verb: twiml.Reject) -> None:
        if self._live.answered_at_s is not None:
            self._live.end(CallStatus.COMPLETED, by="twiml")
        elif verb.reason == "busy":
            self._live.end(CallStatus.BUSY, by="twiml", sip_code=486)
        else:
            self._live.end(CallStatus.FAILED, by="twiml", sip_code=603)

    async def _prompt(self, verb: twiml.Say | twiml.Play | twiml.Pause) -> None:
        match verb:
            case twiml.Say():
                for _ in range(verb.loop or 1):
                    await self._say(verb.text)
            case twiml.Play():
                seconds = len(verb.digits) * _TONE_S if verb.digits else _PLAYED_S
                await self._exchange.clock.sleep(seconds)
            case twiml.Pause():
                await self._exchange.clock.sleep(verb.length_s)

    async def _say(self, text: str) -> None:
        if self._live.answered_at_s is None or self._live.over:
            return
        await self._live.line.play(await self._exchange.speech.mulaw(text, speech.MACHINE))

    def _start_recording(self, verb: twiml.StartRecording) -> None:
        callback = CallbackPlan(
            urljoin(self._base_url, verb.status_callback) if verb.status_callback else "",
            verb.status_callback_method,
            verb.events,
        )
        plan = RecordingPlan(verb.channels, verb.track, verb.trim, callback)
        self._exchange.recorder.start(self._live, plan, source="StartCallRecordingTwiML")

    async def _connect(self, verb: twiml.Connect) -> Next | None:
        live = self._live
        stream = MediaStream(
            verb=verb.stream,
            line=live.line,
            call=live.record,
            books=self._exchange.books,
            webhooks=self._exchange.webhooks,
            options=self._exchange.options,
        )
        live.stream = stream
        try:
            await stream.run()
        except StreamFailed as exc:
            stream.fail(exc)
        live.stream = None  # not reached when the call goes on without it: then `hang_up` is due
        return Next(verb.action, verb.method, {}) if verb.action else None

    async def _gather(self, verb: twiml.Gather) -> Next | None:
        async def prompts() -> None:
            for prompt in verb.prompts:
                await self._prompt(prompt)

        digits = await collect_digits(self._exchange, self._live.line, verb, prompts)
        if not digits:
            return None
        return Next(verb.action or self._base_url, verb.method, {"Digits": digits, "FinishedOnKey": ""})
