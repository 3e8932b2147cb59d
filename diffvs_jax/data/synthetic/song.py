"""A procedural song: its form, its singers and band, and how they are mixed."""

import numpy as np

from diffvs_jax.data.synthetic import band, bass, drums, effects, sound, structure, vocals
from diffvs_jax.data.synthetic.frame import Studio
from diffvs_jax.data.synthetic.soundfont import cast, check_soundfont
from diffvs_jax.errors import InputError

STEMS = ("vocals", "drums", "bass", "other")

_MIN_SAMPLE_RATE = 4000


def render_song(
    seed: int, seconds: float = 10.0, sample_rate: int = 44_100, num_channels: int = 2, soundfont: str = ""
) -> dict[str, np.ndarray]:
    """An excerpt of a procedural song: singing over drums, bass and harmony instruments.

    Args:
      seed: the song; the same seed and arguments give the same bits.
      seconds: length.
      sample_rate: Hz, at which everything is synthesised.
      num_channels: 1 or 2.
      soundfont: a General MIDI .sf2 that plays the notes of some instruments (bits then depend on the
        version of fluidsynth, too); "": all are synthesised.

    Returns:
      stem name (``STEMS``) -> float32 ``[round(seconds * sample_rate), num_channels]``. The peak of
      the stems' sum is at most 0.9. A stem may be silent throughout, the vocals hardly ever.

    Raises:
      InputError: an argument out of range, no such soundfont, fluidsynth missing.
    """
    check_form(seconds, sample_rate, num_channels)
    check_soundfont(soundfont)
    studio = Studio(max(round(seconds * sample_rate), 1), sample_rate, num_channels)
    frame_rng, voice_rng, drum_rng, bass_rng, other_rng, mix_rng, cast_rng = (
        np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(7)
    )
    frame = structure.draw_frame(frame_rng, seconds)
    studios = cast(cast_rng, studio, soundfont)
    drum_stem, kicks = drums.render_drums(drum_rng, frame, studio)
    accompaniment = {
        "drums": drum_stem,
        "bass": bass.render_bass(bass_rng, frame, studios.get("bass", studio)),
        "other": band.render_other(other_rng, frame, studio, kicks, studios),
    }
    stems = _mix(mix_rng, vocals.render_vocals(voice_rng, frame, studio), accompaniment, studio)
    return {name: stems[name] for name in STEMS}


def check_form(seconds: float, sample_rate: int, num_channels: int) -> None:
    """Raises ``InputError`` for a length, rate or number of channels that cannot be rendered."""
    if not 0 < seconds < 3600:
        raise InputError(f"seconds={seconds} is out of range; give a length above 0 and below 3600")
    if sample_rate < _MIN_SAMPLE_RATE:
        raise InputError(f"sample_rate={sample_rate} is too low for a voice; give {_MIN_SAMPLE_RATE} Hz or more")
    if num_channels not in (1, 2):
        raise InputError(f"num_channels={num_channels} is not supported; give 1 or 2")


def _mix(
    rng: np.random.Generator, voices: np.ndarray, accompaniment: dict[str, np.ndarray], studio: Studio
) -> dict[str, np.ndarray]:
    """Sets the levels as records do: the voice, while it sounds, some 4 or 5 dB below the accompaniment."""
    ratio_db = np.clip(rng.normal(-4.5, 4.0), -16.0, 4.0)
    wanted_peak = rng.uniform(0.5, 0.89)
    levels_db = np.array([1.5, -0.5, 0.0]) + rng.normal(0, 3.0, 3)
    stems = {}
    for (name, stem), level_db in zip(accompaniment.items(), levels_db, strict=True):
        gains = sound.random_equaliser(rng, 2.0)
        wet = name != "bass" and rng.random() < 0.8
        responses = [effects.room(rng, studio, rng.uniform(-28, -10))] if wet else []
        stems[name] = _at_level(sound.process(stem, studio.sample_rate, gains, responses), level_db, studio)
    band_mix = np.sum(list(stems.values()), axis=0)
    loudness_db = 10 * np.log10(max(_loudness(band_mix, studio), 0.1))
    stems["vocals"] = _at_level(voices, ratio_db + loudness_db, studio)
    gain = np.float32(wanted_peak / (np.abs(sum(stems.values())).max() + 1e-9))
    return {name: (gain * stem).astype(np.float32) for name, stem in stems.items()}


def _loudness(audio: np.ndarray, studio: Studio) -> float:
    """Mean power while a stem sounds: over those tenths of a second within 25 dB of the loudest."""
    hop = max(studio.sample_rate // 10, 1)
    power = np.add.reduceat(np.mean(audio**2, axis=1, dtype=float), np.arange(0, len(audio), hop)) / hop
    return float(np.mean(power[power >= power.max() * 10**-2.5]))


def _at_level(audio: np.ndarray, decibels: float, studio: Studio) -> np.ndarray:
    """Scaled to a mean power in dB while it sounds; silence stays silent."""
    loudness = np.sqrt(_loudness(audio, studio))
    return audio * np.float32(10 ** (decibels / 20) / loudness) if loudness > 1e-7 else audio * np.float32(0)
