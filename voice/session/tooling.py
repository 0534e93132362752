"""Tool calls: run, answer, filler, and what a tool may do to the call itself (rules 5 and 6)."""

import orjson

from voice.session import commands as cmd
from voice.session import ending, record, speech, texts
from voice.session.events import ToolCalled, ToolFinished
from voice.session.phases import Phase
from voice.session.reasons import EndReason
from voice.session.responses import Intent
from voice.session.state import Live
from voice.session.timers import Timer
from voice.session.tools import GRACE_S, Run, clip_output, error_output

KEY_OPT_OUT = "note_opt_out"
KEY_PREFIX = "key9"
WORD_PREFIX = "said"
"""`call_id` of the opt-out that a key press or a clear wording asks for: no model made that call."""
_TRIES = 2
_MAX_REASON = 300


def on_called(live: Live, event: ToolCalled, now: float) -> None:
    """A completed call of the model: it runs even if the caller interrupted meanwhile."""
    over = live.responses.active != event.response_id
    group = event.response_id or "none"
    speech.paid(live)
    verdict = live.tools.admit(event.call_id)
    if verdict in {"repeated", "flood"}:
        live.count(f"tool_{verdict}")
        return
    if verdict == "refuse" or live.desk.holds:
        live.count("tool_refused")
        live.tools.note_answered(group, response_over=over)
        output = (
            error_output("too_many_calls", "No more tool calls in this phone call.")
            if verdict == "refuse"
            else error_output("held_back", "A supervisor holds you back. Nothing was done.")
        )
        live.out.append(cmd.SendToolOutput(event.call_id, output, live.event_id("out")))
        group_answered(live, now)
        return
    run = Run(event.call_id, event.name, now, _deadline(live, now), live.link.current, group)
    _start(live, run, event.arguments, now, response_over=over)


def _deadline(live: Live, now: float) -> float:
    return now + live.limits.tool_deadline_s + GRACE_S


def _start(live: Live, run: Run, arguments: str, now: float, *, response_over: bool) -> None:
    live.tools.start(run, response_over=response_over)
    live.out.append(cmd.RunTool(run.call_id, run.name, arguments, live.limits.tool_deadline_s))
    arm(live, now)


def arm(live: Live, now: float) -> None:
    """One timer serves all runs: their deadlines, and the filler for the oldest."""
    at = live.tools.next_deadline()
    filler = filler_at(live, now)
    if filler is not None and (at is None or filler < at):
        at = filler
    if at is None:
        live.timers.cancel(Timer.TOOLS)
    else:
        live.timers.set(Timer.TOOLS, max(at, now))


def filler_at(live: Live, now: float) -> float | None:
    """When to say "one moment": so long after the oldest run began and after the agent fell silent."""
    waiting = [run.started_at for run in live.tools.running.values() if run.group and not run.filler]
    if not waiting or not live.link.ready:
        return None
    return max(min(waiting), min(live.playback.ends_at(), now + 60.0)) + live.limits.tool_filler_s


def on_timer(live: Live, now: float) -> None:
    for run in live.tools.expired(now):
        live.count("tool_timeout")
        output = error_output("timeout", "The tool did not answer in time. Tell the caller and go on.")
        _end_run(live, run, output, ok=False, now=now)
    filler = filler_at(live, now)
    if filler is not None and now >= filler:
        for run in live.tools.running.values():
            run.filler = True
        quiet = not live.caller_speaking and not live.playback.busy and not live.desk.holds
        if live.phase is Phase.TALKING and quiet:
            live.play_clip("one_moment", now)
    group_answered(live, now)
    arm(live, now)


def on_finished(live: Live, event: ToolFinished, now: float) -> None:
    run = live.tools.running.get(event.call_id)
    if run is None:
        live.count("tool_late")
        live.journal("tool.late", call_id=event.call_id)
        if event.effect == "opt_out" and event.ok:  # a recorded wish counts, however late we hear of it
            note_opt_out(live)
        return
    _end_run(live, run, event.output, ok=event.ok, now=now)
    live.attention_at = now
    if live.phase in {Phase.TALKING, Phase.CLOSING, Phase.OPENING}:
        _effect(live, run, event, now)
    elif event.effect == "opt_out":
        note_opt_out(live)
    group_answered(live, now)
    arm(live, now)


def _end_run(live: Live, run: Run, output: str, *, ok: bool, now: float) -> None:
    """Answer the model, once: in its own session as an output, in a later one as a fact."""
    live.tools.finish(run.call_id)
    if not run.group:
        _noted(live, run, now, ok=ok)
        return
    output = clip_output(output, live.limits.tool_output_bytes)
    if live.link.ready and run.attempt == live.link.current:
        live.out.append(cmd.SendToolOutput(run.call_id, output, live.event_id("out")))
    elif live.phase in {Phase.TALKING, Phase.CLOSING}:
        live.insert(texts.late_result(run.name, output))
        live.ask(Intent("tool"))


def group_answered(live: Live, now: float) -> None:
    """All calls of a response are answered and it is over: one `response.create` for all of them."""
    if live.tools.take_answered() and live.phase in {Phase.TALKING, Phase.CLOSING}:
        live.ask(Intent("tool", asked_at=now))


# --- effects on the call --------------------------------------------------------------------------


def _effect(live: Live, run: Run, event: ToolFinished, now: float) -> None:
    if not run.group:  # a key or a wording, not the model
        return
    if live.desk.holds and event.effect in {"transfer", "end_call"}:
        live.count("effect_held_back")  # somebody stepped in since: it is theirs to end the call
        return
    match event.effect:
        case "none":
            return
        case "opt_out":
            note_opt_out(live)
            ending.begin_closing(
                live,
                now,
                kind="hangup",
                reason=EndReason.OPTED_OUT,
                cancelable=False,
                confirmations=1,
                clip="opted_out",
            )
        case "off_record":
            record.object_to(live)
        case "transfer":
            ending.begin_closing(
                live, now, kind="transfer", reason=EndReason.TRANSFERRED, target=event.effect_data
            )
        case "end_call":
            ending.begin_closing(live, now, kind="hangup", reason=EndReason.AGENT_HANGUP)
            if live.closing is not None and live.closing.cancelable and live.last_speech_at > run.started_at:
                # the caller spoke after the model had decided: they are answered first
                ending.cancel_closing(live)


def note_opt_out(live: Live) -> None:
    if not live.opted_out:
        live.opted_out = True
        live.journal("call.opt_out")


def opt_out_by_key(live: Live, now: float) -> None:
    """The key press is final and needs no model."""
    _opt_out(live, KEY_PREFIX, "{}", now)


def opt_out_by_word(live: Live, text: str, now: float) -> None:
    """So is a clear wording, also the last one before the caller hung up."""
    arguments = orjson.dumps({"reason": text[:_MAX_REASON].encode("utf-8", "ignore").decode()}).decode()
    _opt_out(live, WORD_PREFIX, arguments, now)


def _opt_out(live: Live, prefix: str, arguments: str, now: float) -> None:
    """Write it down first, confirm it once with our own line, end the call. The model is not asked."""
    if live.opted_out:
        return
    note_opt_out(live)
    commit = _run_opt_out(live, prefix, arguments, now, tries=1)
    if live.phase is Phase.FAILING:
        ending.stop_failing(live, now, written=False)
        return
    if live.phase not in {Phase.OPENING, Phase.TALKING, Phase.CLOSING}:
        return
    speech.interrupt(live, now, "key" if prefix == KEY_PREFIX else "stop", cancel=True)
    closing = live.closing
    if live.phase is Phase.CLOSING and closing is not None:
        closing.cancelable, closing.confirmations, closing.silent = False, 0, True
        closing.kind, closing.reason, closing.clip = "hangup", EndReason.OPTED_OUT, "opted_out"
        closing.commit, closing.commit_until = commit, now + ending.COMMIT_WAIT_S
        closing.stage, closing.spoken = "response", False
    else:
        ending.begin_closing(
            live,
            now,
            kind="hangup",
            reason=EndReason.OPTED_OUT,
            cancelable=False,
            clip="opted_out",
            commit=commit,
        )
    live.responses.queue.clear()
    ending.close_with_clip(live, now)


def _run_opt_out(live: Live, prefix: str, arguments: str, now: float, *, tries: int) -> str:
    """Its id: one that no call of the model has, or will have."""
    call_id = live.tools.own_id(prefix)
    until, attempt = _deadline(live, now), live.link.current
    run = Run(call_id, KEY_OPT_OUT, now, until, attempt, group="", arguments=arguments, tries=tries)
    _start(live, run, arguments, now, response_over=True)
    return call_id


def _noted(live: Live, run: Run, now: float, *, ok: bool) -> None:
    """The wish is written down, or could not be: once more; the end of the call says it in any case."""
    closing = live.closing
    waits = closing is not None and closing.commit == run.call_id
    if not ok and run.tries < _TRIES:
        prefix = run.call_id.partition("-")[0]
        again = _run_opt_out(live, prefix, run.arguments, now, tries=run.tries + 1)
        if closing is not None and waits:
            closing.commit = again
    elif waits:
        ending.close_with_clip(live, now)
    elif live.phase is Phase.FAILING:
        ending.stop_failing(live, now, written=True)
