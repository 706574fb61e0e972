"""Limits on what a file may make us allocate."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import FormatError

# Deflate shrinks at best 1032-fold, and only constant data; measured traces shrink two- to tenfold, zero-filled
# sets perhaps fifty-fold. Beyond FREE_BYTES a file that unpacks to more than RATIO times its size is refused.
RATIO = 128
FREE_BYTES = 16 << 20


class Budget:
    """Counts the bytes that reading ``path`` asks for, and refuses before they are allocated.

    Parameters
    ----------
    path : Path
        The total may be ``FREE_BYTES + RATIO * size of the file``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file_bytes = os.stat(path).st_size
        self.limit = FREE_BYTES + RATIO * self.file_bytes
        self.taken = 0

    def take(self, what: str, shape: Sequence[int], item_bytes: int = 1) -> None:
        """Ask for an array; FormatError when it is more than the file can honestly hold."""
        self.check(what, shape, item_bytes)
        self.taken += math.prod(int(n) for n in shape) * item_bytes
        if self.taken > self.limit:
            raise self._refusal(what, self.taken)

    def check(self, what: str, shape: Sequence[int], item_bytes: int = 1) -> None:
        """Refuse a single array that is larger than the whole limit, without counting it."""
        declared = math.prod(int(n) for n in shape) * item_bytes
        if declared > self.limit or min((int(n) for n in shape), default=0) < 0:
            raise self._refusal(what, declared)

    def _refusal(self, what: str, declared: int) -> FormatError:
        return FormatError(
            f"{self.path}: {what}: expected at most {self.limit} bytes from a file of {self.file_bytes} bytes, "
            f"got a declared size of {declared}; the file is damaged or hostile"
        )
