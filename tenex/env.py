"""Typed readers of the environment. A value that makes no sense stops the start with one clear line."""

import base64
import binascii
import os
import re
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """The variable, or the content of the file that `<name>_FILE` points at, or `default`."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                return file.read().strip()
        except OSError as exc:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {exc.strerror}") from exc
    return os.environ.get(name, default).strip() or default


def flag(name: str, default: bool = False) -> bool:
    raw = text(name).lower()
    if not raw:
        return default
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {raw!r}")


def integer(name: str, default: int, *, low: int | None = None, high: int | None = None) -> int:
    raw = text(name)
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError as exc:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {raw!r}") from exc
    if (low is not None and value < low) or (high is not None and value > high):
        raise ImproperlyConfigured(f"{name} must lie between {low} and {high}, not {value}")
    return value


def number(name: str, default: float) -> float:
    raw = text(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError as exc:
        raise ImproperlyConfigured(f"{name} must be a number, not {raw!r}") from exc
    if not value > 0:
        raise ImproperlyConfigured(f"{name} must be above 0, not {raw!r}")
    return value


def items(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def prices(name: str, default: str) -> dict[str, float]:
    """`text_in=4,audio_in=32`: the names of `default`, none left out, numbers of 0 and above."""
    found: dict[str, float] = {}
    for part in items(name, default):
        key, _, raw = part.partition("=")
        try:
            value = float(raw)
        except ValueError as exc:
            raise ImproperlyConfigured(f"{name}: {part!r} is not name=number") from exc
        if not 0 <= value < 1e6:
            raise ImproperlyConfigured(f"{name}: {part!r} must lie between 0 and 1000000")
        found[key.strip()] = value
    names = {part.partition("=")[0].strip() for part in default.split(",")}
    if found.keys() != names:
        raise ImproperlyConfigured(f"{name} must name {', '.join(sorted(names))}, each once")
    return found


def origins(name: str) -> list[str]:
    """Origins as browsers write them: `https://app.example.com`, with a port if it is not the usual one."""
    found = items(name)
    for origin in found:
        parts = urlsplit(origin)
        plain = f"{parts.scheme}://{parts.netloc}".lower()
        if parts.scheme not in {"http", "https"} or not parts.hostname or origin != plain or "*" in origin:
            raise ImproperlyConfigured(f"{name} must be origins (https://host), not {origin!r}")
    return found


_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def keys(name: str, value: str | None = None) -> dict[str, bytes]:
    """`id:base64,id2:base64`: keys of 32 bytes by their ids, in that order; of `value` if it is given.

    An error never repeats a value.
    """
    found: dict[str, bytes] = {}
    for number, part in enumerate((text(name) if value is None else value).split(","), 1):
        if not part.strip():
            continue
        key_id, _, encoded = part.strip().partition(":")
        if _KEY_ID.fullmatch(key_id) is None:
            raise ImproperlyConfigured(f"{name}: key {number} has no id; write id:base64,id2:base64")
        try:
            key = base64.b64decode(encoded.strip().translate(str.maketrans("-_", "+/")), validate=True)
        except (binascii.Error, ValueError) as exc:
            raise ImproperlyConfigured(f"{name}: key {key_id} is not base64") from exc
        if len(key) != 32:
            raise ImproperlyConfigured(f"{name}: key {key_id} must be 32 bytes, not {len(key)}")
        if key_id in found:
            raise ImproperlyConfigured(f"{name}: {key_id} is there twice")
        found[key_id] = key
    return found


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def base_url(name: str, default: str = "") -> str:
    """An http(s) URL without a trailing slash; a path is allowed."""
    value = text(name, default).rstrip("/")
    if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc):
        raise ImproperlyConfigured(f"{name} must be an http(s) URL, not {value!r}")
    return value


def database(url: str) -> dict[str, object]:
    """Django's DATABASES entry of `postgres://user:password@host:port/name?option=…`.

    A Unix socket is given as `?host=/folder`.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must be a postgres:// URL; PostgreSQL is the only database")
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    host = unquote(query.pop("host", "")) or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "tenex",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or query.pop("port", "")),
        "OPTIONS": {key: unquote(value) for key, value in query.items()},
    }
