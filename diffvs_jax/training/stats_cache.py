"""Band statistics in a file beside the data, named by all that they depend on.

``FOLDER/.diffvs_jax/band_stats-KEY.json``: hidden, so that no data set takes it for a track. Any
change of what is measured changes the key, so a file that is found is of the same chunks.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffvs_jax import __version__
from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.data.beside import FOLDER, write_json
from diffvs_jax.data.source import dataset_folders
from diffvs_jax.data.tracks import Track
from diffvs_jax.training.band_stats import Measurement

_METHOD = 1  # counts changes of what is measured, or of the file's form
# Keys of ``config.data`` that say how to read, or which tracks there are: those are told from the tracks.
_NOT_IN_KEY = {"num_workers", "num_threads", "prefetch", "strict", "stats_batches"}
_NOT_IN_KEY |= {"root", "weights", "valid_tracks", "rename_stems", "synthetic"}


class StatsCache:
    """The statistics of one config and its tracks.

    Args:
      config: a whole config.
      workdir: of the run, where there is no single data set folder, or none that can be written.
      tracks: what is trained on. Their files are known by name, size and time of change.
    """

    def __init__(self, config: Any, workdir: Path, tracks: Sequence[Track]):
        self._settings = _settings(config)
        self._shapes = (config.audio.num_bands,), (len(config.data.targets), config.audio.num_bands)
        everything = json.dumps([self._settings, [_identity(track) for track in tracks]], sort_keys=True)
        name = f"band_stats-{hashlib.sha256(everything.encode()).hexdigest()[:16]}.json"
        folders = dataset_folders(config.data.root)
        places = [*(folders if len(folders) == 1 else []), workdir]
        self._files = [place / FOLDER / name for place in places]

    def read(self, log: Callable[[str], None]) -> tuple[Path, Measurement] | None:
        """The file and what it holds; None if there is none, after a line where one cannot be used."""
        for file in self._files:
            try:
                return file, self._parse(file.read_text())
            except OSError:  # no such file, or none of ours to read
                continue
            except (ValueError, KeyError, TypeError) as error:
                log(f"{file}: holds no band statistics ({error}); measuring them again")
        return None

    def write(self, measurement: Measurement) -> Path | None:
        """Stores it in the first folder that can be written, whole or not at all; None if there is none."""
        stats = {name: np.asarray(values).tolist() for name, values in measurement.stats._asdict().items()}
        content = {**measurement._asdict(), "stats": stats, "settings": self._settings}
        for file in self._files:
            with contextlib.suppress(OSError):
                write_json(file, content)
                return file
        return None

    def _parse(self, text: str) -> Measurement:
        content = json.loads(text)
        stats = BandStats(*(np.array(content["stats"][name], np.float32) for name in BandStats._fields))
        for values, shape in zip(stats, self._shapes, strict=True):
            if values.shape != shape or not np.all(np.isfinite(values) & (values > 0)):
                raise ValueError(f"{values.shape} numbers of which not all are above zero, not {shape}")
        return Measurement(stats, float(content["seconds"]), tuple(map(float, content["active_seconds"])))


def _settings(config: Any) -> dict[str, Any]:
    """What decides which chunks are drawn from tracks, and what becomes of them."""
    data = config.data.to_dict()
    return {
        "version": [__version__, _METHOD],
        "audio": dataclasses.asdict(SignalPath.from_config(config)),
        "data": {key: value for key, value in data.items() if key not in _NOT_IN_KEY},
        "seed": config.seed,
        "chunks": config.data.stats_batches * config.train.batch_size,
    }


def _identity(track: Track) -> dict[str, Any]:
    """All of a track but where it lies and the mixture, which is not trained on."""
    stems = {stem: [_file(path) for path in paths] for stem, paths in track.stems.items()}
    return {key: value for key, value in vars(track).items() if key != "mixture"} | {"stems": stems}


def _file(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return path.name, status.st_size, status.st_mtime_ns
