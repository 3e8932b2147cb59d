"""Scores a model: ``python -m diffvs_jax.evaluate --checkpoint=DIR --root=MUSDB_FOLDER --output=DIR``.

Separates every track of the test split and prints cSDR (museval's median over seconds), uSDR
and SI-SDR; ``OUTPUT/scores.json`` and ``scores.csv`` keep them.
"""

from absl import flags

from diffvs_jax import __version__, cli
from diffvs_jax.data.datasets import musdb_tracks, require_targets
from diffvs_jax.evaluation import scoring
from diffvs_jax.inference.separator import Separator

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A training run's workdir, or an export.", required=True)
_ROOT = flags.DEFINE_string("root", None, "Folder in MUSDB18-HQ's layout.", required=True)
_SPLIT = flags.DEFINE_string("split", "test", "Folder below root that holds the tracks.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write scores to.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise that sampling starts from.")


def main(arguments: list[str]) -> None:
    """Separates and scores one track after the other."""
    cli.no_arguments(arguments)
    output = cli.output_folder("output", _OUTPUT.value)
    tracks = musdb_tracks(_ROOT.value, _SPLIT.value)
    cli.announce_device()
    separator = Separator.from_checkpoint(_CHECKPOINT.value, seed=_SEED.value)
    require_targets(tracks, separator.targets)
    rows = []
    for track in tracks:
        mixture, truth, rate = scoring.load_references(track, separator.targets)
        with cli.progress(track.name, "chunk") as progress:
            estimates = separator(mixture, rate, progress=progress)
        rows.append(scoring.score(track.name, truth, estimates, rate))
        cli.say("  ".join(f"{key} {value:.2f}" if key != "track" else value for key, value in rows[-1].items()))
    about = {
        "checkpoint": str(_CHECKPOINT.value),
        "root": str(_ROOT.value),
        "split": _SPLIT.value,
        "seed": _SEED.value,
        "sigmas": separator.sigmas.tolist(),
        "diffvs_jax": __version__,
    }
    scoring.write_scores(output, rows, about)
    stems = list(truth)
    header = ["track", *(f"{kind} {stem}" for stem in stems for kind in ("cSDR", "uSDR", "SI-SDR"))]
    columns = [f"{kind}_{stem}" for stem in stems for kind in ("csdr", "usdr", "sisdr")]
    lines = [[row["track"], *(row[column] for column in columns)] for row in rows]
    summary = scoring.summarize(rows)
    lines.append(["mean", *(summary[f"{column}_mean"] for column in columns)])
    median = {column: summary.get(f"{column}_median", "") for column in columns}
    lines.append(["median (cSDR)", *median.values()])
    cli.say(scoring.table(header, lines))
    cli.say(f"{output / 'scores.json'}, {output / 'scores.csv'}")


if __name__ == "__main__":
    cli.run(main)
