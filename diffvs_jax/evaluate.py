"""Scores a model: ``python -m diffvs_jax.evaluate --checkpoint=DIR --root=MUSDB_FOLDER --output=DIR``.

Separates every track of the test split and prints cSDR (museval's median over seconds), uSDR
and SI-SDR; ``OUTPUT/scores.json`` and ``scores.csv`` keep them.

With ``--sweep`` it tries samplers, numbers of steps, sigma_max and rho on those tracks instead:
``OUTPUT/sweep.csv``, ``sweep.json`` with what it was made of, and ``sweep.png`` with cSDR against network evaluations.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from diffvs_jax import __version__, cli
from diffvs_jax.audio.representation import BandStats
from diffvs_jax.compilation import use_cache
from diffvs_jax.data.datasets import open_split
from diffvs_jax.data.tracks import Track, require_targets
from diffvs_jax.diffusion.samplers import SAMPLERS
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation import scoring
from diffvs_jax.evaluation.records import write_json
from diffvs_jax.evaluation.sweep import Grid, best, sweep
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model import weights
from diffvs_jax.table import table

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A training run's workdir, or an export.", required=True)
_ROOT = flags.DEFINE_string("root", None, "Folder in MUSDB18-HQ's layout.", required=True)
_SPLIT = flags.DEFINE_string("split", "test", "Folder below root that holds the tracks.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write scores to.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise that sampling starts from.")
_SECONDS = flags.DEFINE_float("seconds", 0.0, "Score the middle seconds of each track; 0: all of it.")
_SET = flags.DEFINE_multi_string("set", [], "Another setting than the model's own: --set=sampler.num_steps=4.")
_SWEEP = flags.DEFINE_bool("sweep", False, "Try samplers and noise levels instead of scoring the config's.")
_SAMPLERS = flags.DEFINE_list("sweep_samplers", ["heun", "euler", "dpmpp_2m"], f"Of {', '.join(SAMPLERS)}.")
_STEPS = flags.DEFINE_list("sweep_steps", ["1", "3", "7", "13"], "Numbers of steps.")
_SIGMA_MAX = flags.DEFINE_list("sweep_sigma_max", ["80", "20", "10", "5", "3"], "Noise levels to start from.")
_S_CHURN = flags.DEFINE_float("sweep_s_churn", 10.0, "Noise that stochastic_heun adds.")
_RHO = flags.DEFINE_list("sweep_rho", ["3", "5", "7", "10", "15"], "Curvatures of the noise grid.")


def main(arguments: list[str]) -> None:
    """Scores, or sweeps."""
    cli.no_arguments(arguments)
    output = cli.output_folder("output", _OUTPUT.value)
    if _SECONDS.value != 0:
        cli.positive_seconds("seconds", _SECONDS.value, least=1.0)  # cSDR scores whole seconds
    grid = _grid()
    tracks = open_split(_ROOT.value, _SPLIT.value)
    model = weights.load(_CHECKPOINT.value)
    cli.change_settings(model.config, _SET.value)
    require_targets(tracks, model.config.data.targets)
    use_cache(model.config.compilation_cache)
    cli.announce_device()
    if _SWEEP.value:
        _sweep(model, tracks, grid, output)
    else:
        _score(model, tracks, output)


def _score(model: weights.Model, tracks: Sequence[Track], output: Path) -> None:
    """Separates and scores one track after the other."""
    separator = Separator(model.params, BandStats(**model.stats), model.config, seed=_SEED.value)
    cli.say(f"separation program compiled in {separator.compile()}")
    rows = []
    for track in tracks:
        clip = scoring.load_clip(track, separator.targets, _SECONDS.value)
        with cli.progress(track.name, "s") as progress:
            estimates = separator(clip.mixture, clip.sample_rate, progress=progress)
        rows.append(scoring.score(track.name, clip.truth, estimates, clip.sample_rate))
        cli.say("  ".join(f"{key} {value:.2f}" if key != "track" else value for key, value in rows[-1].items()))
    scoring.write_scores(output, rows, {**_about(), "sigmas": separator.sigmas.tolist()})
    stems = list(clip.truth)
    header = ["track", *(f"{kind} {stem}" for stem in stems for kind in ("cSDR", "uSDR", "SI-SDR"))]
    columns = [f"{kind}_{stem}" for stem in stems for kind in ("csdr", "usdr", "sisdr")]
    lines = [[row["track"], *(row[column] for column in columns)] for row in rows]
    summary = scoring.summarize(rows)
    lines.append(["mean", *(summary[f"{column}_mean"] for column in columns)])
    median = {column: summary.get(f"{column}_median", "") for column in columns}
    lines.append(["median (cSDR)", *median.values()])
    cli.say(table(header, lines))
    cli.say(f"{output / 'scores.json'}, {output / 'scores.csv'}")


def _sweep(model: weights.Model, tracks: Sequence[Track], grid: Grid, output: Path) -> None:
    """Scores every combination of the grid, and names the best."""
    clips = [scoring.load_clip(track, model.config.data.targets, _SECONDS.value) for track in tracks]
    rows = sweep(model, clips, grid, output, _SEED.value, cli.say)
    write_json(output / "sweep.json", {**_about(), **grid._asdict(), "tracks": [clip.name for clip in clips]})
    column = f"csdr_{model.config.data.targets[0]}_median"
    shown = ["sampler", "num_steps", "sigma_max", "rho", "evaluations", column]
    tops = [best([row for row in rows if row["evaluations"] == count], column) for count in _counts(rows)]
    cli.say(
        "best for each number of network evaluations\n" + table(shown, [[row[key] for key in shown] for row in tops])
    )
    cli.say(f"{output / 'sweep.csv'}, {output / 'sweep.json'}, {output / 'sweep.png'}")


def _grid() -> Grid:
    unknown = [name for name in _SAMPLERS.value if name not in SAMPLERS]
    if unknown or not _SAMPLERS.value:
        raise InputError(f"--sweep_samplers={','.join(_SAMPLERS.value)}: choose from {', '.join(SAMPLERS)}")
    return Grid(
        _SAMPLERS.value,
        cli.positive_numbers("sweep_steps", _STEPS.value),
        cli.positive_numbers("sweep_sigma_max", _SIGMA_MAX.value, float),
        cli.positive_numbers("sweep_rho", _RHO.value, float),
        _S_CHURN.value,
    )


def _counts(rows: Sequence[scoring.Row]) -> list[int]:
    return sorted({row["evaluations"] for row in rows})


def _about() -> dict:
    return {
        "checkpoint": str(_CHECKPOINT.value),
        "root": str(_ROOT.value),
        "split": _SPLIT.value,
        "seconds": _SECONDS.value,
        "seed": _SEED.value,
        "set": _SET.value,
        "diffvs_jax": __version__,
    }


if __name__ == "__main__":
    cli.run(main)
