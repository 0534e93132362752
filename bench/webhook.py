"""How fast the voice webhook answers while calls run: signed POSTs, a new connection each."""

import http.client
import secrets
import time
from urllib.parse import urlencode


def ask(port: int, number: str, token: str, *, seconds: float, per_s: float = 5.0) -> list[float]:
    """Milliseconds from connecting to the whole TwiML, of calls that ring evenly over `seconds`."""
    from voice.telephony import signature

    took_ms = []
    begin = time.monotonic()
    for turn in range(int(seconds * per_s)):
        time.sleep(max(0.0, begin + turn / per_s - time.monotonic()))
        form = {
            "AccountSid": "AC" + "0" * 32,
            "ApiVersion": "2010-04-01",
            "CallSid": f"CA{secrets.token_hex(16)}",
            "CallStatus": "ringing",
            "Direction": "inbound",
            "From": f"+1415556{turn:04d}",
            "To": number,
        }
        signed = signature.sign(f"http://127.0.0.1:{port}/twilio/voice", form, token=token)
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request(
            "POST",
            "/twilio/voice",
            urlencode(form),
            {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signed},
        )
        answer = connection.getresponse()
        body = answer.read()
        took_ms.append((time.perf_counter() - started) * 1000)
        connection.close()
        if answer.status != 200 or b"<Stream" not in body:
            raise RuntimeError(f"webhook answered {answer.status}: {body[:200]!r}")
    return took_ms
