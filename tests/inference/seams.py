"""What is heard where one chunk hands over to the next, measured: ``python -m tests.inference.seams``.

    python -m tests.inference.seams --checkpoint=runs/small --songs=/data/songs/test --seconds=60

separates real songs without overlap, with a cross-fade, with a tapered cross-fade and jointly. Each is
separated twice, the second time with its chunks half a step later: where chunks hand over in one run
a chunk stands alone in the other, and the music is the same. Printed is by how many dB there is more
at hand-overs (0 says that no seam can be told): of the estimate's second difference, which is what
a click is; of the estimate itself, which is less where two answers that differ are blended; and of its error.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from diffvs_jax import cli
from diffvs_jax.audio import files
from diffvs_jax.audio.representation import BandStats
from diffvs_jax.compilation import use_cache
from diffvs_jax.inference.program import chunk_plan
from diffvs_jax.inference.separator import Separator
from diffvs_jax.metrics.track import track_usdr
from diffvs_jax.model import weights
from diffvs_jax.table import table

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A trained model.", required=True)
_SONGS = flags.DEFINE_string("songs", None, "Folder of songs, each a folder of stems as in MUSDB18.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 60.0, "Of each song, from its middle.")
_MODES = flags.DEFINE_list("modes", ["none", "cross-fade", "tapered", "joint"], "Which to measure.")
_SET = flags.DEFINE_multi_string("set", [], "Another setting than the model's own.")


class Seam(NamedTuple):
    """Levels at hand-overs relative to the rest, in dB, with the standard error of their mean."""

    click: float
    click_error: float
    level: float
    level_error: float
    residual: float
    residual_error: float


def with_mode(config, mode):
    """The config that separates in one of the four ways."""
    config = config.copy_and_resolve_references()
    separation = config.separation
    separation.joint = mode == "joint"
    if mode in ("none", "cross-fade"):
        separation.taper_frames = 0
    if mode == "none":
        separation.step_frames = config.audio.num_frames - 1
    return config


def hand_overs(num_samples, plan):
    """Where a chunk's share begins or ends, and the middles between: borders ``[E]`` and fades' centres ``[H]``."""
    starts = np.arange(plan.step, num_samples, plan.step)
    ends = starts - plan.step + plan.length - 2 * plan.taper
    ramp = plan.length - 2 * plan.taper - plan.step
    borders = np.concatenate([starts, ends])
    return borders[borders < num_samples], starts + ramp // 2


def levels(signal, centres, width):
    """Mean power in dB of windows of ``width`` samples around centres; NaN for those that are cut or silent."""
    power = np.square(signal.astype(np.float64)).sum(axis=-1)
    total = np.concatenate([[0], np.cumsum(power)])
    first, last = centres - width // 2, centres - width // 2 + width
    whole = (first >= 0) & (last <= len(power))
    mean = np.full(len(centres), np.nan)
    mean[whole] = (total[last[whole]] - total[first[whole]]) / width
    with np.errstate(divide="ignore"):
        return np.where(mean > 1e-14, 10 * np.log10(mean), np.nan)


def contrast(signal, other, centres, width):
    """By how many dB one signal is above another in windows around centres."""
    values = levels(signal, centres, width) - levels(other, centres, width)
    return values[~np.isnan(values)]


def seams(estimate, later, truth, plan, hop_length):
    """Contrasts of clicks, levels and residuals of one song's estimates ``[samples, channels]`` with either grid."""
    runs = estimate, later
    bends = [np.diff(run, n=2, axis=0) for run in runs]
    errors = [run - truth for run in runs]
    clicks, powers, residuals = [], [], []
    for own, other, shift in ((0, 1, 0), (1, 0, plan.step // 2)):
        borders, centres = (places - shift for places in hand_overs(len(truth) + shift, plan))
        clicks.append(contrast(bends[own], bends[other], borders - 1, 2))  # the two that straddle the border
        powers.append(contrast(runs[own], runs[other], centres, hop_length))
        residuals.append(contrast(errors[own], errors[other], centres, hop_length))
    return tuple(map(np.concatenate, (clicks, powers, residuals)))


def both_grids(separate, mixture, plan):
    """Vocals of a mixture, and again with all chunks half a step later."""
    shift = plan.step // 2
    return separate(mixture), separate(np.pad(mixture, ((shift, 0), (0, 0))))[shift:]


def summary(songs):
    """Means over all hand-overs of all songs."""
    joined = [np.concatenate(kind) for kind in zip(*songs, strict=True)]
    return Seam(*(value for kind in joined for value in (np.mean(kind), np.std(kind) / np.sqrt(len(kind)))))


def read_songs(folder, sample_rate, num_channels, seconds):
    """Mixture and vocals of every song at the model's rate."""
    for song in sorted(path for path in Path(folder).iterdir() if path.is_dir()):
        stems = {}
        for path in sorted(song.iterdir()):
            audio, rate = files.load(path)
            stems[path.stem] = files.resample(files.to_channels(audio, num_channels), rate, sample_rate)
        length = min(map(len, stems.values()))
        size = min(round(seconds * sample_rate), length)
        part = slice((length - size) // 2, (length - size) // 2 + size)
        stems = {name: audio[part] for name, audio in stems.items() if name != "mixture"}
        yield song.name, sum(stems.values()), stems["vocals"]


def main(arguments):
    cli.no_arguments(arguments)
    model = weights.load(_CHECKPOINT.value)
    cli.change_settings(model.config, _SET.value)
    use_cache(True)
    audio = model.config.audio
    songs = list(read_songs(_SONGS.value, audio.sample_rate, audio.num_channels, _SECONDS.value))
    rows = []
    for mode in _MODES.value:
        config = with_mode(model.config, mode)
        separator = Separator(model.params, BandStats(**model.stats), config)
        plan, contrasts, scores = chunk_plan(config), [], []
        for _, mixture, vocals in songs:
            runs = both_grids(lambda song: separator(song, audio.sample_rate)["vocals"], mixture, plan)  # noqa: B023
            contrasts.append(seams(*runs, vocals, plan, audio.hop_length))
            scores.append(np.mean([track_usdr(vocals, run, audio.sample_rate) for run in runs]))
        seam = summary(contrasts)
        pairs = zip(seam[::2], seam[1::2], strict=True)
        rows.append([mode, *(f"{mean:+.2f} ± {error:.2f}" for mean, error in pairs), f"{np.mean(scores):.3f}"])
        cli.say(f"{mode}: uSDR of each song {', '.join(f'{score:.3f}' for score in scores)}")
    cli.say(f"{sum(len(kind[1]) for kind in contrasts)} hand-overs in {len(songs)} songs; dB, with standard errors")
    cli.say(table(["chunks", "click", "level", "residual", "uSDR"], rows))


if __name__ == "__main__":
    cli.run(main)
