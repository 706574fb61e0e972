"""Progress of long work on standard error: a bar where tqdm is installed, a line per step where it is not."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], label: str, *, total: int | None = None, enabled: bool = True) -> Iterator[T]:
    """Yield ``items`` and show how far the loop is, unless ``enabled`` is false or there is only one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not enabled or total == 1:
        yield from items
        return
    try:
        from tqdm import tqdm
    except ImportError:
        for i, item in enumerate(items, 1):
            sys.stderr.write(f"{label}: {i}{f' of {total}' if total else ''}\n")
            yield item
        return
    yield from tqdm(items, desc=label, total=total, file=sys.stderr, leave=False)


@contextmanager
def fraction_bar(label: str, *, enabled: bool = True) -> Iterator[Callable[[float], None]]:
    """Give a function that takes the fraction done of one long step and shows it, unless ``enabled`` is false."""
    if not enabled:
        yield lambda _: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        sys.stderr.write(f"{label} ...\n")
        yield lambda _: None
        return
    with tqdm(total=100, desc=label, unit="%", file=sys.stderr, leave=False) as bar:
        yield lambda fraction: bar.update(100 * fraction - bar.n)
