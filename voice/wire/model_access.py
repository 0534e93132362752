"""Where a speech model is reached and with whose key. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

OPENAI: Final = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class ModelAccess:
    """`base_url` is OpenAI's or that of a compatible server, which may need no key."""

    base_url: str = OPENAI
    api_key: str = field(default="", repr=False)
    organization: str = ""
    project: str = ""

    @property
    def usable(self) -> bool:
        """A key, or another server, which may need none."""
        return bool(self.api_key) or self.base_url.rstrip("/") != OPENAI

    def sdk(self) -> dict[str, Any]:
        """Arguments of the vendor's client."""
        return {
            "api_key": self.api_key or "none",
            "base_url": self.base_url,
            "organization": self.organization or None,
            "project": self.project or None,
        }

    def headers(self) -> dict[str, str]:
        """Of a request that is made without the vendor's client."""
        found = {"Authorization": f"Bearer {self.api_key}"}
        if self.organization:
            found["OpenAI-Organization"] = self.organization
        if self.project:
            found["OpenAI-Project"] = self.project
        return found
