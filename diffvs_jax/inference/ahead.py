"""Work done ahead of who asks for it, in a thread of its own."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_END: Any = object()


def ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items, with up to ``depth`` of them made before they are asked for.

    An error arrives where its item would have. Closed early, it closes ``items``, where that is a generator.
    """
    iterator = iter(items)
    worker = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    waiting = deque(worker.submit(next, iterator, _END) for _ in range(depth))
    try:
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(worker.submit(next, iterator, _END))
            yield item
    finally:
        worker.shutdown(cancel_futures=True)
        if hasattr(iterator, "close"):
            iterator.close()
