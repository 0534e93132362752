"""D4: whatever a client sends, the API answers as its description says, and never with a failure of ours.

Schemathesis, all checks, all phases, against a running system with the demo workspace in it, once as an
owner's key and once as a key that may only read. Every operation is hit. `schemathesis_hooks` lends it what
no schema can say: ids that exist, keys that were not used yet. PROVE_LOGS names a folder for the tool's
own reports, D4_EXAMPLES says how many requests of an operation `--full` makes up.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.prove import schemathesis_hooks as hooks
from tests.rig import System, start_system

_TOOL = str(Path(sys.executable).parent / "schemathesis")
_FULL_EXAMPLES = int(os.environ.get("D4_EXAMPLES", "100"))
_QUICK_EXAMPLES = 2
_PHASES = "examples,coverage,fuzzing,stateful"
_QUICK_PHASES = {"owner": "examples,fuzzing,stateful", "reader": "fuzzing"}
_LIMIT_S = 3000


def prove(full: bool) -> dict[str, Any]:
    settings = {"RATE_LIMIT_PER_MINUTE": "10000000", "TENEX_TIME_SCALE": "6", "LOG_FORMAT": "json"}
    with start_system(settings=settings) as system, tempfile.TemporaryDirectory() as folder:
        seeded = json.loads(system.manage("seed_demo", "--json").splitlines()[-1])
        keys = {"owner": seeded["api_key"], "reader": hooks.reading_key(system.base_url, seeded["api_key"])}
        # The reader is refused in most places, and at once: a few requests tell.
        examples = {"owner": _FULL_EXAMPLES if full else _QUICK_EXAMPLES, "reader": 5 if full else 1}
        runs = [
            _run(system, Path(folder), role, key, examples[role], full=full) for role, key in keys.items()
        ]
        errors = _server_errors(system)
    failures = [failure for run in runs for failure in run["failures"]]
    return {
        "trials": sum(run["cases"] for run in runs),
        "violations": len(failures) + len(errors) + sum(run["broken"] for run in runs),
        "operations": runs[0]["operations"],
        "failures": failures[:10],
        "server_errors": len(errors),
        "first_error": errors[0][:300] if errors else "",
    }


def _run(system: System, folder: Path, role: str, key: str, examples: int, *, full: bool) -> dict[str, Any]:
    """One run of the tool as one credential."""
    ids = folder / f"{role}.json"
    known = hooks.known_ids(system.base_url, key)
    known |= {name: [system.env[setting]] for name, setting in hooks.ACCOUNTS.items()}
    ids.write_text(json.dumps(known), encoding="utf-8")
    command = [
        *(_TOOL, "run", f"{system.base_url}/openapi.json", "--checks=all", "--continue-on-failure"),
        *(f"--header=Authorization: Bearer {key}", f"--max-examples={examples}", "--seed=4", "--workers=2"),
        f"--phases={_PHASES if full else _QUICK_PHASES[role]}",
        *("--no-color", "--suppress-health-check=all", "--output-sanitize=false", "--warnings=off"),
    ]
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
        "SCHEMATHESIS_HOOKS": "tests.prove.schemathesis_hooks",
        hooks.IDS_VARIABLE: str(ids),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if kept := os.environ.get("PROVE_LOGS"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        (Path(kept) / f"d4-{role}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    tested = re.search(r"Tested: (\d+)", done.stdout)
    selected = re.search(r"Selected: (\d+)/(\d+)", done.stdout)
    cases = re.search(r"(\d+) generated", done.stdout)
    complete = tested and selected and tested[1] == selected[1] == selected[2]
    failures = re.findall(r"^- (ST\d+ .*)$", done.stdout, re.MULTILINE)
    if not complete or (done.returncode and not failures):
        print(f"--- {role}\n{done.stdout[-3000:]}{done.stderr[-2000:]}", file=sys.stderr)
    return {
        "operations": int(tested[1]) if tested else 0,
        "cases": int(cases[1]) if cases else 0,
        "failures": [f"{role}: {failure}" for failure in failures],
        "broken": int(not complete or (done.returncode != 0 and not failures)),
    }


def _server_errors(system: System) -> list[str]:
    log = system.log("up", 1_000_000)
    return [line for line in log.splitlines() if "request failed" in line or "Internal Server Error" in line]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", default=os.environ.get("FULL", "") not in ("", "0"))
    began_s = time.monotonic()
    result = prove(parser.parse_args().full)
    print(json.dumps({"promise": "D4", **result, "took_s": round(time.monotonic() - began_s, 1)}), flush=True)
    sys.exit(1 if result["violations"] else 0)


if __name__ == "__main__":
    main()
