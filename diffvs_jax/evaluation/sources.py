"""Where estimates come from: a model with some seeds, or files of any separator."""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from diffvs_jax.evaluation import estimates, pipeline
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.evaluation.pipeline import Advance, Entry, Failures, Separated
from diffvs_jax.evaluation.provenance import digest
from diffvs_jax.inference.separator import Separator, Stems
from diffvs_jax.model import weights

_SECTIONS = ("audio", "edm", "model", "sampler", "separation")


class Source(Protocol):
    """Gives tracks with their estimates, run by run.

    Attributes:
      targets: stems that are estimated.
      runs: names of the runs.
      busy_seconds: in which devices were at work.
    """

    targets: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def busy_seconds(self) -> float: ...  # noqa: D102

    def separate(
        self, run: str, entries: Sequence[Entry], seconds: float, failures: Failures, advance: Advance
    ) -> Iterator[Separated]:
        """Tracks with their estimates, see ``pipeline.separate``."""

    def one_step(self, run: str) -> Callable[[Clip], Stems] | None:
        """What separates a clip with a single step; None where there is no model."""

    def depends_on(self, run: str) -> Any:
        """All that a run's estimates depend on but the tracks."""

    def files_of(self, entry: Entry) -> Any:
        """By what a track's estimates are known again, where they are files."""

    def about(self) -> dict[str, Any]:
        """What a summary says of it."""


class OfModel:
    """A model, of which every seed is a run.

    Args:
      checkpoint: where it is from.
      model: with the config as it is to be used.
      seeds: of the noise.
      say: told how long compiling took.
    """

    def __init__(self, checkpoint: str, model: weights.Model, seeds: Sequence[int], say: Callable[[str], None]):
        self._checkpoint, self._model, self._say = checkpoint, model, say
        self._seeds = {f"seed_{seed}": seed for seed in seeds}
        self.runs = tuple(self._seeds)
        self.targets: tuple[str, ...] = tuple(model.config.data.targets)
        self._separator = Separator.from_model(model, log=say)
        self._fingerprint = weights.fingerprint(model)

    @property
    def busy_seconds(self) -> float:
        """Of the separation program."""
        return self._separator.busy_seconds

    def separate(
        self, run: str, entries: Sequence[Entry], seconds: float, failures: Failures, advance: Advance
    ) -> Iterator[Separated]:
        """See ``Source``."""
        if not self._separator.num_compiled:
            self._say(f"separation program compiled in {self._separator.compile()}")
        return pipeline.separate(self._of(run), entries, seconds, failures, advance)

    def one_step(self, run: str) -> Callable[[Clip], Stems]:
        """See ``Source``."""
        separator = self._of(run)
        separator.compile(1)
        sigmas = separator.sigmas[[0, -1]]
        return lambda clip: separator(clip.mixture, clip.sample_rate, sigmas=sigmas)

    def depends_on(self, run: str) -> Any:
        """See ``Source``. How many chunks fit into memory is no part of it."""
        return [self._fingerprint, self._settings, self._seeds[run]]

    def files_of(self, entry: Entry) -> None:
        """See ``Source``."""

    def about(self) -> dict[str, Any]:
        """See ``Source``."""
        config = self._model.config
        return {
            "checkpoint": self._checkpoint,
            "checkpoint_step": self._model.step,
            "model": self._fingerprint,
            "config": config.name,
            "config_hash": digest(config.to_dict()),
            "seeds": list(self._seeds.values()),
            "sampler": config.sampler.to_dict(),
            "separation": config.separation.to_dict(),
            "sigmas": self._separator.sigmas.tolist(),
        }

    @functools.cached_property
    def _settings(self) -> dict[str, Any]:
        settings = {name: self._model.config[name].to_dict() for name in _SECTIONS}
        del settings["separation"]["batch_size"]
        return settings

    def _of(self, run: str) -> Separator:
        return self._separator.with_seed(self._seeds[run])


class OfFiles:
    """Estimates on disk, of which there is one run.

    Args:
      root: their folder, ``[SPLIT/]TRACK/STEM.wav``.
      split: of the data set.
      targets: stems to score; none: see ``estimates.find_targets``.

    Raises:
      InputError: no estimates there.
    """

    def __init__(self, root: Path, split: str, targets: Sequence[str] = ()):
        self._root, self._split = root, split
        self.runs: tuple[str, ...] = ("estimates",)
        self.targets = estimates.find_targets(root, split, targets)
        self.busy_seconds = 0.0

    def separate(
        self, run: str, entries: Sequence[Entry], seconds: float, failures: Failures, advance: Advance
    ) -> Iterator[Separated]:
        """See ``Source``."""
        return pipeline.read_estimates(self._root, self._split, entries, self.targets, seconds, failures, advance)

    def one_step(self, run: str) -> None:
        """See ``Source``."""

    def depends_on(self, run: str) -> None:
        """See ``Source``."""

    def files_of(self, entry: Entry) -> Any:
        """See ``Source``."""
        return estimates.fingerprint(self._root, self._split, entry.estimated_as)

    def about(self) -> dict[str, Any]:
        """See ``Source``."""
        return {"estimates": str(self._root)}
