"""The same work on many songs at once, in processes of their own."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def run_jobs(function: Callable[..., Any], jobs: Sequence[tuple], num_workers: int) -> Iterator[Any]:
    """``function(*job)`` for every job, in the jobs' order, as the results come.

    Args:
      function: of a module, since processes receive it pickled.
      jobs: arguments.
      num_workers: processes; 1 or less works in this one. What fails ends them all.
    """
    num_workers = min(num_workers, len(jobs))
    if num_workers <= 1:
        yield from (function(*job) for job in jobs)
        return
    # Processes are spawned: a fork of threads that JAX or BLAS have started may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        try:
            yield from (future.result() for future in futures)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
