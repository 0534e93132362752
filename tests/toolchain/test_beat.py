"""The scheduler really schedules what the apps declare."""

from pathlib import Path

from celery import beat, signals

from tenex.celery import app


def test_what_the_apps_declare_is_due(tmp_path: Path) -> None:
    service = beat.Service(app, schedule_filename=str(tmp_path / "schedule"))
    assert service.scheduler.max_interval  # as `start` does it: the schedule is read before the signal
    signals.beat_init.send(sender=service)
    try:
        entries = service.scheduler.schedule
        assert {"voice.sweep", "voice.outbound.tick", "voice.outbound.reconcile"} <= set(entries)
        assert entries["voice.outbound.tick"].is_due()[1] <= 1.0
    finally:
        service.scheduler.close()
