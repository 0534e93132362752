"""Make the virtual environment ready: `setup_venv.py run|dev|offline-voice`.

Standard library only, Python 3.12 or newer.

Nothing is done if the stamp in the environment names the same requirements and Python. Two at once wait for
each other. Every package is checked against the hashes in requirements.txt, whatever index or folder it comes
from.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = {
    "run": PROJECT / "requirements.txt",
    "dev": PROJECT / "requirements-dev.txt",
    # On top of one of the others, which it leaves as they are: it has the same versions.
    "offline-voice": PROJECT / "requirements-offline-voice.txt",
}
UV_REQUIREMENTS = PROJECT / "scripts" / "uv.txt"


def main(kind: str) -> int:
    """Returns the exit status; what went wrong is on stderr."""
    requirements = REQUIREMENTS[kind]
    # The lock is on a file that is always there; it goes away with this process.
    with requirements.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_ready(kind):
            return 0
        if not _venv_works():
            print(f"setting up .venv with Python {sys.version.split()[0]}", flush=True)
            shutil.rmtree(VENV, ignore_errors=True)
            venv.create(VENV, with_pip=True, symlinks=True)
        before = [other for other in REQUIREMENTS if _is_ready(other)]
        # A stamp says that the last install was completed: it goes before the next one begins.
        for other in REQUIREMENTS:
            _stamp(other).unlink(missing_ok=True)
        print(f"installing {requirements.name} (hashes checked)", flush=True)
        if not _install(requirements):
            print(f"{requirements.name} could not be installed: see above.", file=sys.stderr)
            return 1
        ready = {kind, "run"} if kind == "dev" else {kind}  # the development set contains the other
        if kind == "offline-voice":
            ready |= {*before}
        for one in ready:
            _stamp(one).write_text(_key(one), encoding="ascii")
    return 0


def _is_ready(kind: str) -> bool:
    try:
        return _stamp(kind).read_text(encoding="ascii") == _key(kind) and PYTHON.exists()
    except OSError:
        return False


def _stamp(kind: str) -> Path:
    return VENV / f".installed-{kind}"


def _key(kind: str) -> str:
    """What the environment was made from: requirements, Python, place (a moved environment does not work)."""
    digest = hashlib.sha256(REQUIREMENTS[kind].read_bytes())
    config = VENV / "pyvenv.cfg"
    digest.update(config.read_bytes() if config.exists() else b"")
    digest.update(os.fsencode(VENV))
    return digest.hexdigest()


def _venv_works() -> bool:
    """Whether an environment of a Python that is new enough is there and has pip."""
    if not PYTHON.exists():
        return False
    probe = "import sys, pip; sys.exit(0 if sys.version_info >= (3, 12) else 1)"
    # Asked from inside: it may have been moved, or its Python removed.
    return (
        subprocess.run(
            [PYTHON, "-I", "-c", probe], stdin=subprocess.DEVNULL, capture_output=True, check=False
        ).returncode
        == 0
    )


def _install(requirements: Path) -> bool:
    """With uv, ten times quicker, if pip can get it; else with pip, which may know a mirror uv does not."""
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON), "--no-config"]
    has_uv = _run(
        [str(PYTHON), "-m", "pip", *_PIP_INSTALL, "--requirement", str(UV_REQUIREMENTS)], quiet=True
    )
    if has_uv and _run([*uv, "--strict", "--require-hashes", "--requirement", str(requirements)]):
        return True
    print("uv cannot install them here, trying pip", flush=True)
    return _run([str(PYTHON), "-m", "pip", *_PIP_INSTALL, "--requirement", str(requirements)])


# No constraints or options of the machine's own: the requirements name everything.
_PIP_INSTALL = [
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--require-hashes",
    "--only-binary=:all:",
]


def _run(command: list[str], *, quiet: bool = False) -> bool:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "PIP_TARGET")
    }
    environment["PIP_NO_INPUT"] = "1"
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
        env=environment,
        check=False,
    )
    return done.returncode == 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in REQUIREMENTS:
        sys.exit("usage: setup_venv.py " + "|".join(REQUIREMENTS))
    sys.exit(main(sys.argv[1]))
