"""What augmentation does and how often, from a config and checked."""

import dataclasses
import math
from typing import Any

from diffvs_jax.errors import InputError

Range = tuple[float, float]

# Limits of the ranges: lowest and highest value that makes sense, and the unit people know it by.
_LIMITS = {
    "gain_range": (0.0, 100.0),
    "compression_ratio": (1.0, 100.0),
    "compression_decibels": (0.0, 80.0),
    "soft_clip_decibels": (0.0, 60.0),
    "reverb_seconds": (0.05, 20.0),
    "reverb_decibels": (-80.0, 20.0),
    "shift_semitones": (-12.0, 12.0),
    "shift_tempo": (0.5, 1.0),
    "band_limit_hz": (500.0, 200_000.0),
}


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Settings of ``augment``; the defaults leave everything as it is. Ranges are (lowest, highest).

    Attributes:
      gain_range: factor of a stem's amplitude, drawn for every stem of every example.
      channel_swap_probability: per stem.
      sign_flip_probability: per stem.
      drop_target_probability: per target.
      mono_probability: per example: all its stems become mono.
      equaliser_probability: per stem.
      equaliser_decibels: largest gain and cut of its four bands.
      compression_probability: per stem.
      compression_ratio: decibels in per decibel out.
      compression_decibels: of the threshold below the stem's peak.
      soft_clip_probability: per stem.
      soft_clip_decibels: of drive above the stem's peak.
      reverb_probability: per stem.
      reverb_seconds: in which the tail falls by 60 dB.
      reverb_decibels: of the tail's energy relative to the direct sound.
      shift_probability: per example: all its stems change pitch and tempo together.
      shift_semitones: of pitch.
      shift_tempo: factor of speed; above 1 there is no audio to take.
      band_limit_probability: per example: all its stems end at one frequency.
      band_limit_hz: that frequency.
    """

    gain_range: Range = (1.0, 1.0)
    channel_swap_probability: float = 0.0
    sign_flip_probability: float = 0.0
    drop_target_probability: float = 0.0
    mono_probability: float = 0.0
    equaliser_probability: float = 0.0
    equaliser_decibels: float = 6.0
    compression_probability: float = 0.0
    compression_ratio: Range = (2.0, 6.0)
    compression_decibels: Range = (6.0, 20.0)
    soft_clip_probability: float = 0.0
    soft_clip_decibels: Range = (0.0, 12.0)
    reverb_probability: float = 0.0
    reverb_seconds: Range = (0.2, 1.5)
    reverb_decibels: Range = (-20.0, -6.0)
    shift_probability: float = 0.0
    shift_semitones: Range = (-2.0, 2.0)
    shift_tempo: Range = (0.85, 1.0)
    band_limit_probability: float = 0.0
    band_limit_hz: Range = (4000.0, 16_000.0)

    @classmethod
    def from_config(cls, section: Any) -> "Augmentation":
        """The settings of ``config.data.augment``.

        Raises:
          InputError: names the key, its value and the limit.
        """
        values = {}
        for field in dataclasses.fields(cls):
            value = getattr(section, field.name)
            name = f"data.augment.{field.name}"
            if field.name in _LIMITS:
                value = _checked_range(name, value, *_LIMITS[field.name])
            elif field.name.endswith("_probability"):
                if not 0 <= value <= 1:
                    raise InputError(f"{name} is {value}; it must lie in [0, 1]")
            elif not 0 <= value <= 40:
                raise InputError(f"{name} is {value}; it must lie in [0, 40]")
            values[field.name] = value
        return cls(**values)


NO_AUGMENTATION = Augmentation()


def _checked_range(name: str, value: Any, lowest: float, highest: float) -> Range:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InputError(f"{name} is {value}; it must be (lowest, highest)")
    low, high = value
    if not (math.isfinite(low) and lowest <= low <= high <= highest):
        limits = f"{lowest:g} <= lowest <= highest <= {highest:g}"
        raise InputError(f"{name} is ({low}, {high}); it must be {limits}")
    return low, high
