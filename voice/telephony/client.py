"""Twilio's REST API, as much of it as we use, on the official SDK (twilio.md 8, 9, 11, 14).

Synchronous; an event loop calls it in a thread. Nothing here retries: whether a request may be repeated is
for the caller to know (promises.md R3).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal
from urllib.parse import urlsplit

import requests
from django.conf import settings

from voice.telephony.errors import CarrierAmbiguous, CarrierNotConfigured, CarrierRejected
from voice.telephony.transport import Transport, lost, open_session, refused

STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")
RECORDING_EVENTS = ("completed", "absent")
_CHUNK_BYTES = 64 * 1024

MachineDetection = Literal["", "Enable", "DetectMessageEnd"]


@dataclass(frozen=True, slots=True)
class CallOrder:
    """One outbound call to place. Numbers are E.164, URLs absolute, times in seconds.

    `recording_url` empty: no recording. `amd_url` is told who answered while the call goes on (async AMD).
    """

    to: str
    from_: str
    answer_url: str
    status_url: str
    ring_timeout_s: int
    time_limit_s: int
    recording_url: str = ""
    machine_detection: MachineDetection = ""
    machine_detection_timeout_s: int = 30
    amd_url: str = ""
    fallback_url: str = ""
    send_digits: str = ""


@dataclass(frozen=True, slots=True)
class CarrierCall:
    """The carrier's view of a call. `status` is Twilio's word (voice.telephony.statuses)."""

    sid: str
    status: str
    direction: str = ""
    to: str = ""
    from_: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: int | None = None
    answered_by: str = ""
    price: str = ""
    price_unit: str = ""
    reached_s: float = 0.0
    """Of an order: instant (time.monotonic) at which it certainly had reached the carrier."""


@dataclass(frozen=True, slots=True)
class CarrierNumber:
    sid: str
    e164: str
    label: str = ""
    voice_url: str = ""
    status_url: str = ""
    capabilities: dict[str, bool] = field(default_factory=dict)


NumberKind = Literal["local", "mobile", "toll_free"]


@dataclass(frozen=True, slots=True)
class NumberForSale:
    """A number that the carrier would sell. Places are empty where the carrier does not say."""

    e164: str
    country: str
    kind: NumberKind
    locality: str = ""
    region: str = ""
    postal_code: str = ""
    address_requirements: str = "none"
    """`none`, `any`, `local`, `foreign`: what the carrier's console must know of you before it sells."""
    beta: bool = False
    capabilities: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NumberUrls:
    """Where a number's calls, and their end, are reported."""

    voice: str
    fallback: str
    status: str

    def options(self) -> dict[str, str]:
        return {
            "voice_url": self.voice,
            "voice_method": "POST",
            "voice_fallback_url": self.fallback,
            "voice_fallback_method": "POST",
            "status_callback": self.status,
            "status_callback_method": "POST",
            # Either of these, when set, overrides the voice URL.
            "voice_application_sid": "",
            "trunk_sid": "",
        }


@dataclass(frozen=True, slots=True)
class Account:
    """Credentials: the account's sid and token, or an API key's sid and secret with the account's sid."""

    sid: str
    username: str
    password: str = field(repr=False)
    base_url: str = ""
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class AccountState:
    """`status`: `active`, `suspended` or `closed`."""

    status: str
    name: str


class Carrier:
    """One account at the carrier, the configured one by default. Not to be shared by threads.

    Every method raises a `voice.telephony.errors.CarrierError`, see there what each of its children allows.
    """

    def __init__(self, account: "Account | None" = None) -> None:
        from twilio.rest import Client

        account = account or configured_account()
        username, password = account.username, account.password
        self._sid = account.sid
        self._auth = (username, password)
        self._overridden = bool(account.base_url)
        self._timeout_s = account.timeout_s
        self._transport = Transport(base_url=account.base_url, timeout_s=account.timeout_s)
        self._client = Client(username, password, account.sid, http_client=self._transport)

    def look(self) -> AccountState:
        """Whether the account takes these credentials, and what it is. Costs nothing.

        A standard API key may not see the account: ask with the token, and :meth:`numbers` with the key.

        Raises:
            CarrierRejected: it does not; 401 for a wrong token or key.
        """
        row = _understood(lambda: self._client.api.v2010.accounts(self._sid).fetch())
        return AccountState(str(row.status or ""), str(row.friendly_name or ""))

    # --- calls ---

    def place_call(
        self, order: CallOrder, *, timeout_s: float | None = None, send_by_s: float | None = None
    ) -> CarrierCall:
        """Ask the carrier to dial. Not idempotent: after CarrierAmbiguous look it up before asking again.

        CarrierNotAsked if not all of it had left by the instant `send_by_s` (time.monotonic).
        """
        options: dict[str, Any] = {
            "to": order.to,
            "from_": order.from_,
            "url": order.answer_url,
            "method": "POST",
            "status_callback": order.status_url,
            "status_callback_method": "POST",
            # A list becomes repeated keys; a joined text would be accepted and no callback ever sent.
            "status_callback_event": list(STATUS_EVENTS),
            "timeout": order.ring_timeout_s,
            "time_limit": order.time_limit_s,
        }
        if order.fallback_url:
            options |= {"fallback_url": order.fallback_url, "fallback_method": "POST"}
        if order.recording_url:
            options |= {
                "record": True,
                "recording_channels": "dual",
                "recording_track": "both",
                "trim": "do-not-trim",
                "recording_status_callback": order.recording_url,
                "recording_status_callback_method": "POST",
                "recording_status_callback_event": list(RECORDING_EVENTS),
            }
        if order.send_digits:
            options["send_digits"] = order.send_digits
        elif order.machine_detection:
            options |= {
                "machine_detection": order.machine_detection,
                "machine_detection_timeout": order.machine_detection_timeout_s,
            }
            if order.amd_url:
                options |= {
                    "async_amd": "true",
                    "async_amd_status_callback": order.amd_url,
                    "async_amd_status_callback_method": "POST",
                }
        with self._transport.within(timeout_s, send_by_s=send_by_s):
            placed = _call(_understood(lambda: self._client.calls.create(**options)))
        return replace(placed, reached_s=self._transport.reached_s)

    def get_call(self, sid: str) -> CarrierCall:
        return _call(_understood(lambda: self._client.calls(sid).fetch()))

    def find_calls(
        self, *, to: str, from_: str, created_after: datetime, created_before: datetime | None = None
    ) -> list[CarrierCall]:
        """Calls between two numbers by creation instant, oldest first.

        Filtered here: a queued call has no start time, so the carrier's own time filters would miss it.
        """
        rows = _understood(lambda: self._client.calls.list(to=to, from_=from_, page_size=100, limit=1000))
        found = [_call(row) for row in rows]
        return sorted(
            (
                call
                for call in found
                if call.created_at is not None
                and call.created_at >= created_after
                and (created_before is None or call.created_at <= created_before)
            ),
            key=lambda call: (call.created_at or created_after, call.sid),
        )

    def hang_up(self, sid: str) -> None:
        """End a call in whatever state it is."""
        _understood(lambda: self._client.calls(sid).update(status="completed"))

    def cancel(self, sid: str) -> None:
        """End a call only if nobody has answered yet."""
        _understood(lambda: self._client.calls(sid).update(status="canceled"))

    def update_twiml(self, sid: str, twiml: str) -> None:
        """Replace what the call is doing; an open media stream of it is stopped.

        Raises:
            ValueError: longer than the 4,000 characters that the parameter takes.
        """
        if len(twiml) > 4000:
            raise ValueError("the Twiml parameter takes 4,000 characters")
        _understood(lambda: self._client.calls(sid).update(twiml=twiml))

    # --- recordings ---

    def start_recording(self, sid: str, callback_url: str) -> str:
        """Record a call in progress from now on, both sides on two channels; the recording's sid."""
        row = _understood(
            lambda: self._client.calls(sid).recordings.create(
                recording_channels="dual",
                recording_track="both",
                trim="do-not-trim",
                recording_status_callback=callback_url,
                recording_status_callback_method="POST",
                recording_status_callback_event=list(RECORDING_EVENTS),
            )
        )
        return str(row.sid)

    def stop_recording(self, sid: str) -> None:
        """End the recording that is under way on this call. CarrierGone: there is none."""
        _understood(lambda: self._client.calls(sid).recordings("Twilio.CURRENT").update(status="stopped"))

    def fetch_recording(self, url: str, file: BinaryIO, *, max_bytes: int = 512 * 1024 * 1024) -> int:
        """Write the two-channel WAV of a `RecordingUrl` into `file`; its length in bytes.

        Raises:
            CarrierGone: not there (yet): just after the callback Twilio may answer 404 for seconds.
            CarrierRejected: the address is not the carrier's (our credentials go nowhere else), or too long.
        """
        address = self._recording_address(url)
        try:
            with (
                open_session(overridden=self._overridden) as session,
                session.get(
                    address,
                    params={"RequestedChannels": "2"},
                    auth=self._auth,
                    timeout=(self._timeout_s, self._timeout_s),
                    stream=True,
                ) as answer,
            ):
                if answer.status_code != 200:
                    raise refused(answer.status_code, answer.text[:2000])
                return _copy(answer, file, max_bytes)
        except requests.RequestException as exc:
            raise lost(exc) from exc

    def delete_recording(self, sid: str) -> None:
        """Delete the carrier's copy; its metadata stays there for about 40 days."""
        _understood(lambda: self._client.recordings(sid).delete())

    # --- numbers ---

    def numbers(self, e164: str = "") -> list[CarrierNumber]:
        """The account's incoming numbers, or the one with this number (the carrier's filter takes parts)."""
        filters = {"phone_number": e164} if e164 else {}
        rows = _understood(lambda: self._client.incoming_phone_numbers.list(limit=1000, **filters))
        return [one for one in map(_number, rows) if e164 in ("", one.e164)]

    def number(self, sid: str) -> CarrierNumber:
        """One incoming number of the account."""
        return _number(_understood(lambda: self._client.incoming_phone_numbers(sid).fetch()))

    def numbers_for_sale(
        self, country: str, kind: NumberKind, *, area_code: str = "", contains: str = "", limit: int = 20
    ) -> list[NumberForSale]:
        """Numbers that take calls, at most `limit`.

        Raises:
            CarrierGone: the carrier sells none of this kind in this country.
            CarrierRejected: a filter that it does not take.
        """
        shop = self._client.available_phone_numbers(country)
        shelf = {"local": shop.local, "mobile": shop.mobile, "toll_free": shop.toll_free}[kind]
        filters: dict[str, Any] = {"voice_enabled": True, "page_size": limit, "limit": limit}
        if area_code:
            filters["area_code"] = int(area_code)
        if contains:
            filters["contains"] = contains
        rows = _understood(lambda: shelf.list(**filters))
        return [_for_sale(row, country, kind) for row in rows]

    def buy_number(
        self, e164: str, urls: NumberUrls, *, label: str = "", timeout_s: float | None = None
    ) -> CarrierNumber:
        """Buy a number. It costs money: after CarrierAmbiguous look it up before asking again."""
        options = {name: value for name, value in urls.options().items() if value}
        if label:
            options["friendly_name"] = label[:64]
        with self._transport.within(timeout_s):
            return _number(
                _understood(lambda: self._client.incoming_phone_numbers.create(phone_number=e164, **options))
            )

    def route_number(self, sid: str, urls: NumberUrls) -> CarrierNumber:
        """Let a number's calls and their end be reported to these addresses. Safe to repeat."""
        return _number(_understood(lambda: self._client.incoming_phone_numbers(sid).update(**urls.options())))

    def release_number(self, sid: str) -> None:
        """Give a number back; somebody else may have it afterwards. CarrierGone: it was given back before."""
        _understood(lambda: self._client.incoming_phone_numbers(sid).delete())

    # --- inside ---

    def _recording_address(self, url: str) -> str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not self._overridden and not (
            parts.scheme == "https" and (host == "twilio.com" or host.endswith(".twilio.com"))
        ):
            raise CarrierRejected("the recording is not at the carrier's address")
        path = parts.path.removesuffix(".json").removesuffix(".wav").removesuffix(".mp3")
        return self._transport.address(f"https://{parts.netloc}{path}.wav")


def _understood[T](ask: Callable[[], T]) -> T:
    """Run an SDK call; an answer that cannot be read is as good as a lost one."""
    from twilio.base.exceptions import TwilioException

    try:
        return ask()
    except TwilioException as exc:
        raise CarrierAmbiguous(f"the carrier's answer was not understood ({type(exc).__name__})") from exc
    except (ValueError, KeyError, AttributeError) as exc:
        raise CarrierAmbiguous(f"the carrier's answer was not understood ({type(exc).__name__})") from exc


def _call(row: Any) -> CarrierCall:
    if not row.sid:
        raise CarrierAmbiguous("the carrier's answer names no call")
    return CarrierCall(
        sid=str(row.sid),
        status=str(row.status or ""),
        direction=str(row.direction or ""),
        to=str(row.to or ""),
        from_=str(getattr(row, "_from", None) or getattr(row, "from_", None) or ""),
        created_at=_instant(row.date_created),
        started_at=_instant(row.start_time),
        ended_at=_instant(row.end_time),
        duration_s=int(row.duration) if str(row.duration or "").isdigit() else None,
        answered_by=str(row.answered_by or ""),
        price=str(row.price or ""),
        price_unit=str(row.price_unit or ""),
    )


def _instant(value: object) -> datetime | None:
    """The SDK gives back the text where it could not read the date."""
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _number(row: Any) -> CarrierNumber:
    if not row.sid or not row.phone_number:
        raise CarrierAmbiguous("the carrier's answer names no number")
    return CarrierNumber(
        sid=str(row.sid),
        e164=str(row.phone_number),
        label=str(row.friendly_name or ""),
        voice_url=str(row.voice_url or ""),
        status_url=str(row.status_callback or ""),
        capabilities=_abilities(row.capabilities),
    )


def _for_sale(row: Any, country: str, kind: NumberKind) -> NumberForSale:
    return NumberForSale(
        e164=str(row.phone_number),
        country=str(row.iso_country or country),
        kind=kind,
        locality=str(row.locality or ""),
        region=str(row.region or ""),
        postal_code=str(row.postal_code or ""),
        address_requirements=str(row.address_requirements or "none"),
        beta=bool(row.beta),
        capabilities=_abilities(row.capabilities),
    )


def _abilities(found: object) -> dict[str, bool]:
    """`voice`, `sms`, …; the shop writes some of the names in capitals."""
    return {str(key).lower(): bool(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _copy(answer: requests.Response, file: BinaryIO, max_bytes: int) -> int:
    length = 0
    for chunk in answer.iter_content(_CHUNK_BYTES):
        length += len(chunk)
        if length > max_bytes:
            raise CarrierRejected("the recording is longer than allowed")
        file.write(chunk)
    expected = answer.headers.get("Content-Length", "")
    if expected.isdigit() and not answer.headers.get("Content-Encoding") and int(expected) != length:
        raise CarrierAmbiguous("the recording was cut short")
    return length


_local = threading.local()
_KEPT_CLIENTS = 8
"""Of a thread."""


def configured() -> bool:
    """Whether there are credentials to place calls with."""
    return bool(
        settings.TWILIO_ACCOUNT_SID
        and (settings.TWILIO_AUTH_TOKEN or (settings.TWILIO_API_KEY_SID and settings.TWILIO_API_KEY_SECRET))
    )


def configured_account() -> Account:
    """The account of the settings; an API key is preferred to the token.

    Raises:
        CarrierNotConfigured: no credentials.
    """
    if not configured():
        raise CarrierNotConfigured("set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or an API key")
    key = bool(settings.TWILIO_API_KEY_SID and settings.TWILIO_API_KEY_SECRET)
    return Account(
        sid=settings.TWILIO_ACCOUNT_SID,
        username=settings.TWILIO_API_KEY_SID if key else settings.TWILIO_ACCOUNT_SID,
        password=settings.TWILIO_API_KEY_SECRET if key else settings.TWILIO_AUTH_TOKEN,
        base_url=settings.TWILIO_API_BASE_URL,
        timeout_s=settings.TWILIO_TIMEOUT_S,
    )


def carrier(account: Account | None = None) -> Carrier:
    """This thread's client of the account, without one of the configured one.

    Raises:
        CarrierNotConfigured: no credentials.
    """
    account = account or configured_account()
    kept: dict[Account, Carrier] = _local.__dict__.setdefault("carriers", {})
    made = kept.pop(account, None) or Carrier(account)
    kept[account] = made  # the last ones that were used stay
    while len(kept) > _KEPT_CLIENTS:
        del kept[next(iter(kept))]
    return made
