"""Why somebody is not called, as people say it (docs/contactability.md has the codes and their cures)."""

from typing import Final

WORDS: Final[dict[str, str]] = {
    "archived": "The lead is archived",
    "no_phone": "No phone number is known",
    "opted_out": "Asked not to be called",
    "suppressed": "On the do-not-call list",
    "never_dialed": "A number that is never dialed",
    "country_not_enabled": "A country that you do not call",
    "number_not_ours": "The number to call from is not yours",
    "number_released": "The number to call from was given up",
    "no_agent": "The agent cannot talk",
    "batch_over": "The batch was over",
    "no_consent": "No consent is recorded",
    "consent_expired": "The consent has expired",
    "consent_revoked": "The consent was revoked",
    "unknown_time_zone": "The time zone is not known",
    "called_often_enough": "Called as often as is allowed in all",
    "window_never_opens": "Your hours and the legal ones never meet",
    "calling_stopped": "All calling is stopped",
    "workspace_paused": "Calling is paused for the workspace",
    "batch_not_running": "The batch is not running",
    "model_not_configured": "No speech model is configured",
    "carrier_not_configured": "No account at the carrier is configured",
    "on_the_phone": "Being called just now",
    "called_too_recently": "Called a short while ago",
    "called_too_often": "Called as often as is allowed for now",
    "outside_window": "Outside the calling hours",
    "retry": "Waits for the next try",
    "duplicate": "In the batch already",
    "missing": "No such lead",
}


def words(code: str) -> str:
    """The reason; a code that is not known as it is."""
    return WORDS.get(code) or code.replace("_", " ").capitalize()
