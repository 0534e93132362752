"""What can go wrong when the carrier is asked, told apart by what we may do next."""

from tenex.errors import TenexError


class CarrierError(TenexError):
    """Base. `provider_code` is Twilio's error code, `http_status` that of its answer, where there are any."""

    code = "carrier_error"
    status = 502

    def __init__(self, detail: str = "", *, provider_code: str = "", http_status: int | None = None) -> None:
        super().__init__(detail)
        self.provider_code = provider_code
        self.http_status = http_status


class CarrierRejected(CarrierError):
    """4xx: refused for good; the same request will be refused again."""

    code = "carrier_rejected"


class CarrierGone(CarrierRejected):
    """21220 or 20404: the call (or file) is over or was never there. What we wanted to end has ended."""

    code = "carrier_gone"
    status = 409


class CarrierThrottled(CarrierError):
    """429: not processed. Asking again later is safe."""

    code = "carrier_throttled"
    status = 503
    retryable = True


class CarrierUnreachable(CarrierThrottled):
    """No connection was made, so nothing was processed."""

    code = "carrier_unreachable"


class CarrierNotAsked(CarrierError):
    """Its time was over before all of it was sent, so nothing was processed."""

    code = "carrier_not_asked"
    status = 503
    retryable = True


class CarrierAmbiguous(CarrierError):
    """Time-out, 5xx or a lost answer: it may or may not have happened. Look it up before asking again."""

    code = "carrier_ambiguous"
    status = 503


class CarrierNotConfigured(CarrierError):
    code = "carrier_not_configured"
    status = 503
