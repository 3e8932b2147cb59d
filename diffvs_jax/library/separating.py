"""Songs on disk to stems on disk, one after the other out of one stream of chunks.

Decoding runs ahead in a thread of its own and the device computes the next call while stems are
written, so none of the three waits for another unless it is the slowest.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffvs_jax.audio.encoding import check_format
from diffvs_jax.audio.reading import Reader, open_audio
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
      error: why it failed, in one line.
    """

    song: Song
    status: str
    seconds: float = 0.0
    took: float = 0.0
    written: Sequence[Written] = ()
    gain: float = 1.0
    error: str = ""


def separate_songs(
    separator: Separator,
    songs: Sequence[Song],
    options: Options,
    advance: Callable[[float], None] = lambda seconds: None,
) -> Iterator[Outcome]:
    """Separates songs and gives what became of each, in no more than nearly their order.

    A song that cannot be read or written fails alone.

    Args:
      separator: of the model.
      songs: to separate.
      options: of the output.
      advance: told of every few seconds of audio that are written, or need not be.
    """
    before: list[Outcome] = []  # of songs that never became tracks; the reading thread adds to them
    now = time.perf_counter()
    for track, stems in separator.separate_tracks(_tracks(songs, options, before)):
        while before:
            yield _told(before.pop(0), advance)
        song, reader = track.name
        outcome = _write(song, reader, stems, options, advance)
        now, started = time.perf_counter(), now
        yield dataclasses.replace(outcome, took=now - started)
    while before:
        yield _told(before.pop(0), advance)


def folder_of(song: Song, options: Options) -> str:
    """Where a song's stems are written."""
    return STANDARD_OUTPUT if options.output == STANDARD_OUTPUT else str(Path(options.output) / song.name)


def _tracks(songs: Iterable[Song], options: Options, before: list[Outcome]) -> Iterator[Track]:
    """Songs that are to be separated, each open while its blocks are read."""
    for song in songs:
        try:
            with open_audio(song.path) as reader:
                check_format(options.format, reader.sample_rate, reader.num_channels)
                folder, seconds = folder_of(song, options), reader.num_samples / reader.sample_rate
                if not options.overwrite and finished.is_finished(folder, song.path, options.settings, options.model):
                    before.append(Outcome(song, SKIPPED, seconds))
                    continue
                yield Track(_blocks(reader), reader.sample_rate, (song, reader))
        except (InputError, OSError) as error:
            before.append(Outcome(song, FAILED, error=_line(error)))


def _blocks(reader: Reader) -> Iterator[np.ndarray]:
    """A song's blocks; decoders fail in ways of their own."""
    try:
        yield from reader.blocks()
    except (InputError, OSError):
        raise
    except Exception as error:
        raise InputError(f"{reader.name}: cannot be read ({type(error).__name__}: {error})") from error


def _write(
    song: Song, reader: Reader, stems: Iterator[Stems], options: Options, advance: Callable[[float], None]
) -> Outcome:
    folder, rate, done = folder_of(song, options), reader.sample_rate, 0
    try:
        form = options.format, rate, reader.num_channels, reader.num_samples, options.normalize
        with StemFiles(folder, options.stems, *form) as output:
            for block in stems:
                output.write(block)
                done += len(block[options.stems[0]])
                advance(len(block[options.stems[0]]) / rate)
            written = output.finish()
        if folder != STANDARD_OUTPUT:
            finished.record(folder, song.path, options.settings, options.model, [file.path for file in written])
    except (InputError, OSError, FloatingPointError) as error:
        advance(max(0, reader.num_samples - done) / rate)
        return Outcome(song, FAILED, reader.num_samples / rate, error=_line(error))
    return Outcome(song, DONE, done / rate, written=written, gain=output.gain)


def _told(outcome: Outcome, advance: Callable[[float], None]) -> Outcome:
    advance(outcome.seconds)
    return outcome


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
