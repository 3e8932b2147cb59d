"""Scores a model, or finished estimates of any separator, on a data set.

``python -m diffvs_jax.evaluate --checkpoint=DIR --root=DATA --output=DIR`` separates every track of
the test split and scores it: cSDR (museval's median over seconds), uSDR, SI-SDR and more, beside the
mixture, silence, the ideal ratio mask and the model's one-step estimate. ``--estimates=DIR`` scores
what lies there as ``SPLIT/TRACK/vocals.wav`` instead. Tracks that are scored already are passed
over; several processes, or tasks of a job array, each take a part of them, and whoever ends last
writes ``OUTPUT/summary.json``, ``scores.csv`` and ``report.html``.

With ``--sweep`` it tries samplers, numbers of steps, sigma_max and rho on those tracks instead:
``OUTPUT/sweep.csv``, ``sweep.json`` with what it was made of, and ``sweep.png`` with cSDR against network evaluations.
"""

import datetime
import os
import signal
import sys
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict

from diffvs_jax import cli
from diffvs_jax.compilation import use_cache
from diffvs_jax.diffusion.samplers import SAMPLERS
from diffvs_jax.embedding.choose import Embedding, open_embedding
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.baselines import BASELINES
from diffvs_jax.evaluation.choosing import choose_split, choose_tracks, data_section
from diffvs_jax.evaluation.clips import load_clip
from diffvs_jax.evaluation.evaluating import Spent, runs_of, score_run, write_results
from diffvs_jax.evaluation.pipeline import Entry, Failures
from diffvs_jax.evaluation.provenance import commit, versions
from diffvs_jax.evaluation.records import ESTIMATE, Record, write_json
from diffvs_jax.evaluation.report.page import write_report
from diffvs_jax.evaluation.scoring import BSS_EVAL, Scoring
from diffvs_jax.evaluation.sources import OfFiles, OfModel, Source
from diffvs_jax.evaluation.summary import summary_table
from diffvs_jax.evaluation.sweep import Grid, best, sweep
from diffvs_jax.library.share import even_share, part_of_process
from diffvs_jax.metrics.bss_eval import museval_metrics
from diffvs_jax.model import weights
from diffvs_jax.table import table
from diffvs_jax.training.processes import finish_processes, start_processes

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A training run's workdir, an export, or a model's name.")
_ESTIMATES = flags.DEFINE_string("estimates", None, "Folder of finished estimates, [SPLIT/]TRACK/vocals.wav.")
_TARGETS = flags.DEFINE_list("targets", None, "Stems of --estimates; all that every track has by default.")
_ROOT = flags.DEFINE_string("root", None, "Data set with the references, [KIND:]FOLDER as of data.root.", required=True)
flags.DEFINE_alias("references", "root")
_SPLIT = flags.DEFINE_string("split", None, "Which tracks; test by default, or all where a data set has no splits.")
_TRACK = flags.DEFINE_multi_string("track", [], "Only tracks of this name, or pattern such as 'A*'.")
_MAX_TRACKS = flags.DEFINE_integer("max_tracks", 0, "Only so many, from the first; 0: all.", lower_bound=0)
_VALID_TRACKS = flags.DEFINE_multi_string("valid_track", [], "A track of split 'valid', as of data.valid_tracks.")
_RENAME = flags.DEFINE_multi_string("rename_stem", [], "FROM=TO for a stem that goes by another name.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write scores to.", required=True)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Of the noise that sampling starts from; several give mean and spread.")
_SECONDS = flags.DEFINE_float("seconds", 0.0, "Score the middle seconds of each track; 0: all of it.")
_SET = flags.DEFINE_multi_string("set", [], "Another setting than the model's own: --set=sampler.num_steps=4.")
_BASELINES = flags.DEFINE_list("baselines", list(BASELINES), f"Beside the estimate, of {', '.join(BASELINES)}.")
_BSS_EVAL = flags.DEFINE_enum("bss_eval", "none", ["none", *BSS_EVAL], "Who computes ISR, SIR, SAR: a minute a track.")
_EMBEDDING = flags.DEFINE_string("embedding", "auto", "auto, none, a path to weights, or MODULE:FUNCTION.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "float64"], "What scores are computed in.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Score also what is done.")
_SHARE = flags.DEFINE_string("share", None, "Only a part of the tracks: 1/4 is the first of four.")
_COMPARE = flags.DEFINE_string("compare", None, "Scores of another model to compare with in the report.")
_DEVICE = flags.DEFINE_enum("device", None, ["cpu", "gpu", "tpu"], "The best there is by default.")
_SWEEP = flags.DEFINE_bool("sweep", False, "Try samplers and noise levels instead of scoring the config's.")
_SAMPLERS = flags.DEFINE_list("sweep_samplers", ["heun", "euler", "dpmpp_2m"], f"Of {', '.join(SAMPLERS)}.")
_STEPS = flags.DEFINE_list("sweep_steps", ["1", "3", "7", "13"], "Numbers of steps.")
_SIGMA_MAX = flags.DEFINE_list("sweep_sigma_max", ["80", "20", "10", "5", "3"], "Noise levels to start from.")
_S_CHURN = flags.DEFINE_float("sweep_s_churn", 10.0, "Noise that stochastic_heun adds.")
_RHO = flags.DEFINE_list("sweep_rho", ["3", "5", "7", "10", "15"], "Curvatures of the noise grid.")


def main(arguments: list[str]) -> None:
    """Scores, or sweeps."""
    cli.no_arguments(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is scored stays
    output = cli.output_folder("output", _OUTPUT.value)
    _check_flags()
    grid = _grid()
    if _DEVICE.value:
        cli.use_device(_DEVICE.value)
    start_processes(cli.say)
    cli.announce_device()
    model = None if _ESTIMATES.value else weights.load(_CHECKPOINT.value or "")  # which processes do together
    if jax.process_count() > 1:
        finish_processes()  # they have nothing more to tell each other, and need not end together
    if model is None:
        _score(OfFiles(Path(_ESTIMATES.value or ""), _split(), _TARGETS.value or ()), output)
        return
    cli.change_settings(model.config, _SET.value)
    use_cache(model.config.compilation_cache)
    if _SWEEP.value:
        _sweep(model, grid, output)
    else:
        _score(OfModel(_CHECKPOINT.value or "", model, _seeds(), cli.say), output)


def _score(source: Source, output: Path) -> None:
    """Scores every run of a source; then writes what all tracks say together."""
    failures = Failures()
    entries = choose_tracks(_data(), _split(), source.targets, _TRACK.value, _MAX_TRACKS.value, failures, cli.say)
    embedding = open_embedding(_EMBEDDING.value, cli.say)
    scoring = Scoring(source.targets, tuple(_BASELINES.value), _BSS_EVAL.value, _DTYPE.value, embedding)
    device = f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}"
    made = {**versions(), "commit": commit(), "device": device}
    runs = runs_of(source, output, entries, scoring, _SECONDS.value, made)
    index, count = part_of_process(os.environ, _SHARE.value)
    mine = even_share(entries, [entry.track.seconds for entry in entries], index, count)
    if count > 1:
        cli.say(f"part {index + 1} of {count}: {len(mine)} of {len(entries)} tracks")
    cli.make_folder(output)
    spent = Spent(lambda: source.busy_seconds)
    with cli.seconds_of_audio(len(runs) * sum(map(_seconds, mine))) as advance:
        for run in runs:
            todo = mine if _OVERWRITE.value else run.unfinished(mine)
            if len(todo) < len(mine):
                cli.say(f"{run.name}: {len(mine) - len(todo)} of {len(mine)} tracks are scored already")
                advance(0.0, sum(map(_seconds, mine)) - sum(map(_seconds, todo)))
            if todo:
                separated = source.separate(run.name, todo, _SECONDS.value, failures, advance)
                one_step = source.one_step(run.name) if "one_step" in scoring.baselines else None
                score_run(run, separated, scoring, one_step, failures, _tell, spent)
    summary = write_results(output, runs, _about(source, embedding), failures)
    if summary:
        report = write_report(output, Path(_COMPARE.value) if _COMPARE.value else None)
        cli.say(summary_table(summary))
        cli.say(spent.told())
        cli.say(f"{output / 'summary.json'}, {output / 'scores.csv'}, {report}")
    _name_failures(failures)


def _sweep(model: weights.Model, grid: Grid, output: Path) -> None:
    """Scores every combination of the grid, and names the best."""
    failures = Failures()
    targets = model.config.data.targets
    entries = choose_tracks(_data(), _split(), targets, _TRACK.value, _MAX_TRACKS.value, failures, cli.say)
    clips = [load_clip(entry.track, targets, _SECONDS.value) for entry in entries]
    rows = sweep(model, clips, grid, output, _seeds()[0], cli.say)
    about = {"checkpoint": _CHECKPOINT.value, "root": _ROOT.value, "split": _split(), "seconds": _SECONDS.value}
    made = {**about, "seed": _seeds()[0], "set": _SET.value, **versions(), "commit": commit()}
    write_json(output / "sweep.json", {**made, **grid._asdict(), "tracks": [clip.name for clip in clips]})
    column = f"csdr_{targets[0]}_median"
    shown = ["sampler", "num_steps", "sigma_max", "rho", "evaluations", column]
    counts = sorted({row["evaluations"] for row in rows})
    tops = [best([row for row in rows if row["evaluations"] == count], column) for count in counts]
    cli.say(
        "best for each number of network evaluations\n" + table(shown, [[row[key] for key in shown] for row in tops])
    )
    cli.say(f"{output / 'sweep.csv'}, {output / 'sweep.json'}, {output / 'sweep.png'}")
    _name_failures(failures)


def _name_failures(failures: Failures) -> None:
    lines = [*failures.left_out, *failures.lines.values()]
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    if lines:
        sys.exit(1)


def _data() -> ConfigDict:
    return data_section(_ROOT.value, _VALID_TRACKS.value, _RENAME.value)


def _split() -> str:
    return choose_split(_data(), _SPLIT.value)


def _check_flags() -> None:
    if bool(_CHECKPOINT.value) == bool(_ESTIMATES.value):
        raise InputError("give --checkpoint=DIR to score a model, or --estimates=DIR to score what lies there")
    if _SWEEP.value and _ESTIMATES.value:
        raise InputError("--sweep needs a model: give --checkpoint=DIR")
    for flag in (_SET, _SEEDS):
        if _ESTIMATES.value and flag.present:
            raise InputError(f"--{flag.name} is a model's, and --estimates has none: leave it out")
    if _TARGETS.value and not _ESTIMATES.value:
        raise InputError(f"--targets={','.join(_TARGETS.value)}: a model has its own; give it with --estimates alone")
    if _BSS_EVAL.value == "museval":
        museval_metrics()  # before hours of work, rather than after
    if _SECONDS.value != 0:
        cli.positive_seconds("seconds", _SECONDS.value, least=1.0)  # cSDR scores whole seconds
    if unknown := [name for name in _BASELINES.value if name not in BASELINES]:
        raise InputError(f"--baselines={','.join(_BASELINES.value)}: '{unknown[0]}' is none of {', '.join(BASELINES)}")
    if _COMPARE.value and not (Path(_COMPARE.value) / "summary.json").is_file():
        raise InputError(f"--compare={_COMPARE.value}: holds no summary.json; give the --output of another evaluation")
    _seeds()


def _seeds() -> list[int]:
    try:
        seeds = [int(text) for text in _SEEDS.value]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise InputError(
            f"--seeds={','.join(_SEEDS.value)}: give different whole numbers from 0, such as --seeds=0,1,2"
        )
    return seeds


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


def _seconds(entry: Entry) -> float:
    """Of a track that are scored."""
    return min(entry.track.seconds, _SECONDS.value or entry.track.seconds)


def _tell(record: Record) -> None:
    kinds = {"csdr": "cSDR", "usdr": "uSDR", "sisdr": "SI-SDR"}
    scores = record.scores[ESTIMATE]
    told = (f"{kinds[kind]} {stem} {scores[f'{kind}_{stem}']:.2f}" for stem in record.stems for kind in kinds)
    cli.say(f"{record.run}  {record.track}  {'  '.join(told)}")


def _about(source: Source, embedding: Embedding | None) -> dict[str, Any]:
    return {
        **source.about(),
        "date": datetime.date.today().isoformat(),
        "root": _ROOT.value,
        "split": _split(),
        "seconds": _SECONDS.value,
        "set": _SET.value,
        "bss_eval": _BSS_EVAL.value,
        "embedding": " ".join(filter(None, [embedding.name, embedding.fingerprint])) if embedding else "none",
        "dtype": _DTYPE.value,
    }


if __name__ == "__main__":
    cli.run(main)
