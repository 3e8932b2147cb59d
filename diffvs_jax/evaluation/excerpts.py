"""The worst and the best seconds of all tracks, kept as sound: what a score was given for."""

import dataclasses
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.audio.writing import StemFiles
from diffvs_jax.evaluation.records import Excerpt, Record, save_record

COUNT = 10
"""Seconds that are kept of either kind."""
_AROUND = 1.0  # seconds before and after


def ends(values: Sequence[float] | np.ndarray, others: Iterable[float] = (), count: int = COUNT) -> list[int]:
    """Places of the ``count`` lowest and ``count`` highest finite values, but of those that ``others`` do not beat."""
    finite = [place for place, value in enumerate(values) if np.isfinite(value)]
    ranked = sorted(finite, key=lambda place: values[place])
    known = sorted(value for value in others if np.isfinite(value))
    low = [place for place in ranked[:count] if np.searchsorted(known, values[place]) < count]
    high = [p for p in ranked[-count:] if len(known) - np.searchsorted(known, values[p], side="right") < count]
    return sorted({*low, *high})


def keep(
    folder: Path,
    name: str,
    sounds: Mapping[str, np.ndarray],
    sample_rate: int,
    frames: Sequence[float] | np.ndarray,
    at: list[int],
) -> tuple[Excerpt, ...]:
    """Writes some seconds of a track, with a second on either side, as flac, clipped at full scale.

    What was kept of it before is gone.

    Args:
      folder: of the records.
      name: of the files' folder below ``folder/excerpts``.
      sounds: "mixture", "estimate" and "truth" to ``[samples, channels]``.
      sample_rate: in Hz.
      frames: SDR of every second.
      at: which of them to keep.
    """
    shutil.rmtree(folder / "excerpts" / name, ignore_errors=True)
    kept = []
    for second in at:
        start = max(0, round((second - _AROUND) * sample_rate))
        stop = round((second + 1 + _AROUND) * sample_rate)
        parts = {f"{second:05d}_{kind}": audio[start:stop] for kind, audio in sounds.items()}
        length, channels = next(iter(parts.values())).shape
        with StemFiles(folder / "excerpts" / name, list(parts), "flac", sample_rate, channels, length) as output:
            output.write(parts)
            written = output.finish()
        paths = {kind: file.path.relative_to(folder).as_posix() for kind, file in zip(sounds, written, strict=True)}
        kept.append(Excerpt(second, start / sample_rate, float(frames[second]), paths))
    return tuple(kept)


def prune(folder: Path, records: Sequence[Record]) -> None:
    """Removes what tracks kept before others turned out to be worse, or better."""
    kept = [(record, excerpt) for record in records for excerpt in record.excerpts]
    chosen = {id(kept[place][1]) for place in ends([excerpt.sdr for _, excerpt in kept])}
    for record in records:
        left = tuple(excerpt for excerpt in record.excerpts if id(excerpt) in chosen)
        if len(left) < len(record.excerpts):
            save_record(folder, dataclasses.replace(record, excerpts=left))
            for excerpt in record.excerpts:
                if id(excerpt) not in chosen:
                    for file in excerpt.files.values():
                        (folder / file).unlink(missing_ok=True)
