"""What our side plays to the remote person: sound and marks in one queue, taken out in 20 ms frames."""

from collections import deque

from voice.rehearsal import mulaw


class PlaybackQueue:
    """Pure: no clock and no socket. `pull` is called once a frame."""

    def __init__(self) -> None:
        self._items: deque[bytes | str] = deque()
        self._offset = 0  # bytes of the first item that were played already

    @property
    def empty(self) -> bool:
        return not self._items

    def add(self, sound: bytes) -> None:
        if sound:
            self._items.append(sound)

    def mark(self, name: str) -> bool:
        """Queue a mark; False if nothing is queued before it, so that it is due at once (twilio.md 4)."""
        if not self._items:
            return False
        self._items.append(name)
        return True

    def clear(self) -> list[str]:
        """Forget everything; the marks that were pending, all of them due at once (twilio.md 4)."""
        marks = [item for item in self._items if isinstance(item, str)]
        self._items.clear()
        self._offset = 0
        return marks

    def pull(self) -> tuple[bytes | None, list[str]]:
        """One frame (None: nothing to play) and the marks whose sound has been played with it."""
        if not self._items:
            return None, []
        frame = bytearray()
        marks: list[str] = []
        while self._items:
            item = self._items[0]
            if isinstance(item, str):
                marks.append(item)
                self._items.popleft()
                continue
            missing = mulaw.FRAME_BYTES - len(frame)
            if missing == 0:
                break
            frame += item[self._offset : self._offset + missing]
            self._offset += missing
            if self._offset >= len(item):
                self._items.popleft()
                self._offset = 0
        if len(frame) < mulaw.FRAME_BYTES:
            frame += mulaw.SILENT_FRAME[len(frame) :]
        return bytes(frame), marks
