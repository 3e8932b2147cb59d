"""One run of an evaluation on disk: which tracks are done, and what is written of each."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffvs_jax.errors import InputError
from diffvs_jax.evaluation import excerpts
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.evaluation.pipeline import Entry
from diffvs_jax.evaluation.records import Record, load_record, record_path, save_record


@dataclasses.dataclass(frozen=True)
class Run:
    """A seed of a model, or finished estimates.

    Attributes:
      folder: of all runs.
      name: "seed_0", or "estimates".
      stems: that are scored, in order.
      settings: a hash of all that its scores depend on but the tracks.
      files: track to a hash of its files.
      made: with what it scores: versions, commit, device.
      keep_excerpts: whether its worst and best seconds are kept as sound.
    """

    folder: Path
    name: str
    stems: tuple[str, ...]
    settings: str
    files: Mapping[str, str]
    made: Mapping[str, str] = dataclasses.field(default_factory=dict)
    keep_excerpts: bool = False

    def finished(self) -> list[Record]:
        """Records of its tracks that are scored and up to date."""
        return [record for track in self.files if (record := self._record(track)) is not None]

    def unfinished(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of the tracks that are not."""
        return [entry for entry in entries if self._record(entry.name) is None]

    def known_seconds(self) -> list[float]:
        """SDR of every second of the first stem in tracks that are scored."""
        return [value for record in self.finished() for value in record.frames[f"sdr_{self.stems[0]}"]]

    def save(
        self,
        track: str,
        clip: Clip,
        estimate: Mapping[str, np.ndarray],
        scores: Mapping[str, Mapping[str, float]],
        frames: Mapping[str, np.ndarray],
        times: Mapping[str, float],
        others: Sequence[float],
    ) -> Record:
        """Writes a track's record and its excerpts.

        Args:
          track: its name.
          clip: mixture and truth.
          estimate: of the stems.
          scores: by method.
          frames: of the estimate.
          times: of its parts, in seconds.
          others: SDR of seconds of other tracks, which may be worse or better than its own.
        """
        first = self.stems[0]
        sdr = frames[f"sdr_{first}"]
        kept: tuple[excerpts.Excerpt, ...] = ()
        if self.keep_excerpts:
            sounds = {"mixture": clip.mixture, "estimate": estimate[first], "truth": clip.truth[first]}
            at = excerpts.ends(sdr, others)
            kept = excerpts.keep(self.folder, f"{self.name}/{track}", sounds, clip.sample_rate, sdr, at)
        record = Record(
            track=track,
            run=self.name,
            settings=self.settings,
            files=self.files[track],
            seconds=len(clip.mixture) / clip.sample_rate,
            sample_rate=clip.sample_rate,
            stems=self.stems,
            scores=scores,
            frames={name: list(map(float, values)) for name, values in frames.items()},
            excerpts=kept,
            times=times,
            made=self.made,
        )
        save_record(self.folder, record)
        return record

    def _record(self, track: str) -> Record | None:
        path = record_path(self.folder, self.name, track)
        try:
            record = load_record(path) if path.is_file() else None
        except InputError:  # written by another version
            return None
        up_to_date = record is not None and (record.settings, record.files) == (self.settings, self.files[track])
        return record if up_to_date else None
