"""A test set from files to records: decoded ahead, separated in shared calls, scored while the next call runs."""

import contextlib
import dataclasses
import errno
import itertools
import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.clips import Clip, load_clip, middle
from diffvs_jax.evaluation.estimates import files_of, find_folder, load_estimates
from diffvs_jax.inference.ahead import ahead
from diffvs_jax.inference.separator import Separator, Stems
from diffvs_jax.inference.track import Track as Stream

Advance = Callable[[float, float], None]
_BLOCK = 2**17  # samples
# A full disk and its like: no track after this one could be written, either.
_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_LONGEST = 200  # bytes of a file's name, to which endings are added
# What parts folders, and control characters and ends of lines.
_UNFIT = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Entry(NamedTuple):
    """A track to score: ``name`` tells it from all others, and is that of its files."""

    name: str
    track: Track

    @property
    def estimated_as(self) -> tuple[str, ...]:
        """Names that others' estimates of it may have: the data set's own, then that of its files."""
        numbered = self.name != _file_name(self.track)  # another track has its name, and the estimates of that name
        return (self.name,) if numbered else tuple(dict.fromkeys((self.track.name, self.name)))

    def fingerprint(self) -> list:
        """What its references are known again by: stems with their files, and the mixture's; names, sizes, times."""
        mixture = (self.track.mixture,) if self.track.mixture else ()
        files = [*self.track.stems.items(), ("mixture", mixture)]
        stats = [(stem, path, path.stat()) for stem, paths in files for path in paths]
        return [[stem, path.name, stat.st_size, stat.st_mtime_ns] for stem, path, stat in stats]


class Separated(NamedTuple):
    """A track with its estimates, and the seconds that decoding it took."""

    entry: Entry
    clip: Clip
    stems: Stems
    decoding: float


@dataclasses.dataclass
class Failures:
    """Tracks that could not be scored, each with a line that says why; the others go on.

    Attributes:
      lines: by the tracks' names.
      left_out: lines about tracks that cannot even be opened.
    """

    lines: dict[str, str] = dataclasses.field(default_factory=dict)
    left_out: list[str] = dataclasses.field(default_factory=list)

    def add(self, entry: Entry, error: Exception) -> None:
        """Keeps what is wrong with a track; whatever is no mistake of its files, as a full disk, is raised."""
        unwritten = isinstance(error, OSError) and error.errno in _UNWRITTEN
        if unwritten or not isinstance(error, InputError | OSError | FloatingPointError):
            raise error
        text = str(error)
        self.lines[entry.name] = " ".join((text if entry.name in text else f"{entry.name}: {text}").split())


def separate(
    separator: Separator, entries: Sequence[Entry], seconds: float, failures: Failures, advance: Advance
) -> Iterator[Separated]:
    """Tracks with a model's estimates, in order.

    Tracks are read in a thread, and chunks of many share calls of the program, of which there is one.

    Args:
      separator: of the model.
      entries: the tracks.
      seconds: of the middle of each; 0: all of it.
      failures: told of tracks that cannot be read.
      advance: told (seconds of audio done, seconds that need not be done).
    """

    def streams() -> Iterator[Stream]:
        for entry in entries:
            start = time.perf_counter()
            try:
                clip = load_clip(entry.track, separator.targets, seconds)
            except Exception as error:
                failures.add(entry, error)
                continue
            yield Stream(_blocks(clip.mixture), clip.sample_rate, (entry, clip, time.perf_counter() - start))

    waiting = {entry.name: entry for entry in entries}
    error: Exception = InputError("not separated")
    try:
        for stream, blocks in separator.separate_tracks(streams()):
            entry, clip, decoding = stream.name
            del waiting[entry.name]
            try:
                stems = _collect(blocks, clip.sample_rate, advance)
            except Exception as stopped:
                error = stopped
                failures.add(entry, error)
                continue
            yield Separated(entry, clip, stems, decoding)
    except InputError as stopped:  # the device has given up: its memory is too small
        error = stopped
    for name, entry in waiting.items():
        if name not in failures.lines:
            failures.add(entry, error)


def _collect(blocks: Iterable[Stems], sample_rate: int, advance: Advance) -> Stems:
    parts: list[Stems] = []
    for block in blocks:
        parts.append(block)
        advance(len(next(iter(block.values()))) / sample_rate, 0.0)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_estimates(
    root: Path,
    split: str,
    entries: Sequence[Entry],
    targets: Sequence[str],
    seconds: float,
    failures: Failures,
    advance: Advance,
) -> Iterator[Separated]:
    """Tracks with estimates that lie on disk, in order; the next is read while one is scored. See ``separate``."""

    def read() -> Iterator[Separated]:
        for entry in entries:
            start = time.perf_counter()
            try:
                paths = files_of(find_folder(root, split, entry.estimated_as), targets)
                clip, stems = _load_both(entry.track, paths, targets, seconds)
            except Exception as error:
                failures.add(entry, error)
                continue
            yield Separated(entry, clip, stems, time.perf_counter() - start)

    for found in ahead(read(), depth=1):
        advance(len(found.clip.mixture) / found.clip.sample_rate, 0.0)
        yield found


def _load_both(track: Track, paths: dict[str, Path], targets: Sequence[str], seconds: float) -> tuple[Clip, Stems]:
    clip = load_clip(track, targets)
    stems = load_estimates(paths, clip)
    return clip.middle(seconds), {name: middle(stem, clip.sample_rate, seconds) for name, stem in stems.items()}


def score_beside(tracks: Iterable[Separated], score: Callable[[Separated], None]) -> None:
    """Scores each track in a thread, while the next is separated; at most one waits."""
    with contextlib.ExitStack() as cleanup:
        if isinstance(tracks, Generator):  # threads that read ahead end here, and not whenever it is collected
            cleanup.callback(tracks.close)
        worker = cleanup.enter_context(ThreadPoolExecutor(1, thread_name_prefix="scoring"))
        scoring: Future | None = None
        for track in tracks:
            if scoring is not None:
                scoring.result()
            scoring = worker.submit(score, track)
        if scoring is not None:
            scoring.result()


def unique_names(tracks: Sequence[Track]) -> list[Entry]:
    """Tracks with names that can be those of files, no two of them alike."""
    entries: list[Entry] = []
    taken: set[str] = set()
    for track in tracks:
        name = _file_name(track)
        free = (name if number == 1 else f"{name} ({number})" for number in itertools.count(1))
        name = next(candidate for candidate in free if candidate.casefold() not in taken)
        taken.add(name.casefold())
        entries.append(Entry(name, track))
    return entries


def _file_name(track: Track) -> str:
    text = os.fsencode(_UNFIT.sub("_", track.name))[:_LONGEST].decode(errors="ignore")
    return text.strip(". ") or "track"


def _blocks(audio: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(audio), _BLOCK):
        yield audio[start : start + _BLOCK]
