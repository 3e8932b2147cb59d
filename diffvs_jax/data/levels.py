"""How loud a file is and what is wrong with its samples, measured block by block."""

import numpy as np

AUDIBLE_PEAK = 1e-3
"""A second whose peak reaches this is heard: -60 dB of full scale."""
FULL_SCALE = 1 - 2.0**-15
"""The largest sample that 16 bits hold."""
CLIPPED_RUN = 3
"""So many consecutive samples at full scale are clipped; fewer are a loud peak."""


class Levels:
    """Of one file; blocks are added in order.

    Args:
      sample_rate: in Hz.
      num_channels: of the file.

    Attributes:
      num_samples: per channel, so far.
      peak: largest absolute sample.
      num_bad: samples that are NaN or infinite, all channels together; they count as zeros elsewhere.
      first_bad: index of the first of them.
      clipped_runs: how often ``CLIPPED_RUN`` or more consecutive samples of a channel are at full scale.
      clipped_samples: samples in those runs.
    """

    def __init__(self, sample_rate: int, num_channels: int):
        self.sample_rate = sample_rate
        self.num_samples = 0
        self.peak = 0.0
        self.num_bad = 0
        self.first_bad = -1
        self.clipped_runs = 0
        self.clipped_samples = 0
        self._loud_end = np.zeros((CLIPPED_RUN, num_channels), bool)

    def add(self, block: np.ndarray) -> np.ndarray:
        """Measures ``[samples, channels]``, and makes zeros of samples that are not finite.

        Args:
          block: whole seconds, but for the last one.

        Returns:
          Peak of every second, ``[seconds]``; a second that was begun counts.
        """
        peaks = _peaks(block, self.sample_rate)
        if not np.isfinite(peaks).all():
            bad = ~np.isfinite(block)
            if not self.num_bad:
                self.first_bad = self.num_samples + int(bad.any(axis=1).argmax())
            self.num_bad += int(bad.sum())
            block[bad] = 0
            peaks = _peaks(block, self.sample_rate)
        self.num_samples += len(block)
        self.peak = max(self.peak, float(peaks.max(initial=0)))
        self._count_clipped(block, loud=bool((peaks >= FULL_SCALE).any()))
        return peaks

    def _count_clipped(self, block: np.ndarray, loud: bool) -> None:
        if not loud:  # a run that began before ends here, and is counted already
            self._loud_end[:] = False
            return
        at_limit = np.concatenate([self._loud_end, np.abs(block) >= FULL_SCALE])
        in_run = at_limit[2:] & at_limit[1:-1] & at_limit[:-2]  # where a run is CLIPPED_RUN long, or longer
        begun = int((in_run[1:] & ~in_run[:-1]).sum())
        self.clipped_runs += begun
        self.clipped_samples += int(in_run[1:].sum()) + (CLIPPED_RUN - 1) * begun
        self._loud_end = at_limit[-CLIPPED_RUN:]


def _peaks(block: np.ndarray, sample_rate: int) -> np.ndarray:
    whole = len(block) // sample_rate
    seconds, rest = block[: whole * sample_rate], block[whole * sample_rate :]
    parts = [seconds.reshape(whole, sample_rate * block.shape[1]), *([rest.reshape(1, -1)] if len(rest) else [])]
    with np.errstate(invalid="ignore"):  # NaN is what is looked for
        return np.concatenate([np.maximum(part.max(axis=1), -part.min(axis=1)) for part in parts])
