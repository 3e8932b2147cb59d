"""Checks data sets before training: ``python -m diffvs_jax.data.check ROOT...``.

ROOT is a folder, or KIND:FOLDER as in ``data.root``. Reads every file once and names what is bad
(must not be trained on) and what is worth knowing. With ``--strict`` a bad track
makes the exit code 1.
"""

import dataclasses
import os
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from diffvs_jax import __version__, cli
from diffvs_jax.data.beside import write_json
from diffvs_jax.data.checking import BAD, NOTES, Form, TrackReport, check_split
from diffvs_jax.data.datasets import Dataset, open_root
from diffvs_jax.data.verdicts import save_verdicts
from diffvs_jax.errors import InputError

_SPLIT = flags.DEFINE_list("split", [], "Splits to check; default: all there are.")
_STRICT = flags.DEFINE_bool("strict", False, "Exit with code 1 when a track is bad.")
_SAMPLE_RATE = flags.DEFINE_integer("sample_rate", 44100, "Hz that training asks for.", lower_bound=1)
_NUM_CHANNELS = flags.DEFINE_integer("num_channels", 2, "Channels that training asks for.", 1, 2)
_NUM_WORKERS = flags.DEFINE_integer("num_workers", None, "Processes; default: one for each core.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File to write all findings to.")
_VERBOSE = flags.DEFINE_bool("verbose", False, "Print a line for every track, also where nothing was found.")


def main(arguments: list[str]) -> None:
    """Checks every split of every root, then sums up."""
    if not arguments:
        raise InputError("no data set given; usage: python -m diffvs_jax.data.check ROOT...")
    if _JSON.value and Path(_JSON.value).is_dir():
        raise InputError(f"--json={_JSON.value}: is a folder, give a file")
    datasets = {root: open_root(root) for root in arguments}
    reports: dict[tuple[str, str], list[TrackReport]] = {}
    for root, dataset in datasets.items():
        for split in _SPLIT.value or dataset.splits():
            if found := _check(dataset, split):
                reports[root, split] = found
                for report in found:
                    _print_track(dataset, report)
    if not reports:
        raise InputError(f"{', '.join(arguments)}: no tracks; a data set holds {next(iter(datasets.values())).layout}")
    for (root, split), found in reports.items():
        _print_split(f"{root} {split}", found)
    every = [report for found in reports.values() for report in found]
    if _JSON.value:
        _write(Path(_JSON.value), reports)
    _conclude(every)


def _check(dataset: Dataset, split: str) -> list[TrackReport]:
    """Reports of a split; what is bad in it is kept beside the data, for training to leave out."""
    form = Form(_SAMPLE_RATE.value, _NUM_CHANNELS.value)
    with cli.progress(f"{dataset.root.name} {split}", "track") as progress:
        reports = check_split(dataset, split, form, _NUM_WORKERS.value or os.cpu_count() or 1, progress)
    verdicts = {
        entry: (dataset.open(entry), report.obstacle.message)
        for entry, report in zip(dataset.entries(split), reports, strict=True)
        if report.obstacle and report.opens
    }
    if not save_verdicts(dataset.root, dataset.entries(split), verdicts) and verdicts:
        cli.say(f"{dataset.root}: cannot be written, so training will not know of its bad tracks; remove them")
    return reports


def _print_track(dataset: Dataset, report: TrackReport) -> None:
    """A line for each finding, which begins "bad" or "note", with paths below the root."""
    if _VERBOSE.value:
        residual = "" if report.residual_db is None else f", residual {report.residual_db:.1f} dB"
        cli.say(f"read  {report.name}: {report.seconds:.1f} s{residual}")
    for finding in report.findings:
        message = finding.message.replace(f"{dataset.root}{os.sep}", "")
        named = message if Path(report.name).name in message else f"{report.name}: {message}"
        cli.say(f"{'bad ' if finding.bad else 'note'}  {finding.kind}: {named}")


def _print_split(title: str, reports: Sequence[TrackReport]) -> None:
    """Tracks, hours, what is heard in them, and how often what was found."""
    hours = sum(report.seconds for report in reports) / 3600
    cli.say(f"{title}: {len(reports)} tracks, {hours:.2f} h")
    heard: Counter[str] = Counter()
    for report in reports:
        heard.update(report.heard)
    if heard:
        stems = ", ".join(f"{stem} {seconds / 3600:.2f} h" for stem, seconds in sorted(heard.items()))
        cli.say(f"  heard (seconds with a peak over -60 dB): {stems}")
    residuals = {report.name: report.residual_db for report in reports if report.residual_db is not None}
    if residuals:
        worst = max(residuals, key=residuals.__getitem__)
        middle = statistics.median(residuals.values())
        cli.say(f"  mixture less stems: median {middle:.1f} dB, worst {residuals[worst]:.1f} dB ({worst})")
    kinds = Counter(finding.kind for report in reports for finding in report.findings)
    counts = ", ".join(f"{kind} {kinds[kind]}" for kind in (*BAD, *NOTES) if kinds[kind])
    cli.say(f"  findings: {counts or 'none'}")


def _conclude(reports: Sequence[TrackReport]) -> None:
    """What becomes of the bad tracks, and the exit code."""
    bad = [report for report in reports if report.bad]
    if not bad:
        hours = sum(report.seconds for report in reports) / 3600
        cli.say(f"all {len(reports)} tracks can be used, {hours:.2f} h")
        return
    tally = f"{len(bad)} of {len(reports)} tracks are bad"
    left_out = sum(report.obstacle is not None for report in bad)
    scored = f", {len(bad) - left_out} with a bad mixture cannot be scored" if left_out < len(bad) else ""
    cli.say(f"{tally}: training leaves out {left_out}{scored}")
    if _STRICT.value:
        print(f"error: {tally} (--strict)", file=sys.stderr)
        sys.exit(1)


def _write(path: Path, reports: dict[tuple[str, str], list[TrackReport]]) -> None:
    """Every report as JSON; the file appears whole or not at all."""
    tracks = [
        {"root": root, "split": split, "bad": report.bad, **dataclasses.asdict(report)}
        for (root, split), found in reports.items()
        for report in found
    ]
    about = {"diffvs_jax": __version__, "sample_rate": _SAMPLE_RATE.value, "num_channels": _NUM_CHANNELS.value}
    write_json(path, {**about, "tracks": tracks})


if __name__ == "__main__":
    cli.run(main)
