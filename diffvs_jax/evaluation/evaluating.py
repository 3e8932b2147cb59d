"""A whole evaluation: its runs one after the other, then what all tracks say together."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffvs_jax.evaluation import excerpts
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.evaluation.failed import load_failed, save_failed
from diffvs_jax.evaluation.museval_json import write_museval
from diffvs_jax.evaluation.pipeline import Entry, Failures, Separated, score_beside
from diffvs_jax.evaluation.provenance import digest
from diffvs_jax.evaluation.records import Record, write_json
from diffvs_jax.evaluation.run import Run
from diffvs_jax.evaluation.scoring import Scoring, Stems, score_clip
from diffvs_jax.evaluation.sources import Source
from diffvs_jax.evaluation.summary import provenance_of, rows_over_runs, summary_of, time_of, write_table
from diffvs_jax.inference.remainder import stem_names


def runs_of(
    source: Source,
    folder: Path,
    entries: Sequence[Entry],
    scoring: Scoring,
    seconds: float = 0.0,
    made: Mapping[str, str] | None = None,
) -> list[Run]:
    """The runs of a source, of which the first keeps excerpts.

    Args:
      source: of the estimates.
      folder: where scores are written.
      entries: all tracks, of which a process may score but some.
      scoring: what is computed.
      seconds: of the middle of each track; 0: all of it.
      made: with what: versions, commit, device.
    """
    files = {entry.name: digest([entry.fingerprint(), source.files_of(entry)]) for entry in entries}
    settings = {name: digest([name, seconds, scoring.facts(), source.depends_on(name)]) for name in source.runs}
    stems, first = stem_names(source.targets), source.runs[0]
    return [Run(folder, name, stems, settings[name], files, made or {}, name == first) for name in source.runs]


@dataclasses.dataclass
class Spent:
    """What this process did, and the seconds that it took: ``wall`` in all, which the others share and overlap in.

    Attributes:
      busy: seconds that devices have run the separation program by now.
    """

    busy: Callable[[], float] = lambda: 0.0
    tracks: int = 0
    audio: float = 0.0
    wall: float = 0.0
    network: float = 0.0
    decode: float = 0.0
    score: float = 0.0

    def add(self, record: Record) -> None:
        """Counts a track that was scored."""
        self.tracks += 1
        self.audio += record.seconds
        self.network += record.times["network"]
        self.decode += record.times["decode"]
        self.score += record.times["score"]

    def told(self) -> str:
        """A line about it."""
        if not self.tracks:
            return "nothing was left to score"
        shares = {"the network": self.network, "decoding": self.decode, "scoring": self.score}
        told = ", ".join(f"{name} {seconds:.1f} s ({seconds / self.wall:.0%})" for name, seconds in shares.items())
        tracks = "1 track" if self.tracks == 1 else f"{self.tracks} tracks"
        return f"{tracks} scored, {self.audio:.0f} s of audio in {self.wall:.1f} s; side by side: {told}"


def score_run(
    run: Run,
    separated: Iterable[Separated],
    scoring: Scoring,
    one_step: Callable[[Clip], Stems] | None,
    failures: Failures,
    tell: Callable[[Record], None],
    spent: Spent,
) -> None:
    """Scores tracks, each while the next is separated, and writes it when it is done.

    Args:
      run: where to.
      separated: the tracks with their estimates.
      scoring: what to compute.
      one_step: a model's one-step estimates; None where there is no model.
      failures: told of tracks that cannot be scored.
      tell: told of every record, from another thread.
      spent: grows by what it took.
    """
    start, busy = time.perf_counter(), spent.busy()
    known = run.known_seconds()

    def score(track: Separated) -> None:
        nonlocal busy
        began = time.perf_counter()
        try:
            scores, frames = score_clip(track.clip, track.stems, scoring, one_step)
            before, busy = busy, spent.busy()
            times = {"network": busy - before, "decode": track.decoding, "score": time.perf_counter() - began}
            record = run.save(track.entry.name, track.clip, track.stems, scores, frames, times, known)
        except Exception as error:
            failures.add(track.entry, error)
            return
        known.extend(record.frames[f"sdr_{run.stems[0]}"])
        spent.add(record)
        tell(record)

    score_beside(separated, score)
    spent.wall += time.perf_counter() - start


def write_results(
    folder: Path, runs: Sequence[Run], about: Mapping[str, Any], failures: Failures
) -> dict[str, Any] | None:
    """Writes ``summary.json``, ``scores.csv`` and ``museval`` of all that is scored by now; the summary.

    Of several processes each does, and the last one to end has all there is. None where nothing is scored.

    Args:
      folder: where to.
      runs: of the evaluation.
      about: what else the summary says.
      failures: of this process; what it says of tracks is kept for the others.
    """
    files = runs[0].files
    tried = {track: digest([own, [run.settings for run in runs]]) for track, own in files.items()}
    save_failed(folder, failures.lines, tried)
    while True:
        records = {run.name: run.finished() for run in runs}
        failed = load_failed(folder, tried)
        if not any(records.values()):
            return None
        excerpts.prune(folder, [record for run in runs if run.keep_excerpts for record in records[run.name]])
        summary = {**about, **_summary(runs, records, failed, failures.left_out)}
        scored = {name: own for name, own in records.items() if own}
        write_json(folder / "summary.json", summary)
        write_table(folder / "scores.csv", rows_over_runs(scored))
        write_museval(folder / "museval", scored)
        ended = sum(map(len, records.values())) < sum(len(run.finished()) for run in runs)
        if not ended and load_failed(folder, tried) == failed:  # else another process has ended meanwhile
            return summary


def _summary(
    runs: Sequence[Run], records: Mapping[str, Sequence[Record]], failed: Mapping[str, str], left_out: Sequence[str]
) -> dict[str, Any]:
    scored = {name: own for name, own in records.items() if own}
    every = [record for own in scored.values() for record in own]
    files = runs[0].files
    done = set.intersection(*({record.track for record in own} for own in records.values()))
    return {
        **provenance_of(every),
        "time": time_of(every),
        "stems": list(runs[0].stems),
        "tracks": sorted({record.track for record in every}),
        "files": dict(files),
        "num_tracks": len(files) + len(left_out),
        "failed": {track: line for track, line in failed.items() if track not in done},
        "left_out": list(left_out),
        "settings": {run.name: run.settings for run in runs if run.name in scored},
        **summary_of(scored),
    }
