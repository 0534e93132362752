"""YAML that comes with the code, read by libyaml where it is there: some thirty times as fast."""

from typing import Any

import yaml

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: bytes) -> Any:
    """
    Raises:
        yaml.YAMLError.
    """
    return yaml.load(text, _LOADER)  # noqa: S506 - one of the two safe ones
