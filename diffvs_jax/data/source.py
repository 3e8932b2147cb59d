"""Where a config's songs come from: data sets on disk, or procedural songs rendered once."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diffvs_jax.data.datasets import Dataset, Listing, list_tracks, open_root
from diffvs_jax.data.synthetic import write_corpus
from diffvs_jax.data.tracks import Track, check_targets, require_targets
from diffvs_jax.errors import InputError

Progress = Callable[[int, int], None]
Log = Callable[[str], None]
LEFT_OUT = "left out: "
"""What lines about tracks that cannot be used begin with."""


def open_tracks(
    config: Any, split: str, workdir: str | os.PathLike, progress: Progress | None = None, log: Log | None = None
) -> list[Track]:
    """Tracks of ``config.data.root``, or of ``workdir/songs`` after rendering what is missing there.

    Tracks that cannot be used are left out, with a line for each.

    Args:
      config: sections ``audio`` (rate and channels to render) and ``data``.
      split: "train", "valid" or "test".
      workdir: a training run's folder.
      progress: called with (songs done, songs in all) while rendering.
      log: told of tracks that are left out; None: nobody.

    Raises:
      InputError: no such folder or split, no tracks that can be used, or, with ``data.strict``, one
        that cannot.
    """
    data = config.data
    check_targets(data.targets)
    roots = _roots(data.root) or [str(_render(config, split, workdir, progress))]
    _check_weights(data.weights, len(roots))
    datasets = [(root, open_root(root, data.valid_tracks)) for root in roots]
    held_out = sum(len(dataset.entries("valid")) for _, dataset in datasets if "valid" in dataset.splits())
    if log and held_out < len(data.valid_tracks):
        log(f"data.valid_tracks names {len(data.valid_tracks)} tracks, of which {held_out} are there")
    if split != "train":  # MUSDB18 has a test set, MoisesDB has none: what there is, is enough
        datasets = [(root, dataset) for root, dataset in datasets if split in dataset.splits()]
        if not datasets:
            raise InputError(f"{data.root}: has no split '{split}' (found {', '.join(splits(config))})")
    listings = [_list(dataset, split, data) for _, dataset in datasets]
    problems = [problem for listing in listings for problem in listing.problems]
    if problems and data.strict:
        raise InputError(f"{len(problems)} tracks cannot be used (data.strict): {problems[0]}")
    for problem in problems:
        if log:
            log(LEFT_OUT + problem)
    for (root, _), listing in zip(datasets, listings, strict=True):
        if not listing.tracks:
            raise InputError(f"{root}: none of its tracks can be used; {listing.problems[0]}")
    return _weighted([listing.tracks for listing in listings], data.weights if split == "train" else ())


def _check_weights(weights: Any, num_roots: int) -> None:
    numbers = isinstance(weights, tuple | list) and all(isinstance(weight, int | float) for weight in weights)
    if not numbers or not all(0 < weight < float("inf") for weight in weights):
        raise InputError(f"data.weights is {weights!r}; give numbers above zero, such as (2,1)")
    if weights and len(weights) != num_roots:
        raise InputError(f"data.weights has {len(weights)} numbers for {num_roots} folders in data.root")


def splits(config: Any) -> list[str]:
    """Splits that the data sets of ``config.data.root`` have, in the order of use."""
    names = {name for root in _roots(config.data.root) for name in open_root(root, config.data.valid_tracks).splits()}
    usual = [name for name in ("train", "valid", "test") if name in names]
    return usual + sorted(names - set(usual))


def dataset_folders(root: str) -> list[Path]:
    """The folders that ``data.root`` names; none for procedural songs."""
    return [open_root(part).root for part in _roots(root)]


def _roots(root: str) -> list[str]:
    return [part.strip() for part in root.split(",") if part.strip()]


def _list(dataset: Dataset, split: str, data: Any) -> Listing:
    """Tracks of a data set; those that lack a target they should have are problems."""
    listing = list_tracks(dataset, split, _names(data.rename_stems))
    usable = []
    for track in listing.tracks:
        try:
            if track.whole:
                require_targets([track], data.targets)
            usable.append(track)
        except InputError as error:
            listing.problems.append(str(error))
    return Listing(usable, listing.problems)


def _names(pairs: Sequence[str]) -> dict[str, str]:
    """The mapping that "FROM=TO" strings spell."""
    names = dict(pair.partition("=")[::2] for pair in pairs)
    for old, new in names.items():
        if not old or not new:
            raise InputError(f"data.rename_stems holds '{old}={new}'; give FROM=TO, such as percussion=drums")
    return names


def _weighted(sets: Sequence[list[Track]], weights: Sequence[float]) -> list[Track]:
    """All tracks, those of set i together with share ``weights[i]`` of the visits; no weights: one visit each."""
    if not weights:
        return [track for tracks in sets for track in tracks]
    total = sum(map(len, sets))
    return [
        dataclasses.replace(track, weight=weight / sum(weights) * total / len(tracks))
        for tracks, weight in zip(sets, weights, strict=True)
        for track in tracks
    ]


def _render(config: Any, split: str, workdir: str | os.PathLike, progress: Progress | None) -> Path:
    """Procedural songs of a split in ``workdir/songs``."""
    root = Path(workdir) / "songs"
    songs = config.data.synthetic
    counts = {"train": songs.num_train_songs, "valid": songs.num_valid_songs, "test": songs.num_test_songs}
    if split not in counts:
        raise InputError(f"procedural songs have no split '{split}' (data.root is empty), but {', '.join(counts)}")
    count = counts[split]
    if count < 1:
        raise InputError(f"data.synthetic.num_{split}_songs is {count}; there is none to use")
    rate, channels = config.audio.sample_rate, config.audio.num_channels
    workers = os.cpu_count() or 1
    write_corpus(root, split, count, songs.seconds, rate, channels, songs.seed, workers, progress, songs.soundfont)
    return root
