"""Sealed texts: AES-256-GCM with the name of the key and the place that a value belongs to.

    s1.<key id>.<base64url of nonce, ciphertext and tag>

`s1` is the version of the form. The key id says which key opens it and is no secret. What the caller names
as `bound` (the workspace, the table, the column, the row) is authenticated and not stored: a text that is
moved to another place does not open there. Random nonces of 96 bits; a key seals far fewer than 2**32 texts.
"""

import base64
import binascii
import os
import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION: Final = "s1"
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NotSealed(ValueError):
    """A text that is not of the form of this module."""


class WrongKey(ValueError):
    """The key, the place or the text is not the one that it was sealed with. Which, nobody can tell."""


def new_key() -> bytes:
    """32 random bytes."""
    return os.urandom(KEY_BYTES)


def derive(key: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF-SHA-256). Those of two purposes tell nothing of each other."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"tenex:{purpose}".encode()).derive(key)


def seal(key: bytes, key_id: str, plaintext: bytes, *bound: str) -> str:
    """`plaintext` under a key of 32 bytes, for the place that `bound` names."""
    if KEY_ID.fullmatch(key_id) is None:
        raise ValueError("a key id is made of letters, digits, - and _")
    nonce = os.urandom(_NONCE_BYTES)
    body = nonce + AESGCM(key).encrypt(nonce, plaintext, _authenticated(key_id, bound))
    return f"{VERSION}.{key_id}.{base64.urlsafe_b64encode(body).decode().rstrip('=')}"


def unseal(key: bytes, sealed: str, *bound: str) -> bytes:
    """What was sealed.

    Raises:
        NotSealed: `sealed` has another form.
        WrongKey: it was sealed with another key or for another place, or somebody changed it.
    """
    key_id, body = _parts(sealed)
    try:
        return AESGCM(key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _authenticated(key_id, bound))
    except InvalidTag as exc:
        raise WrongKey("another key or place, or the text was changed") from exc


def key_id_of(sealed: str) -> str:
    """The id of the key that opens it.

    Raises:
        NotSealed: `sealed` has another form.
    """
    return _parts(sealed)[0]


def prefix(key_id: str) -> str:
    """How every text begins that this key sealed."""
    return f"{VERSION}.{key_id}."


def _parts(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    key_id, _, encoded = rest.partition(".")
    if version != VERSION or KEY_ID.fullmatch(key_id) is None:
        raise NotSealed("not a sealed text")
    try:
        body = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise NotSealed("not a sealed text") from exc
    if len(body) < _NONCE_BYTES + _TAG_BYTES:
        raise NotSealed("a sealed text that was cut off")
    return key_id, body


def _authenticated(key_id: str, bound: tuple[str, ...]) -> bytes:
    """Unambiguous: every part goes with its length."""
    parts = [part.encode() for part in (VERSION, key_id, *bound)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
