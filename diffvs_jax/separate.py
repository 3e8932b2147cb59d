"""Separates songs: ``python -m diffvs_jax.separate SONG... --checkpoint=DIR --output=DIR``.

Writes ``OUTPUT/SONG/vocals.wav`` and ``instrumental.wav`` (or what else the model's targets are)
at the song's rate, channels and exact length, as 32-bit float.
"""

from collections import Counter
from pathlib import Path

from absl import flags

from diffvs_jax import cli
from diffvs_jax.audio import files
from diffvs_jax.audio.representation import BandStats
from diffvs_jax.compilation import use_cache
from diffvs_jax.errors import InputError
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model import weights

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A training run's workdir, or an export.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write to.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise that sampling starts from.")
_SET = flags.DEFINE_multi_string("set", [], "Another setting than the model's own: --set=sampler.num_steps=4.")


def main(arguments: list[str]) -> None:
    """Separates every song; all are looked at before the first is separated."""
    songs = [Path(argument) for argument in arguments]
    if not songs:
        raise InputError("no songs given; usage: python -m diffvs_jax.separate SONG... --checkpoint=DIR --output=DIR")
    output = cli.output_folder("output", _OUTPUT.value)
    twice = [name for name, count in Counter(song.stem for song in songs).items() if count > 1]
    if twice:
        raise InputError(f"two songs are named '{twice[0]}' and would overwrite each other; separate them in two runs")
    for song in songs:
        files.load(song)  # what is wrong with any of them is told before the first is separated
    cli.announce_device()
    model = weights.load(_CHECKPOINT.value)
    cli.change_settings(model.config, _SET.value)
    separator = Separator(model.params, BandStats(**model.stats), model.config, seed=_SEED.value)
    use_cache(separator.config.compilation_cache)
    cli.say(f"separation program compiled in {separator.compile()}")
    for song in songs:
        audio, rate = files.load(song)
        with cli.progress(song.stem, "chunk") as progress:
            stems = separator(audio, rate, progress=progress)
        for name, stem in stems.items():
            files.save(output / song.stem / f"{name}.wav", stem, rate)
        cli.say(f"{output / song.stem}: {', '.join(f'{name}.wav' for name in stems)}")


if __name__ == "__main__":
    cli.run(main)
