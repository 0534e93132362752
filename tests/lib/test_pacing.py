"""Back-off, failpoints."""

import subprocess
import sys

import pytest

from tenex.lib import failpoint
from tenex.lib.backoff import delay_s


def test_back_off_doubles_between_half_and_whole_and_is_capped() -> None:
    low = [delay_s(n, first_s=1, longest_s=60, draw=lambda: 0.0) for n in (1, 2, 3, 10, 5000)]
    high = [delay_s(n, first_s=1, longest_s=60, draw=lambda: 1.0) for n in (1, 2, 3, 10, 5000)]
    assert low == [0.5, 1, 2, 30, 30]
    assert high == [1, 2, 4, 60, 60]


def test_a_failpoint_acts_at_its_nth_passing_only() -> None:
    failpoint.arm("here:raise@2")
    try:
        failpoint.hit("elsewhere")
        failpoint.hit("here")
        with pytest.raises(failpoint.FailpointReached):
            failpoint.hit("here")
        failpoint.hit("here")
    finally:
        failpoint.arm("")
    failpoint.hit("here")


@pytest.mark.parametrize("spec", ["here", "here:explode", ":kill", "here:kill@0", "here:kill@x"])
def test_a_failpoint_that_makes_no_sense_stops_the_start(spec: str) -> None:
    with pytest.raises(ValueError, match="FAILPOINT"):
        failpoint.arm(spec)


def test_kill_leaves_no_time_for_anything() -> None:
    code = (
        "from tenex.lib import failpoint\n"
        "failpoint.arm('x:kill')\n"
        "try:\n  failpoint.hit('x')\nfinally:\n  print('alive')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-9, b"")
