"""The heads of HTTP/2's frames, weighed as they come and before anything is made of them."""

from __future__ import annotations

from kairos.serving.connections.limits import LARGEST_HEAD_BYTES

__all__ = ["COST_OF_RESET", "CREDIT_PER_ANSWER", "CREDIT_PER_S", "LARGEST_FRAME_BYTES", "MOST_CREDIT", "FrameScale"]

LARGEST_FRAME_BYTES = 16 << 10
"""What RFC 9113 lets everybody send; no more is announced."""

MOST_CREDIT = 2_000.0
"""Frames that a connection may send in a burst without asking for anything by them."""

CREDIT_PER_S = 200.0
CREDIT_PER_ANSWER = 10.0
"""A client that is answered may send so many more."""

COST_OF_RESET = 20.0
"""A request that is taken back costs work (CVE-2023-44487): 100 in a burst, ten a second, one more for every two
answers."""

_SMALLEST_USEFUL_BYTES = 256
"""Of a frame of a body; smaller ones cost like those that bring nothing (CVE-2019-9511)."""

_HEAD_BYTES = 9
_DATA, _HEADERS, _RESET, _CONTINUATION = 0x0, 0x1, 0x3, 0x9
_END_STREAM, _END_HEADERS = 0x1, 0x4


class FrameScale:
    """Weighs what one connection sends.

    Args:
        skip: Bytes that come before the first frame.
        now_s: The loop's time.
    """

    def __init__(self, *, skip: int, now_s: float) -> None:
        self._rest = skip
        """Bytes of the present frame that are still to come."""
        self._head = b""
        """The head of the next one, as far as it came."""
        self._block_bytes = 0
        """Of a request's head that has not ended yet."""
        self._credit = MOST_CREDIT
        self._last_s = now_s

    def give(self) -> None:
        """A request was answered."""
        self._credit = min(self._credit + CREDIT_PER_ANSWER, MOST_CREDIT)

    def weigh(self, data: bytes, now_s: float) -> str | None:
        """Takes what came next.

        Returns:
            Why the connection has to end; ``None``: it may go on.
        """
        self._credit = min(self._credit + CREDIT_PER_S * (now_s - self._last_s), MOST_CREDIT)
        self._last_s = now_s
        at, size = 0, len(data)
        while at < size:
            skipped = min(self._rest, size - at)
            self._rest -= skipped
            at += skipped
            head = data[at : at + _HEAD_BYTES - len(self._head)]
            at += len(head)
            self._head += head
            if len(self._head) == _HEAD_BYTES:
                trouble = self._take(self._head)
                self._head = b""
                if trouble is not None:
                    return trouble
        return None

    def _take(self, head: bytes) -> str | None:
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        self._rest = length
        if length > LARGEST_FRAME_BYTES:
            return "a frame is too large"
        if kind in (_HEADERS, _CONTINUATION):
            self._block_bytes += length + 1
            if self._block_bytes > LARGEST_HEAD_BYTES:
                return "the head of a request is too large"
            if flags & _END_HEADERS:
                self._block_bytes = 0
        self._credit -= _cost(kind, flags, length)
        return None if self._credit >= 0 else "too many frames ask for nothing"


def _cost(kind: int, flags: int, length: int) -> float:
    if kind == _DATA:
        return 0.0 if length >= _SMALLEST_USEFUL_BYTES or flags & _END_STREAM else 1.0
    if kind == _RESET:
        return COST_OF_RESET
    return 1.0 if kind in (_HEADERS, _CONTINUATION) else 1.0 + length / 64  # settings are many in one frame
