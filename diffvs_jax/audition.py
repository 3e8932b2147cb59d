"""Training examples to hear and to see: ``python -m diffvs_jax.audition --config=configs/base.py --output=audition``.

Draws examples as training does, with the config's data and augmentation. Each becomes a folder of
mixture, targets and rest; ``contact_sheet.png`` shows them all and says what was done to them. Every
config key can be overridden: ``--config.data.augment.reverb_probability=0.5``.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
from absl import flags
from ml_collections import config_flags

from diffvs_jax import cli
from diffvs_jax.audio import files
from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.data.augmentation import Trace
from diffvs_jax.data.examples import Pool, draw_example
from diffvs_jax.data.pipeline import example_spec
from diffvs_jax.data.source import open_tracks
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.spectrogram import save_contact_sheet

_MOST_EXAMPLES = 100  # as a picture can show

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file.", lock_config=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write to.")
_NUM_EXAMPLES = flags.DEFINE_integer("num_examples", 12, "How many.")
_SEED = flags.DEFINE_integer("seed", 0, "Another seed draws other examples.")
flags.mark_flags_as_required(["config", "output"])


def main(arguments: list[str]) -> None:
    """Draws examples, writes their stems and one picture of all."""
    cli.no_arguments(arguments)
    config, num_examples, seed = _CONFIG.value, _NUM_EXAMPLES.value, _SEED.value
    output = cli.output_folder("output", _OUTPUT.value or "")
    if not 1 <= num_examples <= _MOST_EXAMPLES:
        raise InputError(f"--num_examples={num_examples}: choose from 1 to {_MOST_EXAMPLES}")
    if seed < 0:
        raise InputError(f"--seed={seed}: choose 0 or more")
    path = SignalPath.from_config(config)
    spec = example_spec(config.data, path.chunk_samples, path.sample_rate, path.num_channels)
    songs = config.data.synthetic
    songs.num_train_songs = min(songs.num_train_songs, num_examples)  # no more need rendering
    with cli.progress("rendering songs", "song") as progress:
        pool = Pool(open_tracks(config, "train", output, progress, cli.say), spec)
    order = np.random.default_rng(seed).permutation(len(pool.tracks))
    sheet = []
    for index in range(num_examples):
        track_index = int(order[index % len(pool.tracks)])
        trace: Trace = []
        stems = np.empty((len(spec.rows), path.chunk_samples, path.num_channels), np.float32)
        draw_example(pool, track_index, np.random.default_rng((seed, index)), np.empty_like(stems), stems, trace)
        names = ("mixture", *spec.targets, "rest")
        signals = dict(zip(names, [stems.sum(axis=0), *stems], strict=True))
        for name, audio in signals.items():
            files.save(output / f"example_{index:02d}" / f"{name}.wav", audio, path.sample_rate)
        titles = _titles(f"{index:02d} {pool.tracks[track_index].name}", names, trace)
        sheet.append(dict(zip(titles, signals.values(), strict=True)))
        cli.say("; ".join(titles))
    wrapped = [{textwrap.fill(title, 66): audio for title, audio in row.items()} for row in sheet]
    save_contact_sheet(output / "contact_sheet.png", wrapped, path.sample_rate)
    cli.say(f"listen and look: {output}/example_00/mixture.wav, {output}/contact_sheet.png")


def _titles(example: str, names: Sequence[str], trace: Trace) -> list[str]:
    """What each signal is and what was done to it, the mixture's for all."""
    titles = []
    for place, name in enumerate(names):
        row = place - 1 if place else None
        done = ", ".join(words for where, words in trace if where == row)
        title = name if place else f"{example}: {name}"
        titles.append(f"{title} ({done})" if done else title)
    return titles


if __name__ == "__main__":
    cli.run(main)
