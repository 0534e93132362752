"""What people say on the phone, as patterns: for and against the usual criteria, refusals, yes and no."""

import re
from dataclasses import dataclass


def any_of(*phrases: str) -> re.Pattern[str]:
    """A pattern that finds the first of these (regular expressions, whole words, any case)."""
    return re.compile("|".join(rf"(?<!\w)(?:{phrase})(?!\w)" for phrase in phrases), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Theme:
    """A criterion that we know: what it is called, and what speaks for and against it."""

    names: re.Pattern[str]
    yes: re.Pattern[str]
    no: re.Pattern[str]


_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_POST = "owner|founder|ceo|cto|cfo|coo|head|director|manager|boss|decision maker|managing director"
_WANTING = "need|want|looking|searching|struggling|interested|losing|missing"
_INSISTING = "really|urgently|definitely|currently|also"

THEMES = (
    Theme(
        any_of("budgets?", "pric(?:e|es|ing)", "costs?", "spend(?:ing)?", "afford", "money"),
        any_of(
            r"[$€£]\s?\d[\d,.]*",
            r"\d[\d,.]*\s?(?:k|thousand|million|grand|dollars|euros|pounds|usd|eur)",
            "hundred|thousand|million",
            "budget (?:is|of|for|has|was|approved)",
            "(?:have|got|approved|set aside) (?:a |the )?budget",
            "can afford",
        ),
        any_of(
            "no budget",
            "can(?:no|')t afford",
            "too expensive",
            "no money",
            "(?:don't|do not) have (?:a |any |the )?(?:budget|money)",
        ),
    ),
    Theme(
        any_of("authority", "decisions?", "decides?", "decider", "decision.?maker", "owners?", "signs?"),
        any_of(
            rf"i(?:'m| am) (?:the |one of the )?(?:{_POST})",
            "i (?:decide|sign|own|run|make the)",
            "my (?:decision|call|own)",
            "(?:we|i) can (?:decide|sign)",
            "we (?:both )?decide",
        ),
        any_of(
            "not my (?:decision|call)",
            "my (?:boss|manager|husband|wife|director) (?:decides|has to|would|will)",
            "have to ask my",
            "i (?:don't|do not|can't|cannot) decide",
            "just (?:an intern|a student|helping)",
        ),
    ),
    Theme(
        any_of("needs?", "pains?", "problems?", "interest(?:ed)?", "use.?case", "requirements?"),
        any_of(
            rf"(?:we|i)(?:'re| are| am|'m)? (?:(?:{_INSISTING}) )?(?:{_WANTING})",
            "looking for",
            "problem",
            "interested in",
            "replac(?:e|ing)",
            "too many",
        ),
        any_of(
            "(?:don't|do not) (?:really )?need",
            "no need",
            "not (?:really )?interested",
            "already have (?:one|a|that)",
            "not looking",
        ),
    ),
    Theme(
        any_of("timelines?", "timing", "time.?frame", "when", "urgen(?:t|cy)", "start date", "deadline"),
        any_of(
            "(?:this|next) (?:week|month|quarter|year|spring|summer|autumn|fall|winter)",
            "as soon as",
            "asap",
            "right away",
            "immediately",
            "soon",
            f"by (?:the end|q[1-4]|{_MONTHS})",
            r"within (?:a|the|two|three|\d+)",
            r"in (?:\w+ )?(?:weeks?|months?)",
            "tomorrow",
            f"before (?:the|summer|christmas|{_MONTHS})",
        ),
        any_of(
            "not this year",
            "no (?:hurry|rush|timeline|plans?)",
            "some ?day",
            "maybe (?:next year|later)",
            "not (?:any ?time )?soon",
        ),
    ),
)

OPT_OUT = any_of(
    r"(?:do not|don't|never) (?:ever |please |you )?(?:call|contact|ring|phone) (?:me|us|this|here|again|my)",
    "stop (?:calling|contacting|ringing)",
    "(?:take|remove) (?:me|us|my number|this number)",
    "unsubscribe",
    "do not call list",
)
NOT_A_FIT = any_of(
    "not (?:really )?interested",
    "wrong number",
    "no,? thanks",
    "no,? thank you",
    "(?:don't|do not) (?:really )?need",
    "not (?:a|the right) (?:good )?(?:fit|person)",
    "just (?:a student|browsing|curious)",
    "no budget",
    "not for (?:us|me)",
    "(?:don't|do not) (?:have|own) a (?:business|company)",
    "already have (?:one|a (?:vendor|supplier|provider))",
)
CALL_BACK = any_of("call (?:me |us )?(?:back|again|later|tomorrow|next)", "ring (?:me )?back")
YES = re.compile(
    r"^\W*(?:yes|yeah|yep|sure|correct|exactly|right|absolutely|definitely|of course|i do|we do)\b",
    re.IGNORECASE,
)
NO = re.compile(r"^\W*(?:no|nope|not really|not yet|i don't|we don't)\b", re.IGNORECASE)

STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        """about above after again also been before being caller company could customer does doing down from
        have having here into just lead more most must only other over same should some such than that their
        them then there these they this those through under until very want were what when where which while
        whom will with would your""",
    )
)
