"""`python -m bench [--quick] [--json FILE]`: engines of its own unless DATABASE_URL and REDIS_URL are set."""

import argparse
import json
import os
import secrets
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))  # so that DEBUG is off, as in production

from tenex.engines.bootstrap import ensure_environment

ensure_environment(throwaway=True)

from bench import fixture, media  # noqa: E402 - after the engines have addresses


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--hold", default="50,100,200", help="numbers of calls, or empty")
    parser.add_argument("--json", type=Path, default=None, help="where to write everything")
    parser.add_argument(
        "--real-time",
        action="store_true",
        help="before all other work of the machine, so that waits are ours (needs root)",
    )
    options = parser.parse_args()
    media.REAL_TIME = options.real_time
    if options.quick:
        options.rounds, options.seconds, options.hold = 1, 6.0, ""
    sizes = [int(size) for size in options.hold.split(",") if size]
    with fixture.scratch_database() as database_url:
        print(media.HEAD, flush=True)
        compared = media.compare(
            rounds=options.rounds, calls=options.calls, warm_s=6.0, seconds=options.seconds,
            database_url=database_url,
        )  # fmt: skip
        held = media.hold(sizes, warm_s=8.0, seconds=options.seconds, database_url=database_url)
        asked = media.measure(
            "ours", 25, warm_s=6.0, seconds=options.seconds, database_url=database_url, with_webhook=True
        )
        p50, p95, _ = asked.webhook_ms
        print(f"voice webhook while 25 calls run: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    found = media.summary(compared, held, asked)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key != "runs"}, indent=2))


if __name__ == "__main__":
    main()
