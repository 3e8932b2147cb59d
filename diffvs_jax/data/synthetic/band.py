"""The band of the procedural songs: who plays beside drums and bass, when, and how loud."""

from collections.abc import Mapping

import numpy as np

from diffvs_jax.data.synthetic import arrangement, chords, leads, sound
from diffvs_jax.data.synthetic.frame import Frame, Studio


def _ambience(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Noise that swells: risers into the next section, sea, or vinyl that crackles."""
    low = float(np.exp(rng.uniform(np.log(300), np.log(5000))))
    noise = sound.shaped_noise(rng, studio.num_samples, studio.sample_rate, low, low * rng.uniform(1.5, 4))
    time = np.arange(studio.num_samples) / studio.sample_rate
    kind = rng.random()
    if kind < 0.35:
        bars = frame.bar_at(time)
        first, length = (np.array([getattr(each, name) for each in frame.sections]) for name in ("first", "bars"))
        passed = ((time - frame.start) / frame.bar - first[bars]) / length[bars]
        gain = np.clip(2 * passed - 1, 0, 1) ** 2
    elif kind < 0.8:
        gain = (((time - frame.start) / (frame.beat * rng.choice([4, 8, 16]))) % 1.0) ** 2
    else:
        clicks = rng.random(studio.num_samples) < 12 / studio.sample_rate
        gain = 0.2 + 8 * np.convolve(clicks, np.hanning(studio.count(0.002) + 2), mode="same")
    return sound.pan((noise * gain).astype(np.float32), 0, studio.num_channels)


_PLAYERS = (
    chords.pad,
    chords.guitar,
    chords.keys,
    chords.supersaw,
    chords.arpeggio,
    chords.ensemble,
    leads.synthesiser,
    leads.soloist,
    leads.talk_box,
    _ambience,
)
_CHANCES = np.array([0.3, 0.3, 0.3, 0.25, 0.3, 0.15, 0.3, 0.25, 0.15, 0.15])
_NUM_CHORDS = 6
# Bodies, hands and amplifiers make instruments warmer than their partials; records leave the voice its middle.
_GAINS_DB = np.array([1.0, 4, 5, -1, -2, -2, -2, -2, 0, 0])


def render_other(
    rng: np.random.Generator, frame: Frame, studio: Studio, kicks: np.ndarray, studios: Mapping[str, Studio]
) -> np.ndarray:
    """Two or more of pad, guitar, keys, synthesisers, strings and leads, ``[samples, channels]``.

    ``kicks`` are the times in seconds at which a pumping compressor ducks; ``studios`` are those of the players,
    by name, who do not play in ``studio``.
    """
    playing = rng.random(len(_PLAYERS)) < _CHANCES
    playing[rng.choice(_NUM_CHORDS, 2, replace=False)] = True
    mix = studio.silence()
    chosen = np.flatnonzero(playing)
    ducked = len(kicks) > 0 and rng.random() < 0.4
    duck = arrangement.pumping(rng, frame, studio, kicks) if ducked else np.ones((1, 1), np.float32)
    for number, (player, part_rng) in enumerate(zip(chosen, rng.spawn(len(chosen)), strict=True)):
        level = rng.normal(0, 4) - (14 if _PLAYERS[player] is _ambience else 0)
        # The first instrument carries the song; the others come and go.
        plays = arrangement.draw_presence(rng, frame, 1.0 if number == 0 else 0.0)
        if not plays.any():
            continue
        gains = sound.random_equaliser(rng, 3.0) + _GAINS_DB
        low = rng.uniform(25, 120)
        play = _PLAYERS[player]
        part = play(part_rng, frame, studios.get(play.__name__, studio))
        part = sound.process(part, studio.sample_rate, gains, low=low)
        if rng.random() < 0.12:
            part = arrangement.sweep(part_rng, frame, studio, part)
        part *= np.float32(10 ** (level / 20) / (np.sqrt(np.mean(part**2)) + 1e-9))
        part *= arrangement.gate(frame, studio, plays, stops=rng.random() < 0.8)
        if rng.random() < 0.8:
            part *= duck
        mix += part
    return mix
