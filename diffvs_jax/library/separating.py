"""Songs on disk to stems on disk, one after the other out of one stream of chunks.

Decoding runs ahead in a thread of its own and the device computes the next call while stems are
written, so none of the three waits for another unless it is the slowest.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from diffvs_jax.audio.encoding import check_format
from diffvs_jax.audio.reading import STANDARD_INPUT, Reader, open_audio
from diffvs_jax.audio.writing import STANDARD_OUTPUT, StemFiles, Written
from diffvs_jax.errors import InputError
from diffvs_jax.inference.separator import Separator, Stems
from diffvs_jax.inference.track import Track
from diffvs_jax.library import finished
from diffvs_jax.library.inputs import Song

DONE, SKIPPED, FAILED = "done", "skipped", "failed"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is written, and where.

    Attributes:
      output: folder of all songs' folders; "-" for standard output.
      stems: their names, in the order of the files.
      format: a key of ``audio.encoding.FORMATS``.
      normalize: see ``audio.writing.StemFiles``.
      overwrite: separate also what is finished.
      settings: all that the stems depend on besides the song and the model, of JSON's types.
      model: a fingerprint of the model.
    """

    output: str
    stems: Sequence[str]
    format: str = "wav32f"
    normalize: bool = False
    overwrite: bool = False
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one song.

    Attributes:
      song: which.
      status: one of DONE, SKIPPED, FAILED.
      seconds: of audio; 0 where it could not be read.
      took: seconds since the song before was done.
      written: the files.
      gain: that they were multiplied by.
      error: why it failed, in one line that names it.
    """

    song: Song
    status: str
    seconds: float = 0.0
    took: float = 0.0
    written: Sequence[Written] = ()
    gain: float = 1.0
    error: str = ""


@dataclasses.dataclass(frozen=True)
class Watch:
    """Who is told how separation goes.

    Attributes:
      say: told in a line how long compiling took.
      advance: told every few seconds of audio, how many seconds are done and how many need not be.
    """

    say: Callable[[str], None] = lambda line: None
    advance: Callable[[float, float], None] = lambda done, left_out: None


def separate_songs(
    separator: Separator, songs: Sequence[Song], options: Options, watch: Watch | None = None
) -> Iterator[Outcome]:
    """Separates songs and gives what became of each, in their order.

    A song that cannot be read or written fails alone. Nothing is compiled where there is nothing to separate.

    Args:
      separator: of the model.
      songs: to separate, no two of one name.
      options: of the output.
      watch: told of progress.
    """
    told, error = 0, ""
    try:
        for outcome in _outcomes(separator, songs, options, watch or Watch()):
            told, error = told + 1, outcome.error
            yield outcome
    except InputError as stopped:
        error = str(stopped)
    for song in songs[told:]:  # the device has given up, between two songs or within one: its memory is too small
        yield Outcome(song, FAILED, error=f"{_called(song)}: not separated: {error}")


def folder_of(song: Song, options: Options) -> str:
    """Where a song's stems are written."""
    return STANDARD_OUTPUT if options.output == STANDARD_OUTPUT else str(Path(options.output) / song.name)


def _outcomes(separator: Separator, songs: Sequence[Song], options: Options, watch: Watch) -> Iterator[Outcome]:
    aside: dict[Song, Outcome] = {}  # songs that never become tracks; the reading thread adds to them
    waiting = iter(songs)
    tracks = _tracks(songs, options, aside)
    first = next(tracks, None)
    if first is None:
        yield from _set_aside(aside, waiting, None, watch)
        return
    watch.say(f"separation program compiled in {separator.compile()}")
    now = time.perf_counter()
    for track, stems in separator.separate_tracks(itertools.chain([first], tracks)):
        song, reader = track.name
        yield from _set_aside(aside, waiting, song, watch)
        outcome = _write(song, reader, stems, options, watch)
        now, started = time.perf_counter(), now
        yield dataclasses.replace(outcome, took=now - started)
    yield from _set_aside(aside, waiting, None, watch)


def _set_aside(
    aside: Mapping[Song, Outcome], waiting: Iterator[Song], until: Song | None, watch: Watch
) -> Iterator[Outcome]:
    """Outcomes of the waiting songs before ``until``, none of which became a track."""
    for song in waiting:
        if song is until or song not in aside:
            return
        watch.advance(0.0, aside[song].seconds)
        yield aside[song]


def _tracks(songs: Iterable[Song], options: Options, aside: dict[Song, Outcome]) -> Iterator[Track]:
    """Songs that are to be separated, each open while its blocks are read."""
    for song in songs:
        seconds, folder = 0.0, folder_of(song, options)
        try:
            with open_audio(song.path) as reader:
                seconds = reader.num_samples / reader.sample_rate
                check_format(options.format, reader.sample_rate, reader.num_channels)
                if options.overwrite or not finished.is_finished(folder, song.path, options.settings, options.model):
                    yield Track(_blocks(reader), reader.sample_rate, (song, reader))
                else:
                    aside[song] = Outcome(song, SKIPPED, seconds)
        except Exception as error:  # of any kind: decoders fail in ways of their own, and the others can go on
            aside[song] = Outcome(song, FAILED, seconds, error=_line(song, error))


def _blocks(reader: Reader) -> Iterator[np.ndarray]:
    """A song's blocks, and every failure as that of the song."""
    try:
        yield from reader.blocks()
    except (InputError, OSError):
        raise
    except Exception as error:
        raise InputError(f"{reader.name}: cannot be read ({type(error).__name__}: {error})") from error


def _write(song: Song, reader: Reader, stems: Iterator[Stems], options: Options, watch: Watch) -> Outcome:
    folder, rate, done = folder_of(song, options), reader.sample_rate, 0.0
    form = options.format, rate, reader.num_channels, reader.num_samples, options.normalize
    try:
        with StemFiles(folder, options.stems, *form) as output:
            for block in stems:
                output.write(block)
                seconds = len(block[options.stems[0]]) / rate
                done += seconds
                watch.advance(seconds, 0.0)
            if folder != STANDARD_OUTPUT:
                finished.forget(folder)
            written = output.finish()
        if folder != STANDARD_OUTPUT:
            finished.record(folder, song.path, options.settings, options.model, [file.path for file in written])
    except jax.errors.JaxRuntimeError:  # the device's
        raise
    except Exception as error:  # of any kind: libsndfile and soxr have their own, and the others can go on
        watch.advance(0.0, max(0.0, reader.num_samples / rate - done))
        return Outcome(song, FAILED, reader.num_samples / rate, error=_line(song, error))
    return Outcome(song, DONE, done, written=written, gain=output.gain)


def _called(song: Song) -> str:
    return "standard input" if str(song.path) == STANDARD_INPUT else str(song.path)


def _line(song: Song, error: Exception) -> str:
    """Why a song failed, in one line that names it."""
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    else:
        text = str(error) if isinstance(error, (InputError, FloatingPointError)) else f"{type(error).__name__}: {error}"
    return " ".join((text if _called(song) in text else f"{_called(song)}: {text}").split())
