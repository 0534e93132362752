"""Every limit that strangers meet, in one place (promises.md R13). `tests/lib/test_limits.py` tries each.

Limits of a workspace or of an installation are settings instead: lines and calls a second, requests a minute,
calls a process.
"""

from typing import Final

# --- requests ---
REQUESTS_PER_MINUTE: Final = 1000
"""Of a key or person, or of an address without a good credential (contract.md 3)."""
WRONG_SECRETS_PER_MINUTE: Final = 10
"""For one key's prefix."""
SIGN_INS_PER_MINUTE: Final = 20
"""Of an address, and of an account: a password check takes a tenth of a second of all cores on purpose."""
SHARED_OPENS_PER_MINUTE: Final = 120
"""Of an address: pages of shared calls and what they load, and guesses at links."""
BODY_BYTES: Final = 1024 * 1024
UPLOAD_BODY_BYTES: Final = 26 * 1024 * 1024
"""Of any route: a CSV file of 25 MiB, in a form."""
JSON_DEPTH: Final = 32
FREE_OBJECT_BYTES: Final = 64 * 1024
"""A JSON object of the caller's own making."""
BULK_ITEMS: Final = 500
"""Published limit of bulk requests (contract.md 3)."""
PAGE_ITEMS: Final = 50
PAGE_ITEMS_MOST: Final = 200
IDEMPOTENCY_KEY_CHARS: Final = 255
ANSWERS_KEPT_H: Final = 72

# --- the media socket ---
# A frame of 20 ms has some 300 bytes. With uvicorn's own limits (16 MiB, 32 in the queue) four sockets that
# nobody reads took 136 MiB more; with these none did (promises.md B5).
FRAME_BYTES: Final = 64 * 1024
FRAME_QUEUE: Final = 64

# --- a live call ---
CALL_S: Final = 1800.0
TOOL_OUTPUT_BYTES: Final = 8192
TOOL_DEADLINE_S: Final = 8.0
