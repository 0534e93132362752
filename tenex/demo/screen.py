"""What the demo prints. Colors only on a terminal, and never as the only carrier of a meaning."""

import os
import sys
import threading
from typing import Any

_PLAIN = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
_lock = threading.Lock()


def _paint(code: str, text: str) -> str:
    return text if _PLAIN else f"\x1b[{code}m{text}\x1b[0m"


def line(text: str = "") -> None:
    with _lock:
        print(text, flush=True)


def title(text: str) -> None:
    line()
    line(_paint("1", f"━━ {text} " + "━" * max(0, 92 - len(text))))


def step(text: str) -> None:
    line(_paint("2", f"   {text}"))


def spoken(call: str, at_ms: int, who: str, text: str, *, cut: str = "") -> None:
    """One finished turn; `cut` is the part that was generated but not heard."""
    clock = f"{at_ms // 60000}:{at_ms // 1000 % 60:02d}"
    color = "36" if who == "agent" else "33"
    tail = _paint("2;9", f" {cut}") + " (interrupted)" if cut else ""
    line(f"   {_paint('2', clock)} {_paint('2', call)} {_paint(color, f'{who:>6}')}  {text}{tail}")


def tool(call: str, at_ms: int, text: str) -> None:
    clock = f"{at_ms // 60000}:{at_ms // 1000 % 60:02d}"
    line(f"   {_paint('2', clock)} {_paint('2', call)} {_paint('35', '  tool')}  {_paint('35', text)}")


def verdict(found: dict[str, Any], names: dict[str, str]) -> None:
    """A verdict with the words that it rests on; `names` maps item ids to who said it when."""
    color = {"qualified": "32", "unqualified": "31"}.get(found["qualification"], "33")
    line(
        f"   verdict   {_paint(color + ';1', found['qualification'])}  (confidence {found['confidence']:.2f})"
    )
    line(f"             {found['summary']}")
    for criterion in found["criteria"]:
        mark = {True: "✓", False: "✗", None: "?"}[criterion["met"]]
        evidence = criterion.get("evidence")
        quote = f"“{evidence['quote']}”  {names.get(evidence['item_id'], '')}" if evidence else "nothing said"
        line(f"             {mark} {criterion['name']:<10} {quote}")
    if found.get("meeting"):
        line(f"             meeting   {found['meeting']['start']} ({found['meeting']['timezone']})")
    follow_up = found.get("follow_up") or {}
    if follow_up.get("needed"):
        line(f"             follow up {'; '.join(follow_up.get('reasons') or [])}")


def changes(before: dict[str, Any] | None, after: dict[str, Any], fields: dict[str, tuple[Any, Any]]) -> None:
    name = f"{after.get('first_name', '')} {after.get('last_name', '')}".strip() or after.get("phone") or "?"
    line(f"   lead      {name}{'' if before else '  (new)'}")
    for field, (old, new) in fields.items():
        line(f"             {field:<16} {old if old not in (None, '') else '—'}  →  {_paint('1', str(new))}")


def error(text: str) -> None:
    line(_paint("31;1", f"   ✗ {text}"))


def good(text: str) -> None:
    line(f"   {_paint('32', '✓')} {text}")
