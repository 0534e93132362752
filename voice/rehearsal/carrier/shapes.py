"""JSON objects of the REST API and the form fields of webhooks (twilio.md 7, 9, 10, 11, 14)."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from math import ceil

from aiohttp import web

from voice.rehearsal.carrier.inventory import ForSale
from voice.rehearsal.carrier.records import CallRecord, CallStatus, NumberRecord, RecordingRecord

API_VERSION = "2010-04-01"

type Shape = Mapping[str, object]


def rfc2822(at: datetime | None) -> str | None:
    return None if at is None else format_datetime(at)


def account_path(account_sid: str) -> str:
    return f"/{API_VERSION}/Accounts/{account_sid}"


def refusal(status: int, code: int, message: str) -> web.Response:
    """Twilio's error shape."""
    return web.json_response(
        {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        },
        status=status,
    )


class Refused(Exception):
    """Raised by handlers, turned into Twilio's error shape by the middleware."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _formatted(number: str) -> str:
    digits = number.removeprefix("+1")
    if number.startswith("+1") and len(digits) == 10:
        return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    return number


def call_shape(call: CallRecord, account_sid: str) -> Shape:
    uri = f"{account_path(account_sid)}/Calls/{call.sid}"
    subresources = (
        "notifications", "recordings", "payments", "events", "siprec",
        "streams", "transcriptions", "user_defined_messages", "user_defined_message_subscriptions",
    )  # fmt: skip
    return {
        "sid": call.sid,
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "from": call.from_,
        "to": call.to,
        "from_formatted": _formatted(call.from_),
        "to_formatted": _formatted(call.to),
        "direction": call.direction,
        "status": call.status.value,
        "start_time": rfc2822(call.start_time),
        "end_time": rfc2822(call.end_time),
        "duration": None if call.duration_s is None else str(call.duration_s),
        "price": None,
        "price_unit": "USD",
        "answered_by": call.answered_by,
        "annotation": None,
        "caller_name": None,
        "forwarded_from": None,
        "group_sid": None,
        "parent_call_sid": call.parent_call_sid,
        "phone_number_sid": call.phone_number_sid,
        "trunk_sid": "",
        "queue_time": str(call.queue_ms),
        "date_created": rfc2822(call.date_created),
        "date_updated": rfc2822(call.date_updated),
        "uri": f"{uri}.json",
        "subresource_uris": {
            name: f"{uri}/{''.join(part.capitalize() for part in name.split('_'))}.json"
            for name in subresources
        },
    }


def recording_shape(recording: RecordingRecord, account_sid: str) -> Shape:
    uri = f"{account_path(account_sid)}/Recordings/{recording.sid}"
    return {
        "sid": recording.sid,
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "call_sid": recording.call_sid,
        "conference_sid": None,
        "channels": recording.channels,
        "date_created": rfc2822(recording.start_time),
        "date_updated": rfc2822(recording.date_updated),
        "start_time": rfc2822(recording.start_time),
        "duration": None if recording.duration_s is None else str(recording.duration_s),
        "status": recording.status,
        "source": recording.source,
        "track": recording.track,
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "encryption_details": None,
        "media_url": f"https://api.twilio.com{uri}",
        "uri": f"{uri}.json",
    }


def number_shape(number: NumberRecord, account_sid: str) -> Shape:
    return {
        "sid": number.sid,
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "phone_number": number.phone_number,
        "friendly_name": number.friendly_name,
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
        "voice_url": number.voice_url,
        "voice_method": number.voice_method,
        "voice_fallback_url": number.voice_fallback_url,
        "voice_fallback_method": number.voice_fallback_method,
        "voice_application_sid": number.voice_application_sid or None,
        "voice_caller_id_lookup": False,
        "voice_receive_mode": "voice",
        "status_callback": number.status_callback,
        "status_callback_method": number.status_callback_method,
        "sms_url": "",
        "sms_method": "POST",
        "sms_fallback_url": "",
        "sms_fallback_method": "POST",
        "sms_application_sid": "",
        "trunk_sid": number.trunk_sid or None,
        "bundle_sid": None,
        "address_sid": None,
        "identity_sid": None,
        "address_requirements": "none",
        "emergency_status": "Active",
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "beta": False,
        "origin": "twilio",
        "status": "in-use",
        "type": number.kind,
        "date_created": rfc2822(number.date_created),
        "date_updated": rfc2822(number.date_updated),
        "uri": f"{account_path(account_sid)}/IncomingPhoneNumbers/{number.sid}.json",
    }


def for_sale_shape(item: ForSale) -> Shape:
    """An entry of `AvailablePhoneNumbers`; this resource writes two of the abilities in capitals."""
    return {
        "friendly_name": _formatted(item.phone_number),
        "phone_number": item.phone_number,
        "lata": item.lata,
        "locality": item.locality,
        "rate_center": item.locality.upper() if item.locality else None,
        "latitude": item.latitude,
        "longitude": item.longitude,
        "region": item.region,
        "postal_code": item.postal_code,
        "iso_country": item.country,
        "address_requirements": item.address_requirements,
        "beta": False,
        "capabilities": {"voice": True, "SMS": True, "MMS": item.country == "US"},
    }


def call_form(call: CallRecord, account_sid: str, status: CallStatus | None = None) -> dict[str, str]:
    """The fields that every voice webhook has."""
    form = {
        "CallSid": call.sid,
        "AccountSid": account_sid,
        "From": call.from_,
        "To": call.to,
        "Caller": call.from_,
        "Called": call.to,
        "CallStatus": (status or call.status).value,
        "ApiVersion": API_VERSION,
        "Direction": call.direction,
    }
    for role, number in (("From", call.from_), ("To", call.to), ("Caller", call.from_), ("Called", call.to)):
        if number.startswith("+1"):
            form |= {f"{role}Country": "US", f"{role}State": "CA", f"{role}City": "", f"{role}Zip": ""}
    if call.direction == "inbound":
        form |= {"StirVerstat": "TN-Validation-Passed-A", "StirStatus": "A"}
    if call.parent_call_sid:
        form["ParentCallSid"] = call.parent_call_sid
    return form


def status_form(
    call: CallRecord, account_sid: str, status: CallStatus, *, at: datetime, recording: RecordingRecord | None
) -> dict[str, str]:
    """A status callback; counts up the call's SequenceNumber."""
    form = call_form(call, account_sid, status)
    form |= {
        "Timestamp": format_datetime(at),
        "SequenceNumber": str(call.callback_sequence),
        "CallbackSource": "call-progress-events",
    }
    call.callback_sequence += 1
    if status.terminal:
        form["CallDuration"] = str(call.duration_s or 0)
        if status is CallStatus.COMPLETED:
            form["Duration"] = str(ceil((call.duration_s or 0) / 60))
        elif call.sip_code is not None:
            form["SipResponseCode"] = str(call.sip_code)
        if recording is not None:
            form |= {
                "RecordingSid": recording.sid,
                "RecordingDuration": str(recording.duration_s or 0),
            }
    if call.answered_by and status.terminal:
        form["AnsweredBy"] = call.answered_by
    return form
