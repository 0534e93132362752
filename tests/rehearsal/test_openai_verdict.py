"""`POST /v1/responses` with the official SDK: strict about the request, honest about the answer."""

from typing import Any, Literal

import httpx2
import openai
import orjson
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict, ValidationError

from tests.rehearsal.offline_model import KEY, Server, serving
from voice.rehearsal import scenario
from voice.rehearsal.model.faults import Armed, Fault


class Evidence(BaseModel):
    model_config = ConfigDict(extra="forbid")
    quote: str
    item_id: str


class Criterion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    met: bool | None
    evidence: Evidence | None


class FollowUp(BaseModel):
    model_config = ConfigDict(extra="forbid")
    needed: bool
    reasons: list[str]
    callback_at: str | None


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    qualification: Literal["qualified", "unqualified", "undetermined"]
    confidence: float
    reasons: list[str]
    criteria: list[Criterion]
    follow_up: FollowUp
    summary: str


CRITERIA = [
    {"name": "budget", "description": "Has money set aside"},
    {"name": "authority", "description": "Decides alone"},
    {"name": "need", "description": "Has a problem that we solve"},
    {"name": "timeline", "description": "Wants to start within a quarter"},
]


def case(*lines: tuple[str, str], **extra: Any) -> str:
    transcript = [
        {"item_id": f"item_{index}", "speaker": speaker, "text": text}
        for index, (speaker, text) in enumerate(lines)
    ]
    return orjson.dumps(
        {"criteria": CRITERIA, "objective": "book", "transcript": transcript, **extra}
    ).decode()


QUALIFIED = case(
    ("agent", "Hello, how can I help?"),
    ("caller", "Hi, it's Maria. We are losing calls at night and we need an answer."),
    ("agent", "Do you have a budget for it?"),
    ("caller", "Yes. About two thousand dollars a month."),
    ("agent", "Who decides?"),
    ("caller", "I'm the owner, so that is me. We want to start next month."),
    meeting={"start": "2026-12-01T10:00:00Z"},
)


async def ask(server: Server, text: str, **extra: Any) -> Any:
    async with AsyncOpenAI(api_key=KEY, base_url=server.base_url, max_retries=0) as client:
        return await client.responses.parse(
            model="gpt-5.2-mini",
            instructions="Judge the call.",
            input=[{"role": "user", "content": text}],
            text_format=Verdict,
            **extra,
        )


async def test_qualified_with_quotes_from_the_caller() -> None:
    async with serving() as server:
        response = await ask(server, QUALIFIED, metadata={"call_id": "c1"}, store=False)
    verdict = response.output_parsed
    assert verdict.qualification == "qualified"
    assert {entry.name: entry.met for entry in verdict.criteria} == dict.fromkeys(
        ("budget", "authority", "need", "timeline"), True
    )
    transcript = {turn["item_id"]: turn for turn in orjson.loads(QUALIFIED)["transcript"]}
    for entry in verdict.criteria:
        assert entry.evidence is not None
        turn = transcript[entry.evidence.item_id]
        assert turn["speaker"] == "caller"
        assert entry.evidence.quote
        assert entry.evidence.quote in turn["text"]
    assert not verdict.follow_up.needed
    assert response.model == "gpt-5.2-mini-offline-rubric"
    assert response.metadata == {"call_id": "c1", "engine": "offline-rubric"}
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize(
    ("lines", "qualification", "reason"),
    [
        ([("caller", "Please do not call me again.")], "unqualified", "asked not to be called again"),
        ([("caller", "No thanks, I'm just a student.")], "unqualified", "not a fit"),
        ([("caller", "Good morning.")], "undetermined", "too little"),
        ([("agent", "Hello?")], "undetermined", "said nothing"),
        (
            [("agent", "Is there a budget?"), ("caller", "No, not really."), ("caller", "Nothing planned.")],
            "unqualified",
            "not met: budget",
        ),
    ],
)
async def test_the_rest(lines: list[tuple[str, str]], qualification: str, reason: str) -> None:
    async with serving() as server:
        verdict = (await ask(server, case(*lines))).output_parsed
    assert verdict.qualification == qualification
    assert reason in " ".join(verdict.reasons)


async def test_follow_up() -> None:
    async with serving() as server:
        asked = (await ask(server, case(("caller", "Could you call me back tomorrow?")))).output_parsed
        tool = {"name": "schedule_callback", "output": {"callback_at": "2026-12-02T09:00:00Z"}}
        agreed = (await ask(server, case(("caller", "Later is better."), tool_calls=[tool]))).output_parsed
        opted_out = (await ask(server, case(("caller", "Stop calling me.")))).output_parsed
    assert asked.follow_up.needed
    assert agreed.follow_up.callback_at == "2026-12-02T09:00:00Z"
    assert not opted_out.follow_up.needed


async def test_the_same_case_gets_the_same_verdict() -> None:
    async with serving() as server:
        texts = {(await ask(server, QUALIFIED)).output_text for _ in range(3)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"temprature": 1}, 400, "unknown_parameter", "temprature"),
        ({"model": None}, 400, "invalid_type", "model"),
        ({"input": [{"role": "robot", "content": "x"}]}, 400, "invalid_value", "input[0].role"),
        ({"stream": True}, 400, "unsupported_parameter", "stream"),
        ({"metadata": {"a": "x" * 600}}, 400, "string_above_max_length", "metadata.a"),
        (
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "v",
                        "strict": True,
                        "schema": {"type": "object", "properties": {}},
                    }
                }
            },
            400,
            "invalid_json_schema",
            "text.format.schema",
        ),
        (
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "v",
                        "schema": {
                            "type": "object",
                            "properties": {"a": {"type": "string"}},
                            "required": [],
                            "additionalProperties": False,
                        },
                    }
                }
            },
            400,
            "invalid_json_schema",
            "text.format.schema",
        ),
    ],
)
async def test_wrong_requests_are_refused(change: dict[str, Any], status: int, code: str, param: str) -> None:
    async with serving() as server, httpx2.AsyncClient() as http:
        body = {"model": "gpt-5.2-mini", "input": "x", **change}
        answer = await http.post(
            f"{server.base_url}/responses",
            content=orjson.dumps(body),
            headers={"Authorization": f"Bearer {KEY}"},
        )
        unsigned = await http.post(f"{server.base_url}/responses", content=b"{}")
    assert answer.status_code == status
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (code, param)
    assert unsigned.status_code == 401


async def test_faults() -> None:
    async with serving() as server:
        faults = server.state.faults
        faults.arm(Armed(Fault.VERDICT_MALFORMED))
        with pytest.raises(ValidationError):
            await ask(server, QUALIFIED)
        faults.arm(Armed(Fault.VERDICT_REFUSAL))
        refused = await ask(server, QUALIFIED)
        assert refused.output_parsed is None
        assert refused.output[0].content[0].type == "refusal"
        faults.arm(Armed(Fault.VERDICT_STATUS, status=429))
        with pytest.raises(openai.RateLimitError):
            await ask(server, QUALIFIED)
        faults.arm(Armed(Fault.VERDICT_STATUS, status=500))
        with pytest.raises(openai.InternalServerError):
            await ask(server, QUALIFIED)
        faults.arm(Armed(Fault.VERDICT_SLOW, seconds=20))  # 2 s at this speed
        with pytest.raises(openai.APITimeoutError):
            await ask(server, QUALIFIED, timeout=0.3)
        assert (await ask(server, QUALIFIED)).output_parsed is not None


async def test_the_packaged_call_is_qualified_by_its_words() -> None:
    lines: list[tuple[str, str]] = []
    for step in scenario.load("inbound-qualified").script:
        if isinstance(step, scenario.CallerStep):
            lines.append(("caller", step.say or ""))
        else:
            lines += [("agent", action.say) for action in step.agent if isinstance(action, scenario.Say)]
    async with serving() as server:
        verdict = (await ask(server, case(*lines, meeting={"start": "2026-12-01T10:00:00Z"}))).output_parsed
    assert verdict.qualification == "qualified"
    assert all(entry.met for entry in verdict.criteria)
    assert any(
        "one hundred and twenty thousand dollars" in entry.evidence.quote for entry in verdict.criteria
    )
