#!/bin/sh
# Makes .venv ready. Usage: scripts/setup.sh run|dev|offline-voice
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=$(sh "$here/find_python.sh")
exec "$python" -I "$here/setup_venv.py" "$@"
