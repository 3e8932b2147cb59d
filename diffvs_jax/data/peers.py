"""What the benchmark compares with: the same mix as others write it, around soundfile and PyTorch's DataLoader."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile

from diffvs_jax.data.tracks import Track


class SoundfileMixes:
    """Remixed examples read with soundfile, one per index: a map-style data set.

    An example is ``[num_targets + 1, chunk_samples, channels]`` float32: every row from a song of its
    own, with gain, channel swap and sign flip.
    """

    def __init__(self, tracks: Sequence[Track], targets: Sequence[str], chunk_samples: int):
        self._tracks, self._targets, self._chunk_samples = tracks, targets, chunk_samples

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> np.ndarray:
        rng = np.random.default_rng(index)
        rows = [self._row(rng, [target]) for target in self._targets]
        rest = [stem for stem in self._tracks[0].stems if stem not in self._targets]
        return np.stack([*rows, self._row(rng, rest)])

    def _row(self, rng: np.random.Generator, stems: Sequence[str]) -> np.ndarray:
        track = self._tracks[int(rng.integers(len(self._tracks)))]
        first = int(rng.integers(int(track.seconds * track.sample_rate) - self._chunk_samples))
        audio = np.sum([self._read(track, stem, first) for stem in stems], axis=0)
        audio = audio * np.float32(rng.uniform(0.25, 1.25))
        if rng.random() < 0.5:
            audio = audio[:, ::-1]
        return -audio if rng.random() < 0.5 else audio

    def _read(self, track: Track, stem: str, first: int) -> np.ndarray:
        audio, _ = soundfile.read(
            str(track.stems[stem][0]), self._chunk_samples, first, dtype="float32", always_2d=True
        )
        return audio


def soundfile_batches(
    tracks: Sequence[Track], targets: Sequence[str], batch_size: int, chunk_samples: int
) -> Iterator[np.ndarray]:
    """Batches ``[batch_size, num_targets + 1, chunk_samples, channels]`` from a plain loop."""
    mixes = SoundfileMixes(tracks, targets, chunk_samples)
    for first in range(0, len(mixes), batch_size):
        yield np.stack([mixes[index] for index in range(first, first + batch_size)])


def dataloader_batches(
    tracks: Sequence[Track], targets: Sequence[str], batch_size: int, chunk_samples: int, num_workers: int
) -> Iterator[Any]:
    """The same batches from PyTorch's DataLoader, as tensors."""
    import torch.utils.data

    mixes: Any = SoundfileMixes(tracks, targets, chunk_samples)
    # Spawned as ours are: a fork of this process, which has threads, may hang.
    context = "spawn" if num_workers else None
    return iter(
        torch.utils.data.DataLoader(mixes, batch_size, num_workers=num_workers, multiprocessing_context=context)
    )
