"""May this lead be dialed now? Pure: the facts and the instant go in, the first reason against it comes out.

The same answer serves the preview, the enqueue and the instant of dialing. docs/contactability.md says the
order of the reasons and the cure of each.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from voice.outbound import rulebook, whereabouts
from voice.outbound.hours import Law, Limit, Window, first_opening
from voice.outbound.rulebook import Rulebook
from voice.outbound.whereabouts import Whereabouts

__all__ = ["Agreement", "Allow", "Facts", "Limit", "Limits", "Refuse", "Window", "decide"]

MARKETING: Final = "marketing"

SOON: Final = timedelta(seconds=15)
"""When to ask again about what a person or another call may change at any moment."""

PASSING: Final = frozenset(
    {
        "calling_stopped",
        "workspace_paused",
        "batch_not_running",
        "model_not_configured",
        "carrier_not_configured",
        "on_the_phone",
    }
)
"""Codes whose `until` is only when to ask again, not when it will be right."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A consent of the lead, as it is recorded."""

    id: UUID
    purpose: str
    given_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        over = self.revoked_at is not None and self.revoked_at <= now
        expired = self.expires_at is not None and self.expires_at <= now
        return self.given_at <= now and not over and not expired


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one number is called by one caller."""

    per_day: int = 3
    per_week: int = 8
    in_all: int = 24
    gap_s: float = 7200


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known right before a dial."""

    phone: str
    window: Window
    purpose: str = MARKETING
    consents: tuple[Agreement, ...] = ()
    stated_zone: str = ""
    country: str = ""
    region: str = ""
    countries: frozenset[str] = frozenset({"US"})
    """Those that the workspace calls."""
    strict: bool = True
    """Our own hours and limits on top of the law's."""
    archived: bool = False
    opted_out: bool = False
    suppressed: bool = False
    """On the do-not-call list of this workspace or of another one of the same caller."""
    number_owned: bool = True
    number_active: bool = True
    has_agent: bool = True
    batch_over: bool = False
    batch_running: bool = True
    calling_stopped: bool = False
    workspace_paused: bool = False
    model_configured: bool = True
    carrier_configured: bool = True
    on_the_phone: bool = False
    limits: Limits = Limits()
    placed: tuple[datetime, ...] = ()
    """The latest attempts at this number by this caller, the newest first."""
    placed_in_all: int = 0
    soon: timedelta = SOON
    rules: Rulebook = field(default_factory=rulebook.standard)

    @property
    def whereabouts(self) -> Whereabouts:
        return whereabouts.of(
            phone=self.phone, stated_zone=self.stated_zone, country=self.country, region=self.region
        )


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Refuse:
    """`until` is when to ask again; None means never for this recipient."""

    code: str
    detail: str
    until: datetime | None = None


def decide(facts: Facts, now: datetime) -> Allow | Refuse:
    """The first reason against dialing, the final ones first. `now` is aware."""
    refusal = _of_lead(facts) or _of_means(facts) or _of_consent(facts, now)
    if refusal is not None:
        return refusal
    places = facts.whereabouts
    if not places.zones:
        return Refuse("unknown_time_zone", "The time zone of the lead is not known: set it, or the address.")
    laws = laws_of(facts, places)
    if facts.placed_in_all >= facts.limits.in_all:
        return Refuse("called_often_enough", f"Called {facts.placed_in_all} times: no more are allowed.")
    ready_at = max(_often(facts, laws, now), now)
    opens_at = first_opening(facts.window, laws, places.zone_names, ready_at)
    if opens_at is None:
        return Refuse("window_never_opens", "The calling hours and the legal hours of the lead never meet.")
    return _passing(facts, now) or _of_time(facts, now, ready_at, opens_at) or Allow()


def laws_of(facts: Facts, places: Whereabouts) -> tuple[Law, ...]:
    """The laws of every candidate place, each once."""
    return facts.rules.laws(places.places or ((rulebook.ANYWHERE, ""),), strict=facts.strict)


def agreement(facts: Facts, now: datetime) -> Agreement | None:
    """The consent that a call rests on: one to marketing is one to information too."""
    fitting = (one for one in facts.consents if _fits(one, facts.purpose))
    return next((one for one in fitting if one.holds(now)), None)


def _fits(one: Agreement, purpose: str) -> bool:
    return one.purpose in (purpose, MARKETING)


def _of_lead(facts: Facts) -> Refuse | None:
    if facts.archived:
        return Refuse("archived", "The lead is archived.")
    if not facts.phone:
        return Refuse("no_phone", "The lead has no phone number.")
    if facts.opted_out:
        return Refuse("opted_out", "The lead asked not to be called.")
    if facts.suppressed:
        return Refuse("suppressed", "The number is on the do-not-call list.")
    number = whereabouts.number_facts(facts.phone)
    kind = number.refused_kind if number else "no number"
    kind = kind or next((what for pattern, what in facts.rules.never_dial if pattern.match(facts.phone)), "")
    if kind:
        return Refuse("never_dialed", f"A number of a kind that is never dialed: {kind}.")
    country = number.country if number else ""
    if country not in facts.countries:
        where = country or "no country that we know"
        return Refuse("country_not_enabled", f"The number is of {where}: calling_countries does not have it.")
    return None


def _of_means(facts: Facts) -> Refuse | None:
    """What we would call with."""
    if not facts.number_owned:
        return Refuse("number_not_ours", "The number to call from is not this workspace's.")
    if not facts.number_active:
        return Refuse("number_released", "The number to call from is not ours any more.")
    if not facts.has_agent:
        return Refuse("no_agent", "The agent cannot talk: archived or without a version.")
    if facts.batch_over:
        return Refuse("batch_over", "The batch is over.")
    return None


def _of_consent(facts: Facts, now: datetime) -> Refuse | None:
    if agreement(facts, now) is not None:
        return None
    fitting = [one for one in facts.consents if _fits(one, facts.purpose)]
    what = f"consent to {facts.purpose} calls"
    cure = f"record one: POST /api/v1/crm/leads/{{lead_id}}/consents, purpose {facts.purpose}"
    if any(one.revoked_at is not None for one in fitting):
        return Refuse("consent_revoked", f"The {what} was revoked; {cure}.")
    if any(one.expires_at is not None and one.expires_at <= now for one in fitting):
        return Refuse("consent_expired", f"The {what} has expired; {cure}.")
    return Refuse("no_consent", f"No {what} holds; {cure}.")


def _passing(facts: Facts, now: datetime) -> Refuse | None:
    if facts.calling_stopped:
        return Refuse("calling_stopped", "All calling of this system is stopped.", now + facts.soon)
    if facts.workspace_paused:
        return Refuse("workspace_paused", "Calling is paused for the workspace.", now + facts.soon)
    if not facts.batch_running:
        return Refuse("batch_not_running", "The batch is not running.", now + facts.soon)
    if not facts.model_configured:
        return Refuse("model_not_configured", "No speech model is configured.", now + facts.soon)
    if not facts.carrier_configured:
        detail = "There are no credentials for the account of the number."
        return Refuse("carrier_not_configured", detail, now + facts.soon)
    if facts.on_the_phone:
        return Refuse("on_the_phone", "Another call to this number is under way.", now + facts.soon)
    return None


def _of_time(facts: Facts, now: datetime, ready_at: datetime, opens_at: datetime) -> Refuse | None:
    if ready_at > now:
        if facts.placed and facts.placed[0] + timedelta(seconds=facts.limits.gap_s) > now:
            return Refuse("called_too_recently", "The last call to this number was not long ago.", opens_at)
        return Refuse("called_too_often", "Called as often as is allowed in that time.", opens_at)
    if opens_at > now:
        return Refuse("outside_window", "Outside the calling hours of the lead.", opens_at)
    return None


def _often(facts: Facts, laws: tuple[Law, ...], now: datetime) -> datetime:
    """From when on the attempts so far allow another one."""
    if not facts.placed:
        return now  # every limit allows one
    own = (Limit(facts.limits.per_day, 86_400), Limit(facts.limits.per_week, 7 * 86_400))
    ready_at = max(now, facts.placed[0] + timedelta(seconds=facts.limits.gap_s))
    for limit in {*own, *(one for law in laws for one in law.limits)}:
        if len(facts.placed) >= limit.most:
            # The one that must have left the period before the next may come.
            ready_at = max(ready_at, facts.placed[limit.most - 1] + timedelta(seconds=limit.period_s))
    return ready_at
