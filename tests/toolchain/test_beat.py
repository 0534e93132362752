"""The scheduler really schedules what wakes up by itself, and loads nothing for it."""

import os
import subprocess
import sys
from pathlib import Path

from celery import beat

from tenex.scheduler import app

_LOADED = """
import sys
from celery import beat
from tenex.scheduler import app
service = beat.Service(app, schedule_filename=sys.argv[1])
app.loader.init_worker()
print(len(service.scheduler.schedule), *(name for name in sys.modules if name.endswith(("models", "admin"))))
service.scheduler.close()
"""


def test_what_wakes_up_by_itself_is_due(tmp_path: Path) -> None:
    service = beat.Service(app, schedule_filename=str(tmp_path / "schedule"))
    try:
        entries = service.scheduler.schedule
        assert {"voice.sweep", "voice.outbound.tick", "voice.outbound.reconcile"} <= set(entries)
        assert entries["voice.outbound.tick"].is_due()[1] <= 1.0
    finally:
        service.scheduler.close()


def test_it_loads_no_app(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, str(tmp_path / "schedule")],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    count, *loaded = done.stdout.split()
    assert int(count) > 20
    assert not [name for name in loaded if name.startswith(("crm", "voice", "tenex"))]
