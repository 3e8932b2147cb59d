"""Finished estimates of any separator, beside the references that they are scored against."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import numpy as np

from diffvs_jax.audio import files
from diffvs_jax.data.tracks import SAME_LENGTH, audio_files, folders
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.inference.remainder import INSTRUMENTAL, VOCALS, add_remainder

# How others call what is left without the vocals.
_INSTRUMENTAL = (INSTRUMENTAL, "accompaniment", "no_vocals")
_NO_TARGETS = ("mixture", "rest")


def find_folder(root: Path, split: str, names: Sequence[str]) -> Path:
    """Where a track's estimates lie: ``root/split/NAME`` or ``root/NAME``, of the first name that is there.

    A name may be that of a folder in a folder; one that leads out of ``root`` is passed over.

    Raises:
      InputError: in none of them.
    """
    for name in filter(_leads_inwards, names):
        for folder in (root / split / name, root / name):
            if folder.is_dir():
                return folder
    track = names[-1]
    raise InputError(f"{track}: no estimates; expected {root / split / track} or {root / track}, with vocals.wav")


def _leads_inwards(name: str) -> bool:
    path = PurePath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def find_targets(root: Path, split: str, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Stems to score: those that are wanted, or else all that every track's folder has.

    Vocals come first. What is left of the mixture is no stem, and a folder without stems is no track's.

    Raises:
      InputError: no estimates, or a wanted stem that no folder has, or none that all of them have.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of estimates")
    at = root / split if (root / split).is_dir() else root
    found = [stems for folder in folders(at) if (stems := _stems(folder))]
    if not found:
        raise InputError(
            f"{root}: holds no estimates; expected {root / split / 'TRACK' / 'vocals.wav'}, TRACK as in the data"
        )
    there = _vocals_first(set.union(*found))
    if unknown := [stem for stem in wanted if stem not in there]:
        raise InputError(
            f"--targets={','.join(wanted)}: no track in {at} has '{unknown[0]}'; choose from {', '.join(there)}"
        )
    if not (targets := tuple(wanted) or _vocals_first(set.intersection(*found))):
        raise InputError(f"{at}: no stem is there for every track; choose from {', '.join(there)} by --targets")
    return targets


def _stems(folder: Path) -> set[str]:
    return {path.stem for path in audio_files(folder)} - {*_INSTRUMENTAL, *_NO_TARGETS}


def _vocals_first(stems: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(stems, key=lambda stem: (stem != VOCALS, stem)))


def fingerprint(root: Path, split: str, names: Sequence[str]) -> list:
    """By what a track's estimates are known again: names, sizes, times of change; nothing where there are none."""
    try:
        stats = [(path, path.stat()) for path in audio_files(find_folder(root, split, names))]
    except InputError:
        return []
    return [[path.name, stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def files_of(folder: Path, targets: Sequence[str]) -> dict[str, Path]:
    """The files of a track's targets, and of what is left, where there is one.

    Raises:
      InputError: a target has none.
    """
    found = {path.stem: path for path in audio_files(folder)}
    missing = [target for target in targets if target not in found]
    if missing:
        raise InputError(f"{folder}: has no estimate of '{missing[0]}' (it has {', '.join(found) or 'no audio files'})")
    named = {target: found[target] for target in targets}
    left = [found[name] for name in _INSTRUMENTAL if name in found]
    return named | ({INSTRUMENTAL: left[0]} if left and VOCALS in targets else {})


def load_estimates(paths: dict[str, Path], clip: Clip) -> dict[str, np.ndarray]:
    """A track's estimates like its references; what is left is the mixture without them where it has no file.

    Args:
      paths: of ``files_of``.
      clip: the references of the whole track.

    Raises:
      InputError: another rate, other channels, or another length than the references have.
    """
    targets: dict[str, np.ndarray] = {}
    left: dict[str, np.ndarray] = {}
    num_samples, channels = clip.mixture.shape
    for name, path in paths.items():
        audio, rate = files.load(path)
        if rate != clip.sample_rate or audio.shape[1] != channels:
            raise InputError(
                f"{path}: {rate} Hz and {audio.shape[1]} channels; the references have {clip.sample_rate} Hz "
                f"and {channels}; separate, or convert, to the same"
            )
        if abs(len(audio) - num_samples) > SAME_LENGTH * rate:
            raise InputError(
                f"{path}: lasts {len(audio) / rate:.2f} s, the references {num_samples / rate:.2f} s; "
                f"they may differ by {SAME_LENGTH} s"
            )
        (left if name == INSTRUMENTAL else targets)[name] = files.fit_length(audio, num_samples)
    return add_remainder(clip.mixture, targets) | left
