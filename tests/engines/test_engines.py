"""The embedded engines under what happens to them: kills, stale files, two at once, root and not root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis

from tenex import engines
from tenex.engines import account
from tenex.engines.folder import EngineFolder
from tenex.engines.process import is_alive, wait_until

PROJECT = Path(__file__).resolve().parents[2]
HOLD = """
import json, sys, time
from tenex import engines
found = engines.ensure(sys.argv[1])
print(json.dumps([found.database_url, found.redis_url]), flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not pytest's own folder: its path may be too long for a socket, and the engines move it elsewhere then.
    with tempfile.TemporaryDirectory(prefix="tenex-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data"
        engines.stop(Path(folder) / "data")


def _holder(
    data_dir: Path, seconds: float = 60, set_up: Callable[[], None] | None = None
) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        preexec_fn=set_up,
    )
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
    if not line:
        process.wait()
    assert line, "the other user of the engines ended"
    return process, json.loads(line)


def _is_gone(pid: int) -> bool:
    return not is_alive(pid)


def _keeper_pid(data_dir: Path, engine: str) -> int:
    state = EngineFolder(data_dir / engine).read_state()
    assert state is not None
    return state.keeper_pid


def _query(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def test_both_answer_and_a_second_call_finds_them(data_dir: Path) -> None:
    first = engines.ensure(data_dir)
    assert _query(first.database_url, "SELECT current_setting('server_version_num')::int >= 180000") is True
    with redis.Redis.from_url(first.redis_url) as client:
        assert client.ping()
    assert engines.ensure(data_dir) == first


def test_application_role_is_no_superuser_but_has_vectors_in_new_databases(data_dir: Path) -> None:
    url = engines.ensure(data_dir, valkey=False).database_url
    assert _query(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    _query(url, "CREATE DATABASE another")
    other = url.replace("/tenex?", "/another?")
    assert _query(other, "SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2.0


def test_committed_data_survives_a_killed_server_which_comes_back(data_dir: Path) -> None:
    url = engines.ensure(data_dir, valkey=False).database_url
    _query(url, "CREATE TABLE kept AS SELECT 7 AS n")
    server = EngineFolder(data_dir / "postgres").read_state()
    assert server is not None
    os.kill(server.engine_pid, signal.SIGKILL)

    def answers() -> bool:
        try:
            return _query(url, "SELECT n FROM kept") == 7
        except psycopg.OperationalError:
            return False

    assert wait_until(answers, timeout_s=20, every_s=0.1)


def test_next_start_clears_up_after_a_killed_keeper(data_dir: Path) -> None:
    first = engines.ensure(data_dir)
    _query(first.database_url, "CREATE TABLE kept AS SELECT 7 AS n")
    with redis.Redis.from_url(first.redis_url) as client:
        client.set("kept", "7")
        assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    for keeper in [_keeper_pid(data_dir, engine) for engine in ("postgres", "valkey")]:
        os.kill(keeper, signal.SIGKILL)
        assert wait_until(partial(_is_gone, keeper), timeout_s=5)
    again = engines.ensure(data_dir)
    assert again.database_url == first.database_url
    assert _query(again.database_url, "SELECT n FROM kept") == 7
    with redis.Redis.from_url(again.redis_url) as client:
        assert client.get("kept") == b"7"


def test_stale_pid_file_that_names_a_living_stranger(data_dir: Path) -> None:
    url = engines.ensure(data_dir, valkey=False).database_url
    pid_file = data_dir / "postgres" / "cluster" / "postmaster.pid"
    stale = pid_file.read_text().splitlines()
    engines.stop(data_dir)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *stale[1:]]) + "\n")
        assert engines.ensure(data_dir, valkey=False).database_url == url
        assert _query(url, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_half_made_cluster_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres" / "cluster.new" / "base").mkdir(parents=True)
    assert _query(engines.ensure(data_dir, valkey=False).database_url, "SELECT 1") == 1


def test_data_of_another_major_version_is_refused_in_words(data_dir: Path) -> None:
    cluster = data_dir / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    with pytest.raises(engines.EngineError, match="made by PostgreSQL 17, this release brings 18"):
        engines.ensure(data_dir, valkey=False)
    # A failure that lies there is not taken for the next try's.
    shutil.rmtree(cluster)
    engines.ensure(data_dir, valkey=False)


def test_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    long_dir = tmp_path / ("d" * 100) / ("e" * 100)
    url = engines.ensure(long_dir, valkey=False).database_url
    try:
        assert _query(url, "SELECT 1") == 1
        engines.stop(long_dir)
        assert _query(engines.ensure(long_dir, valkey=False).database_url, "SELECT 1") == 1
    finally:
        engines.stop(long_dir)


def test_two_data_folders_at_once(tmp_path: Path) -> None:
    one, two = engines.ensure(tmp_path / "one"), engines.ensure(tmp_path / "two")
    try:
        _query(one.database_url, "CREATE TABLE only_in_one (n int)")
        assert _query(two.database_url, "SELECT to_regclass('only_in_one')") is None
        assert one.redis_url != two.redis_url
        engines.stop(tmp_path / "one")
        assert _query(two.database_url, "SELECT 1") == 1
    finally:
        # Never all that this process holds: the test run's own engines are among them.
        engines.stop(tmp_path / "one")
        engines.stop(tmp_path / "two")


def test_last_user_ends_them_even_if_it_is_killed(data_dir: Path) -> None:
    url = engines.ensure(data_dir, valkey=False).database_url
    keeper = _keeper_pid(data_dir, "postgres")
    other, urls = _holder(data_dir)
    assert urls[0] == url
    engines.stop(data_dir)
    assert _query(url, "SELECT 1") == 1
    other.kill()
    other.wait()
    assert wait_until(lambda: not is_alive(keeper), timeout_s=15)
    with pytest.raises(psycopg.OperationalError):
        _query(url, "SELECT 1")


def test_many_first_users_at_once_get_one_engine(data_dir: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(data_dir), "2"]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    users = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(5)]
    found = {user.communicate(timeout=60)[0] for user in users}
    assert len(found) == 1
    assert all(user.returncode == 0 for user in users)


def test_start_in_the_middle_of_a_stop(data_dir: Path) -> None:
    engines.ensure(data_dir, valkey=False)
    for _ in range(3):
        engines.stop(data_dir, wait=False)
        assert _query(engines.ensure(data_dir, valkey=False).database_url, "SELECT 1") == 1


def test_over_tcp_with_a_password(data_dir: Path) -> None:
    url = engines.ensure(data_dir, valkey=False, tcp=True).database_url
    assert "@127.0.0.1:" in url
    assert _query(url, "SELECT inet_server_addr() IS NOT NULL") is True
    user, _, address = url.removeprefix("postgresql://").partition("@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _query(f"postgresql://{user.split(':')[0]}:wrong@{address}", "SELECT 1")


def test_throwaway_leaves_nothing(data_dir: Path) -> None:
    engines.ensure(data_dir, throwaway=True)
    engines.stop(data_dir)
    assert wait_until(lambda: not list(data_dir.glob("*/*")), timeout_s=10)


def _as_ordinary_user() -> Callable[[], None] | None:
    """What makes a child an ordinary user if we are root; it may walk to this Python all the same."""
    if os.geteuid() != 0:
        return None
    someone = account.Account("nobody", 65534, 65534)
    needed = (Path(sys.executable).resolve(), Path(sys.base_prefix, "lib"), PROJECT / "tenex")
    return account.child_set_up(someone, needed, signal.SIGTERM)


def test_as_an_ordinary_user(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    data_dir.chmod(0o777)
    process, urls = _holder(data_dir, set_up=_as_ordinary_user())
    try:
        assert _query(urls[0], "SELECT 1") == 1
        assert (data_dir / "postgres" / "cluster").stat().st_uid == (
            65534 if os.geteuid() == 0 else os.geteuid()
        )
    finally:
        process.kill()
        process.wait()
    keeper = _keeper_pid(data_dir, "postgres")
    assert wait_until(lambda: not is_alive(keeper), timeout_s=15)


def test_folders_above_the_data_keep_their_modes(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    try:
        assert _query(engines.ensure(private / "data", valkey=False).database_url, "SELECT 1") == 1
        assert private.stat().st_mode & 0o777 == 0o700
    finally:
        engines.stop(private / "data")


def test_restart_is_quick(data_dir: Path) -> None:
    engines.ensure(data_dir)
    engines.stop(data_dir)
    began = time.monotonic()
    engines.ensure(data_dir)
    # Measured: 0.2 s; the bound only catches a start that waits for a time-out somewhere.
    assert time.monotonic() - began < 5
