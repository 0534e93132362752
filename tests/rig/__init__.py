"""A whole system of real processes for tests: engines, servers, workers, the offline carrier and model.

    with start_system() as system:                    # one of each, as `make run` starts them
        ...system.base_url, system.carrier_url...
    with start_system(shape="multi") as system:       # two media, two workers, TCP engines, S3
        system.kill("worker-1")

`shape_under_test()` is the shape that TENEX_FLOWS names, so that the same flows run in both.
"""

from tests.rig.process import RealProcess, RigError
from tests.rig.system import Shape, System, shape_under_test, start_system

__all__ = ["RealProcess", "RigError", "Shape", "System", "shape_under_test", "start_system"]
