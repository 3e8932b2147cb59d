"""The drums of the procedural songs: patterns, sections that thin them out, fills and rolls."""

import dataclasses

import numpy as np

from diffvs_jax.data.synthetic import arrangement, sound
from diffvs_jax.data.synthetic.frame import Frame, Studio
from diffvs_jax.data.synthetic.kits import draw_kit

# Sixteenths of a bar.
_KICKS = (
    (0, 4, 8, 12),
    (0, 4, 8, 12),
    (0, 8),
    (0, 8, 10),
    (0, 6, 10),
    (0, 7, 8),
    (0, 3, 8, 11),
    (0, 10),
    (0, 2, 8, 10, 11),
    (0, 3, 6, 10, 14),
)
_SNARES = ((4, 12), (4, 12), (4, 12), (8,), (4, 12, 15), (4, 7, 12), (4, 10, 12), ())
_HATS = (tuple(range(0, 16, 2)), tuple(range(16)), (2, 6, 10, 14), (0, 4, 8, 12), (0, 3, 6, 8, 11, 14), ())
_RIMS = ((), (), (0, 3, 6, 10, 12), (2, 5, 8, 11, 14), (3, 7, 14))


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A bar of a song's beat in sixteenths, and what is added to it."""

    kicks: tuple[int, ...]
    snares: tuple[int, ...]
    hats: tuple[int, ...]
    rims: tuple[int, ...]
    shaken: bool
    rolls: bool
    filled: float


def render_drums(rng: np.random.Generator, frame: Frame, studio: Studio) -> tuple[np.ndarray, np.ndarray]:
    """Drums ``[samples, channels]`` (silent in some songs) and the times of the kicks in seconds."""
    mix = studio.silence()
    if rng.random() < 0.07:
        return mix, np.zeros(0)
    pattern = Pattern(
        kicks=_KICKS[rng.integers(len(_KICKS))],
        snares=_SNARES[rng.integers(len(_SNARES))],
        hats=_HATS[rng.integers(len(_HATS))],
        rims=_RIMS[rng.integers(len(_RIMS))],
        shaken=rng.random() < 0.3,
        rolls=rng.random() < 0.25,
        filled=rng.uniform(0.2, 0.8),
    )
    human = rng.choice([0.0, 0.0, 0.004, 0.008])
    kit = draw_kit(rng.spawn(1)[0], studio)
    present = {name: arrangement.draw_presence(rng, frame, 0.2) for name in ("kick", "snare", "hat", "crash")}
    kicks = []
    for bar in range(len(frame.degrees)):
        for drum, sixteenth, level in _strokes(rng, frame, pattern, bar):
            part = {"open_hat": "hat", "shaker": "hat", "rim": "snare"}.get(drum, drum)
            if not present.get(part, present["snare"])[bar]:
                continue
            # Patterns may ask for parts of a sixteenth (rolls), to which no swing applies.
            time = frame.time(bar, sixteenth / 4) + rng.normal(0, human)
            one_shot = kit.toms[int(drum[-1])] if drum.startswith("tom") else getattr(kit, drum)
            sound.add_at(mix, one_shot * np.float32(level), round(time * studio.sample_rate))
            if drum == "kick":
                kicks.append(frame.time(bar, sixteenth / 4))
    everywhere = np.ones(len(frame.degrees), bool)
    return mix * arrangement.gate(frame, studio, everywhere), np.sort(kicks)


def _strokes(rng: np.random.Generator, frame: Frame, pattern: Pattern, bar: int) -> list[tuple[str, float, float]]:
    """The strokes of a bar: drum, sixteenths from the bar's start, level."""
    section = frame.sections[bar]
    ending = bar == section.first + section.bars - 1
    strokes: list[tuple[str, float, float]] = []
    strokes += [("kick", each, rng.uniform(0.85, 1.1)) for each in pattern.kicks]
    strokes += [("snare", each, rng.uniform(0.75, 1.0)) for each in pattern.snares]
    strokes += [("rim", each, rng.uniform(0.4, 0.8)) for each in pattern.rims]
    for each in pattern.hats:
        accent = 1.0 if each % 4 == 0 else 0.65
        strokes.append(("open_hat" if each == 14 and rng.random() < 0.3 else "hat", each, accent))
        if pattern.rolls and rng.random() < 0.12:
            split = int(rng.choice([2, 3, 4]))
            strokes += [("hat", each + part / split, 0.6) for part in range(1, split)]
    if pattern.shaken:
        strokes += [("shaker", each, 0.3 + 0.3 * (each % 4 == 2)) for each in range(16)]
    if rng.random() < (pattern.filled if ending else 0.1 if bar % 4 == 3 else 0.0):
        strokes += _fill(rng)
    if bar == section.first and rng.random() < 0.6:
        strokes.append(("crash", 0, 0.7))
    return strokes


def _fill(rng: np.random.Generator) -> list[tuple[str, float, float]]:
    """The end of a bar that leads into the next: toms and snare, or a roll that speeds up and grows."""
    if rng.random() < 0.4:
        times = np.concatenate([np.arange(0, 8, 2), np.arange(8, 12, 1), np.arange(12, 16, 0.5)])
        return [("snare", float(each), 0.3 + 0.04 * float(each)) for each in times]
    first = int(rng.choice([8, 12, 12]))
    drums = ("snare", "tom0", "tom1", "tom2")
    return [(drums[rng.integers(4)], each, rng.uniform(0.5, 0.9)) for each in range(first, 16)]
