"""A procedural song: its frame (tempo, key, chords), its singer and band, and how they are mixed."""

import numpy as np

from diffvs_jax.data.synthetic import band, drums, sound, voice
from diffvs_jax.data.synthetic import singer as singing
from diffvs_jax.data.synthetic.sound import Frame, Studio
from diffvs_jax.errors import InputError

STEMS = ("vocals", "drums", "bass", "other")

_MIN_SAMPLE_RATE = 4000
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 5, 7, 9, 10))
_PROGRESSIONS = (
    (0, 4, 5, 3),
    (5, 3, 0, 4),
    (0, 5, 3, 4),
    (0, 3, 4, 3),
    (0, 6, 5, 4),
    (1, 4, 0, 0),
    (0, 0, 3, 3),
    (0, 2, 3, 4),
    (0, 3, 0, 4),
    (5, 4, 3, 4),
)


def render_song(
    seed: int, seconds: float = 10.0, sample_rate: int = 44_100, num_channels: int = 2
) -> dict[str, np.ndarray]:
    """A procedural song: sung melody over drums, bass and harmony instruments.

    Args:
      seed: the song; the same seed and arguments give the same bits.
      seconds: length.
      sample_rate: Hz, at which everything is synthesised.
      num_channels: 1 or 2.

    Returns:
      stem name (``STEMS``) -> float32 ``[round(seconds * sample_rate), num_channels]``. The peak of
      the stems' sum is at most 0.9. Drums or bass are silent in some songs.

    Raises:
      InputError: an argument out of range.
    """
    check_form(seconds, sample_rate, num_channels)
    studio = Studio(max(round(seconds * sample_rate), 1), sample_rate, num_channels)
    frame_rng, voice_rng, drum_rng, bass_rng, other_rng, mix_rng = (
        np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(6)
    )
    frame = _draw_frame(frame_rng, seconds)
    drum_stem, kicks = drums.render_drums(drum_rng, frame, studio)
    accompaniment = {
        "drums": drum_stem,
        "bass": band.render_bass(bass_rng, frame, studio),
        "other": band.render_other(other_rng, frame, studio, kicks),
    }
    stems = _mix(mix_rng, _render_vocals(voice_rng, frame, studio), accompaniment, sample_rate)
    return {name: stems[name] for name in STEMS}


def check_form(seconds: float, sample_rate: int, num_channels: int) -> None:
    """Raises ``InputError`` for a length, rate or number of channels that cannot be rendered."""
    if not 0 < seconds < 3600:
        raise InputError(f"seconds={seconds} is out of range; give a length above 0 and below 3600")
    if sample_rate < _MIN_SAMPLE_RATE:
        raise InputError(f"sample_rate={sample_rate} is too low for a voice; give {_MIN_SAMPLE_RATE} Hz or more")
    if num_channels not in (1, 2):
        raise InputError(f"num_channels={num_channels} is not supported; give 1 or 2")


def _draw_frame(rng: np.random.Generator, seconds: float) -> Frame:
    beat = 60.0 / rng.uniform(70, 150)
    progression = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    # The song may begin anywhere in its bars.
    start = -rng.uniform(0, 4) * beat if rng.random() < 0.5 else 0.0
    num_bars = int(np.ceil((seconds - start) / (4 * beat))) + 1
    degrees = tuple(progression[bar % len(progression)] for bar in range(num_bars))
    return Frame(
        beat=beat,
        start=start,
        tonic=int(rng.integers(12)),
        scale=_SCALES[rng.choice(len(_SCALES), p=[0.4, 0.4, 0.1, 0.1])],
        degrees=degrees,
        swing=rng.uniform(0.1, 0.3) if rng.random() < 0.2 else 0.0,
        seconds=seconds,
    )


def _render_vocals(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """Lead voice, in some songs doubled or harmonised, in a room; ``[samples, channels]``."""
    singer = singing.draw_singer(rng)
    lead = singing.write_melody(rng, frame, singer)
    parts = [(lead, 0.0, 0.0)]
    if rng.random() < 0.25:
        spread = rng.uniform(0.3, 1.0)
        parts += [(singing.transpose(rng, frame, lead, 0, 0.015), -4.0, side * spread) for side in (-1, 1)]
    if rng.random() < 0.25 and not singer.spoken:
        steps = int(rng.choice([2, -3, 4, 7, -7]))
        parts.append((singing.transpose(rng, frame, lead, steps, 0.012), -6.0, rng.uniform(-0.7, 0.7)))
    mix = studio.silence()
    for (words, decibels, position), part_rng in zip(parts, rng.spawn(len(parts)), strict=True):
        tracks = voice.make_tracks(part_rng, singer, words, frame.seconds)
        mono = voice.sing(part_rng, singer, tracks, studio.num_samples, studio.sample_rate)
        mix += sound.pan(mono, position, studio.num_channels) * np.float32(10 ** (decibels / 20))
    return _treat_vocals(rng, frame, studio, mix)


def _treat_vocals(rng: np.random.Generator, frame: Frame, studio: Studio, mix: np.ndarray) -> np.ndarray:
    """Compression, in some songs distortion and a tempo delay, equaliser and room."""
    mix = _compress(mix, studio.sample_rate, rng.uniform(0.0, 0.5))
    if rng.random() < 0.2:
        drive = rng.uniform(0.3, 1.0) / (np.sqrt(np.mean(mix**2)) + 1e-9)
        mix = np.tanh(mix * np.float32(drive))
    gains, low = sound.random_equaliser(rng, 2.0), rng.uniform(70, 140)
    responses = []
    if rng.random() < 0.3:
        step = frame.beat * rng.choice([0.5, 0.75, 1.0])
        level, feedback = 10 ** (rng.uniform(-20, -11) / 20), rng.uniform(0.2, 0.5)
        responses.append(sound.echoes(studio.sample_rate, studio.num_channels, step, level, feedback))
    responses.append(_room(rng, studio, rng.uniform(-26, -12)))
    return sound.process(mix, studio.sample_rate, gains, responses, low=low)


def _room(rng: np.random.Generator, studio: Studio, decibels: float) -> np.ndarray:
    seconds = float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))
    return sound.reverberation(rng, studio.sample_rate, studio.num_channels, seconds, 10 ** (decibels / 20))


def _compress(audio: np.ndarray, sample_rate: int, amount: float) -> np.ndarray:
    """Evens out the loudness over about 50 ms, as vocals are mixed; ``amount`` 0 (none) .. 1 (flat)."""
    hop = max(sample_rate // 100, 1)
    power = np.add.reduceat(np.mean(audio**2, axis=1), np.arange(0, len(audio), hop)) / hop
    power = sound.smooth(power, 0.05)
    floor = np.mean(power) * 0.05 + 1e-12
    gain = (power + floor) ** (-amount / 2)
    positions = np.arange(len(audio)) / hop
    return audio * np.interp(positions, np.arange(len(gain)), gain).astype(np.float32)[:, None]


def _mix(
    rng: np.random.Generator, vocals: np.ndarray, accompaniment: dict[str, np.ndarray], sample_rate: int
) -> dict[str, np.ndarray]:
    """Sets the levels as records do: the voice some 5 dB below the accompaniment."""
    ratio_db = np.clip(rng.normal(-5.0, 2.5), -11.0, 2.0)
    wanted_peak = rng.uniform(0.5, 0.89)
    levels_db = np.array([0.5, -0.5, 0.0]) + rng.normal(0, 2.5, 3)
    stems = {}
    for (name, stem), level_db in zip(accompaniment.items(), levels_db, strict=True):
        studio = Studio(len(stem), sample_rate, stem.shape[1])
        gains = sound.random_equaliser(rng, 2.0)
        wet = name != "bass" and rng.random() < 0.8
        responses = [_room(rng, studio, rng.uniform(-28, -10))] if wet else []
        stems[name] = _at_level(sound.process(stem, sample_rate, gains, responses), level_db)
    loudness_db = 10 * np.log10(np.mean(sum(stems.values()) ** 2))
    stems["vocals"] = _at_level(vocals, ratio_db + loudness_db)
    gain = np.float32(wanted_peak / (np.abs(sum(stems.values())).max() + 1e-9))
    return {name: (gain * stem).astype(np.float32) for name, stem in stems.items()}


def _at_level(audio: np.ndarray, decibels: float) -> np.ndarray:
    """Scaled to a mean power in dB; silence stays silent."""
    loudness = np.sqrt(np.mean(audio**2, dtype=float))
    return audio * np.float32(10 ** (decibels / 20) / loudness) if loudness > 1e-7 else audio * np.float32(0)
