"""Trains a model: ``python -m diffvs_jax.train --config=configs/base.py --workdir=runs/base``.

Run again, it goes on from the newest checkpoint. Every config key can be overridden:
``--config.train.batch_size=8``. With ``--dry_run`` it prints what the config costs and stops.
"""

import functools
import json
from pathlib import Path

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

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run is kept; default runs/NAME.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what the config costs (parameters, FLOPs, memory) and stop.")
_BATCH_SIZES = flags.DEFINE_list("dry_run_batch_sizes", ["1", "8"], "Batch sizes to print the memory of.")
flags.mark_flag_as_required("config")


def main(arguments: list[str]) -> None:
    """Trains, then shows what the model does on songs it has not heard."""
    cli.no_arguments(arguments)
    config = _CONFIG.value
    workdir = cli.output_folder("workdir", _WORKDIR.value or f"runs/{config.name}")
    check_config(config)
    separation_plan(config)  # what is wrong there would come out at the end
    use_cache(config.compilation_cache)
    cli.announce_device()
    if _DRY_RUN.value:
        print_costs(config, cli.positive_numbers("dry_run_batch_sizes", _BATCH_SIZES.value), cli.say)
        return
    cli.say(f"workdir: {workdir}")
    if not config.data.root:
        cli.say(f"songs: procedural, rendered once into {workdir / 'songs'}")
    with cli.progress("rendering songs", "song") as progress:
        tracks = open_tracks(config, "train", workdir, progress, cli.say)
    test_tracks = _test_tracks(config, workdir)
    cli.say(f"training songs: {len(tracks)}, {sum(track.seconds for track in tracks) / 3600:.2f} hours")
    valid_tracks = validation_tracks(config, workdir, cli.say) if config.train.validate_every_steps else []
    make_validate = functools.partial(Validator, config, valid_tracks) if valid_tracks else None
    result = train(config, workdir, tracks, cli.say, make_validate)
    if config.demo.num_songs > 0 and not result.interrupted:
        _demo(config, workdir, test_tracks)


def _test_tracks(config, workdir: Path) -> list[Track]:
    """What the demo scores, opened before training so that nothing is wrong with it afterwards."""
    if config.demo.num_songs == 0:
        return []
    try:
        return open_tracks(config, "test", workdir, log=cli.say)
    except InputError as error:
        cli.say(f"{error}; the demo is the packaged excerpt alone")
        return []


def _demo(config, workdir: Path, test_tracks: list[Track]) -> None:
    clips = demo_clips(test_tracks, config.data.targets, config.demo.num_songs, config.demo.seconds)
    folder = workdir / "demo"
    results = run_demo(Separator.from_checkpoint(workdir), clips, folder, cli.say)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(results, indent=2) + "\n")
    if (folder / "spectrogram.png").exists():  # the excerpt has vocals alone
        cli.say(f"listen and look: {folder}/vocals.wav, {folder}/instrumental.wav, {folder}/spectrogram.png")


if __name__ == "__main__":
    cli.run(main)
