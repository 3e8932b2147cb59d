"""Trains a model: ``python -m diffvs_jax.train --config=configs/base.py --workdir=runs/base``.

Run again, it goes on from the newest checkpoint. Every config key can be overridden:
``--config.train.batch_size=8``. With ``--dry_run`` it prints what the config costs and stops.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from diffvs_jax import cli
from diffvs_jax.compilation import use_cache
from diffvs_jax.data.source import open_tracks
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.demo import demo_clips, run_demo
from diffvs_jax.evaluation.validation import Validator, validation_tracks
from diffvs_jax.inference.separator import Separator, separation_plan
from diffvs_jax.profiling.dry_run import print_costs
from diffvs_jax.training.check import check_config
from diffvs_jax.training.loop import train
from diffvs_jax.training.processes import finish_processes, first_goes_first, first_only, start_processes

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run is kept; default runs/NAME.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what the config costs (parameters, FLOPs, memory) and stop.")
_BATCH_SIZES = flags.DEFINE_list("dry_run_batch_sizes", ["1", "8"], "Batch sizes to print the memory of.")
flags.mark_flag_as_required("config")

Log = Callable[[str], None]


def main(arguments: list[str]) -> None:
    """Trains, then shows what the model does on songs it has not heard."""
    cli.no_arguments(arguments)
    start_processes(cli.say)
    say = first_only(cli.say)
    config = _CONFIG.value
    workdir = cli.output_folder("workdir", _WORKDIR.value or f"runs/{config.name}")
    check_config(config)
    separation_plan(config)  # what is wrong there would come out at the end
    use_cache(config.compilation_cache)
    cli.announce_device(say)
    if _DRY_RUN.value:
        print_costs(config, cli.positive_numbers("dry_run_batch_sizes", _BATCH_SIZES.value), say)
        return
    say(f"workdir: {workdir}")
    if not config.data.root:
        say(f"songs: procedural, rendered once into {workdir / 'songs'}")
    with first_goes_first(), cli.progress("rendering songs", "song") as progress:
        tracks = open_tracks(config, "train", workdir, progress, say)
        valid_tracks = validation_tracks(config, workdir, say) if config.train.validate_every_steps else []
        test_tracks = _test_tracks(config, workdir, say)
    say(f"training songs: {len(tracks)}, {sum(track.seconds for track in tracks) / 3600:.2f} hours")
    make_validate = functools.partial(Validator, config, valid_tracks) if valid_tracks else None
    result = train(config, workdir, tracks, say, make_validate)
    wants_demo = config.demo.num_songs > 0 and not result.interrupted
    separator = Separator.from_checkpoint(workdir) if wants_demo else None  # all read it together
    finish_processes()
    if separator and jax.process_index() == 0:
        _demo(separator, config, workdir, test_tracks)


def _test_tracks(config, workdir: Path, say: Log) -> list[Track]:
    """What the demo scores, opened before training so that nothing is wrong with it afterwards."""
    if config.demo.num_songs == 0:
        return []
    try:
        return open_tracks(config, "test", workdir, log=say)
    except InputError as error:
        say(f"{error}; the demo is the packaged excerpt alone")
        return []


def _demo(separator: Separator, config, workdir: Path, test_tracks: list[Track]) -> None:
    clips = demo_clips(test_tracks, config.data.targets, config.demo.num_songs, config.demo.seconds)
    folder = workdir / "demo"
    results = run_demo(separator, clips, folder, cli.say)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(results, indent=2) + "\n")
    if (folder / "spectrogram.png").exists():  # the excerpt has vocals alone
        cli.say(f"listen and look: {folder}/vocals.wav, {folder}/instrumental.wav, {folder}/spectrogram.png")


if __name__ == "__main__":
    cli.run(main)
