"""A rehearsed conversation as data: who calls whom, who says what, what must come of it.

One YAML file a scenario, one grammar for both sides of the rehearsal: the carrier plays the `caller` steps,
the offline model speaks the `agent` steps. Every mistake is reported with its key and line.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from tenex.errors import InvalidInput

PACKAGED = "voice.rehearsal.scenarios"
OUR_NUMBER = "+14155550100"
UNKNOWN_CALLER = "+14155550199"

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


class ScenarioError(InvalidInput):
    """The scenario file is wrong; the message names file, line and key."""

    code = "invalid_scenario"


class Answer(StrEnum):
    """What happens when the number is dialled."""

    PERSON = "person"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    FAILED = "failed"
    MACHINE = "machine"
    FAX = "fax"
    SCREENING = "screening"

    @property
    def picks_up(self) -> bool:
        return self in {Answer.PERSON, Answer.MACHINE, Answer.FAX, Answer.SCREENING}


class FaultKind(StrEnum):
    """Ways in which the model's socket fails in the middle of a call."""

    FIN = "fin"
    RST = "rst"
    BLACKHOLE = "blackhole"
    SESSION_EXPIRED = "session_expired"
    QUOTA = "quota"
    MALFORMED = "malformed"
    TRICKLE = "trickle"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Transfer(_Part):
    """The colleague whom the app dials with <Dial><Number>."""

    answer: Answer = Answer.PERSON
    ring_s: float = Field(default=1.0, ge=0, le=120)
    talk_s: float = Field(default=2.0, ge=0, le=3600)


class CallPart(_Part):
    direction: Literal["inbound", "outbound"] = "inbound"
    from_: str = Field(default=UNKNOWN_CALLER, alias="from")
    """The remote party of an inbound call; ignored for outbound calls."""
    to: str = OUR_NUMBER
    ring_s: float = Field(default=1.0, ge=0, le=600)
    answer: Answer = Answer.PERSON
    amd: (
        Literal[
            "human",
            "machine_start",
            "machine_end_beep",
            "machine_end_silence",
            "machine_end_other",
            "fax",
            "unknown",
        ]
        | None
    ) = None
    """Result of answering-machine detection if the app asked for it; None: follows from `answer`."""
    amd_after_s: float = Field(default=2.0, ge=0, le=60)
    sip_code: int | None = Field(default=None, ge=400, le=699)
    """SIP outcome of a call that is not answered; None: the usual one for `answer`."""
    transfer: Transfer = Transfer()


class Say(_Part):
    kind: Literal["say"] = "say"
    say: str = Field(min_length=1)


class UseTool(_Part):
    kind: Literal["tool"] = "tool"
    tool: str = Field(min_length=1)
    args: dict[str, Any] = {}


class Fault(_Part):
    """The model's connection fails here (once per call)."""

    kind: Literal["fault"] = "fault"
    fault: FaultKind


class Think(_Part):
    """The model is slow: nothing happens for so long."""

    kind: Literal["think"] = "think"
    think_s: float = Field(gt=0, le=600)


type AgentAction = Say | UseTool | Fault | Think


_KINDS = {"say": "say", "tool": "tool", "fault": "fault", "think_s": "think"}


def _action(entry: object) -> object:
    if isinstance(entry, str):
        return {"kind": "say", "say": entry}
    if isinstance(entry, dict):
        kind = next((kind for key, kind in _KINDS.items() if key in entry), None)
        if kind is None:
            raise ValueError("the agent can: say, tool (with args), fault, think_s")
        return {"kind": kind, **entry}
    return entry


type _Action = Annotated[
    Annotated[Say | UseTool | Fault | Think, Field(discriminator="kind")], BeforeValidator(_action)
]


class AgentStep(_Part):
    role: Literal["agent"] = "agent"
    agent: tuple[_Action, ...] = Field(min_length=1)

    @field_validator("agent", mode="before")
    @classmethod
    def _one_line(cls, value: object) -> object:
        return value if isinstance(value, list) else [value]


class CallerStep(_Part):
    """What the remote side does: exactly one of `say`, `dtmf`, `silence_s`, `tone_hz`, `hangup`."""

    role: Literal["caller"] = "caller"
    say: str | None = Field(default=None, min_length=1)
    dtmf: str | None = Field(default=None, pattern=r"^[0-9*#]+$")
    silence_s: float | None = Field(default=None, gt=0, le=3600)
    tone_hz: float | None = Field(default=None, ge=100, le=3800)
    """A pure tone: the beep of an answering machine, or 2100 Hz of a fax."""
    tone_ms: int = Field(default=400, gt=0, le=60_000)
    hangup: bool = False
    barge_in_after_ms: int | None = Field(default=None, ge=0)
    """Do it while the agent speaks, after so much of its audio in this turn (else: when it is done)."""
    during_tool: str | None = None
    """Do it while this tool of the agent runs."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        wishes = (self.say, self.dtmf, self.silence_s, self.tone_hz)
        if sum(wish is not None for wish in wishes) + self.hangup != 1:
            raise ValueError("a caller step is exactly one of say, dtmf, silence_s, tone_hz, hangup")
        if self.barge_in_after_ms is not None and self.during_tool is not None:
            raise ValueError("barge_in_after_ms and during_tool exclude each other")
        return self


def _step(entry: object) -> object:
    if not isinstance(entry, dict) or len(entry) != 1 or next(iter(entry)) not in {"agent", "caller"}:
        raise ValueError("a step is `agent: …` or `caller: …`")
    if "agent" in entry:
        return {"role": "agent", **entry}
    value = entry["caller"]
    if isinstance(value, str):
        return {"role": "caller", "say": value}
    if not isinstance(value, dict):
        raise ValueError("a caller step is a text or exactly one of say, dtmf, silence_s, tone_hz, hangup")
    return {"role": "caller", **value}


type Step = AgentStep | CallerStep
type _Step = Annotated[Annotated[AgentStep | CallerStep, Field(discriminator="role")], BeforeValidator(_step)]


class Expectation(_Part):
    """One thing that must be true afterwards (or must not be, with `absent`)."""

    tool: str | None = None
    event: str | None = None
    outcome: str | None = None
    verdict: str | None = None
    status: str | None = None
    """Final carrier status of the call (completed, no-answer …)."""
    text_contains: str | None = None
    """Somebody says this (case does not matter)."""
    absent: bool = False
    within_ms: int | None = Field(default=None, gt=0)
    """With `tool`: it is called within so many milliseconds of sound after the answer."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        names = ("tool", "event", "outcome", "verdict", "status", "text_contains")
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"an expectation is exactly one of {', '.join(names)}")
        if self.within_ms is not None and self.tool is None:
            raise ValueError("within_ms goes with tool")
        return self


class Scenario(_Part):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str = ""
    call: CallPart = CallPart()
    script: tuple[_Step, ...] = ()
    expect: tuple[Expectation, ...] = ()

    def lines(self, role: Literal["agent", "caller"]) -> Iterator[str]:
        """The spoken lines of one side, templates unfilled (for rendering ahead)."""
        for step in self.script:
            if isinstance(step, CallerStep):
                if role == "caller" and step.say is not None:
                    yield step.say
            elif role == "agent":
                yield from (action.say for action in step.agent if isinstance(action, Say))


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster where it is built in

# --- reading files ---------------------------------------------------------------------------------


def parse(text: str, *, source: str = "scenario") -> Scenario:
    """The scenario in `text` (YAML).

    Raises:
        ScenarioError: with `source`, the line and the key of every mistake.
    """
    try:
        node = yaml.compose(text, Loader=_LOADER)
        data = yaml.load(text, Loader=_LOADER)  # noqa: S506 - one of the two safe loaders
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise ScenarioError(f"{source}:{mark.line + 1 if mark else 1}: {exc.problem}") from exc
    if not isinstance(data, dict):
        raise ScenarioError(f"{source}:1: a scenario is a mapping with name, call, script and expect")
    try:
        return Scenario.model_validate(data)
    except ValidationError as exc:
        errors = exc.errors()
        paths = {error["loc"] for error in errors}
        # What is inside is wrong: then that the whole has become too short says nothing new.
        told = [
            error
            for error in errors
            if error["type"] != "too_short" or not any(_is_inside(path, error["loc"]) for path in paths)
        ]
        found = dict.fromkeys(_describe(error, node, source) for error in told)
        raise ScenarioError("\n".join(found)) from exc


def _is_inside(path: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _describe(error: Mapping[str, Any], node: yaml.Node | None, source: str) -> str:
    """`file:line: key: message` of one pydantic error; members of unions in the path have no node."""
    path: list[str] = []
    line = 1
    for part in error["loc"]:
        found = _child(node, part)
        if found is None:
            continue
        path.append(str(part))
        line, node = found[0] + 1, found[1]
    return f"{source}:{line}: {'.'.join(path) or 'scenario'}: {error['msg'].removeprefix('Value error, ')}"


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    return None


def names() -> list[str]:
    """Names of the packaged scenarios, sorted."""
    return sorted(
        item.name.removesuffix(".yaml")
        for item in resources.files(PACKAGED).iterdir()
        if item.name.endswith(".yaml")
    )


def load(name_or_path: str | Path) -> Scenario:
    """A packaged scenario by its name, or any file by its path.

    Raises:
        ScenarioError: unknown name, unreadable file or wrong content.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.parent != Path("."):
        try:
            return parse(path.read_text(encoding="utf-8"), source=str(path))
        except OSError as exc:
            raise ScenarioError(f"{path}: cannot be read ({exc.strerror})") from exc
    return _packaged(path.name)


@cache
def _packaged(name: str) -> Scenario:
    file = resources.files(PACKAGED) / f"{name}.yaml"
    if not file.is_file():
        raise ScenarioError(f"no scenario {name!r}; there are: {', '.join(names())}")
    return parse(file.read_text(encoding="utf-8"), source=f"{name}.yaml")


# --- templates -------------------------------------------------------------------------------------

_HOLE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_NOW = re.compile(r"^now(?:\s*([+-])\s*(\d+)([smhd]))?$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def fill(value: Json, context: Mapping[str, Json]) -> Json:
    """`value` with every `{{ dotted.path }}` replaced from `context`, in lists and mappings too.

    A text that is one single hole takes the value with its type; holes inside a longer text become text.
    `{{ now+2d }}` is the time in two days as ISO 8601 (units s, m, h, d). The offline model gives
    `last` (output of the latest tool) and `tools.<name>` (latest output of that tool).

    Raises:
        ScenarioError: a path that is not there.
    """
    if isinstance(value, dict):
        return {key: fill(item, context) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, context) for item in value]
    if not isinstance(value, str):
        return value
    whole = _HOLE.fullmatch(value)
    if whole is not None:
        return _look_up(whole[1], context)
    return _HOLE.sub(lambda hole: _as_text(_look_up(hole[1], context)), value)


def fill_text(text: str, context: Mapping[str, Json]) -> str:
    """A spoken line with its holes filled; always text."""
    return _HOLE.sub(lambda hole: _as_text(_look_up(hole[1], context)), text)


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else str(value)


def _look_up(path: str, context: Mapping[str, Json]) -> Json:
    now = _NOW.match(path)
    if now is not None:
        sign, amount, unit = now.groups()
        offset = timedelta(**{_UNITS[unit]: int(amount)}) if sign else timedelta()
        at = datetime.now(UTC).replace(microsecond=0)
        return (at - offset if sign == "-" else at + offset).isoformat()
    value: Json = dict(context)
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ScenarioError(f"{{{{ {path} }}}}: there is no {part!r} in the tool's output") from None
    return value
