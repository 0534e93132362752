#!/bin/sh
# Prints the path of a Python that runs and is new enough for this project; else says what is missing.
#
# A name on PATH proves little: version managers put shims there that fail. So every candidate is run. PYTHON= names
# one and no other is tried.
set -u

MINOR=12
PROBE="import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, $MINOR) else 1)"

usable() {
    [ -n "$1" ] && command -v "$1" >/dev/null 2>&1 && "$1" -I -c "$PROBE" >/dev/null 2>&1
}

# What runs and is new enough but cannot make a virtual environment: worth a hint of its own.
new_enough() {
    [ -n "$1" ] && command -v "$1" >/dev/null 2>&1 &&
        "$1" -I -c "import sys; sys.exit(0 if sys.version_info >= (3, $MINOR) else 1)" >/dev/null 2>&1
}

say_found() {
    "$1" -I -c 'import sys; print(sys.executable)'
    exit 0
}

if [ -n "${PYTHON:-}" ]; then
    usable "$PYTHON" && say_found "$PYTHON"
    echo "PYTHON=$PYTHON does not run, is older than 3.$MINOR, or lacks the modules venv and ensurepip." >&2
    exit 1
fi

without_venv=
for candidate in python3.14 python3.13 python3.12 python3 python; do
    usable "$candidate" && say_found "$candidate"
    new_enough "$candidate" && without_venv=${without_venv:-$candidate}
done
for root in "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"; do
    [ -n "$root" ] || continue
    for candidate in "$root"/versions/3.14*/bin/python "$root"/versions/3.13*/bin/python "$root"/versions/3.12*/bin/python; do
        [ -x "$candidate" ] && usable "$candidate" && say_found "$candidate"
    done
done
if [ -n "$without_venv" ]; then
    echo "$without_venv has no venv/ensurepip: install its venv package (Debian: apt install python3-venv)." >&2
else
    echo "No Python 3.$MINOR or newer that runs was found: install one (Debian 13: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.$MINOR" >&2
fi
exit 1
