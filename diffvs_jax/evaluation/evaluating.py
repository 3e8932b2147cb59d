"""A whole evaluation: its runs one after the other, then what all tracks say together."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffvs_jax.evaluation import excerpts
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.evaluation.pipeline import Failures, Separated, score_beside
from diffvs_jax.evaluation.records import Record, write_json
from diffvs_jax.evaluation.run import Run
from diffvs_jax.evaluation.scoring import Scoring, Stems, score_clip
from diffvs_jax.evaluation.summary import rows_over_runs, summary_of, write_table


@dataclasses.dataclass
class Spent:
    """What this process did, and the seconds that it took: ``wall`` in all, which the others share and overlap in."""

    tracks: int = 0
    audio: float = 0.0
    wall: float = 0.0
    decode: float = 0.0
    score: float = 0.0

    def seconds(self, network: float) -> dict[str, float]:
        """All but the number of tracks, and the seconds in which devices ran the separation program."""
        return {"audio": self.audio, "wall": self.wall, "network": network, "decode": self.decode, "score": self.score}

    def told(self, network: float) -> str:
        """A line about it, given the seconds in which devices ran the separation program."""
        if not self.tracks:
            return "nothing was left to score"
        shares = {"the network": network, "decoding": self.decode, "scoring": self.score}
        told = ", ".join(f"{name} {seconds:.1f} s ({seconds / self.wall:.0%})" for name, seconds in shares.items())
        return f"{self.tracks} tracks, {self.audio:.0f} s of audio in {self.wall:.1f} s; side by side: {told}"


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
    start = time.perf_counter()
    known = run.known_seconds()

    def score(track: Separated) -> None:
        began = time.perf_counter()
        try:
            scores, frames = score_clip(track.clip, track.stems, scoring, one_step)
            times = {"decode": track.decoding, "score": time.perf_counter() - began}
            record = run.save(track.entry.name, track.clip, track.stems, scores, frames, times, known)
        except Exception as error:
            failures.add(track.entry, error)
            return
        known.extend(record.frames[f"sdr_{run.stems[0]}"])
        spent.tracks += 1
        spent.audio += record.seconds
        spent.decode += track.decoding
        spent.score += time.perf_counter() - began
        tell(record)

    score_beside(separated, score)
    spent.wall += time.perf_counter() - start


def write_results(folder: Path, runs: Sequence[Run], about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Writes ``summary.json`` and ``scores.csv`` of all that is scored by now; the summary.

    Of several processes each does, and the last one to end has all there is. None where nothing is scored.
    """
    while True:
        records = {run.name: run.finished() for run in runs}
        count = sum(map(len, records.values()))
        if not count:
            return None
        excerpts.prune(folder, [record for run in runs if run.keep_excerpts for record in records[run.name]])
        scored = {name: own for name, own in records.items() if own}
        summary = {
            **about,
            "stems": list(runs[0].stems),
            "tracks": sorted({record.track for own in scored.values() for record in own}),
            "num_tracks": len(runs[0].settings),
            **summary_of(scored),
        }
        write_json(folder / "summary.json", summary)
        write_table(folder / "scores.csv", rows_over_runs(scored))
        if count == sum(len(run.finished()) for run in runs):  # else another process ended meanwhile
            return summary
