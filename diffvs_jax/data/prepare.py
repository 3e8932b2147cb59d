"""Prepares a data set for training: ``python -m diffvs_jax.data.prepare --config=configs/base.py
--config.data.root=/data/musdb18hq --output=/fast/musdb18hq``; then train with ``--config.data.root=/fast/musdb18hq``.

Run again, it writes only what is missing and what was made from files that have changed since.
"""

import contextlib
import os
import shutil
import time
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from diffvs_jax import cli
from diffvs_jax.data.datasets.stem_folders import ORIGIN
from diffvs_jax.data.preparing import Form, folder_names, is_prepared, prepare_track, remove_prepared
from diffvs_jax.data.processes import run_jobs
from diffvs_jax.data.source import dataset_folders, open_tracks, splits
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file; audio and data are used.", lock_config=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the prepared data set.", required=True)
_SPLITS = flags.DEFINE_list("splits", [], "Splits to prepare; default: all there are.")
_BITS = flags.DEFINE_enum("bits", "32", ["32", "16"], "32: float, exact. 16: half the size.")
_WORKERS = flags.DEFINE_integer("num_workers", os.cpu_count() or 1, "Processes.", lower_bound=1)
flags.mark_flag_as_required("config")


def main(arguments: list[str]) -> None:
    """Writes what is missing, and says what that took."""
    cli.no_arguments(arguments)
    config = _CONFIG.value
    output = cli.output_folder("output", _OUTPUT.value)
    if not config.data.root or "," in config.data.root:
        raise InputError(f"--config.data.root='{config.data.root}': name one data set folder to prepare")
    root, target = dataset_folders(config.data.root)[0].resolve(), output.resolve()
    if root == target or root in target.parents or target in root.parents:
        raise InputError(f"--output={output}: lies in the data set {root} or around it; choose another folder")
    audio = config.audio
    form = Form(tuple(config.data.targets), audio.sample_rate, audio.num_channels, int(_BITS.value))
    jobs: list[tuple[Track, Path]] = []
    for split in _SPLITS.value or splits(config):
        tracks = open_tracks(config, split, "", log=cli.say)
        jobs += [(track, output / split / name) for track, name in zip(tracks, folder_names(tracks), strict=True)]
    _require_space(jobs, form, output)
    start = time.monotonic()
    written, problems = _prepare(jobs, form)
    for problem in problems:
        cli.say(f"left out: {problem}")
    there = [(track, folder) for track, folder in jobs if (folder / ORIGIN).is_file()]
    size = sum(path.stat().st_size for _, folder in there for path in folder.iterdir())
    hours = sum(track.seconds for track, _ in there) / 3600
    cli.say(
        f"{output}: {len(there)} tracks, {hours:.2f} hours, {size / 1e9:.2f} GB; "
        f"{written} written and {len(there) - written} up to date, in {time.monotonic() - start:.1f} s"
    )
    if problems and config.data.strict:
        raise InputError(f"{len(problems)} tracks cannot be used (data.strict)")
    _name_leftovers(jobs)


def _prepare(jobs: list[tuple[Track, Path]], form: Form) -> tuple[int, list[str]]:
    """Prepares all tracks in processes; how many had to be written, and why others could not be."""
    written, problems = 0, []
    with cli.progress("preparing", "track") as progress:
        results = run_jobs(_prepare_or_tell, [(*job, form) for job in jobs], _WORKERS.value)
        for done, result in enumerate(results, start=1):
            progress(done, len(jobs))
            if isinstance(result, str):
                problems.append(result)
            else:
                written += result
    return written, problems


def _prepare_or_tell(track: Track, folder: Path, form: Form) -> bool | str:
    """Whether the track had to be written, or why it cannot be."""
    try:
        return prepare_track(track, folder, form)
    except InputError as error:
        with contextlib.suppress(InputError):
            remove_prepared(folder)  # what was made of the files before they broke
        return str(error)


def _require_space(jobs: list[tuple[Track, Path]], form: Form, output: Path) -> None:
    """Raises ``InputError`` before the disk is full, rather than after hours."""
    needed = sum(form.num_bytes(track) for track, folder in jobs if not is_prepared(track, folder, form))
    existing = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise InputError(f"{output}: needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; try --bits=16")


def _name_leftovers(jobs: list[tuple[Track, Path]]) -> None:
    wanted = {folder for _, folder in jobs}
    for split in sorted({folder.parent for folder in wanted}):
        for folder in sorted(split.iterdir()):
            if folder.is_dir() and not folder.name.startswith(".") and folder not in wanted:
                cli.say(f"{folder}: is of no track of {_CONFIG.value.data.root} any more; training would read it")


if __name__ == "__main__":
    cli.run(main)
