"""The sound of a singer in the procedural songs: pulses and noise through moving formants.

Syllables become control tracks (pitch, voicing, formants, friction) which are blurred as articulation
blurs them, and the tracks drive a source-filter voice: a band-limited pulse train and noise, filtered
frame by frame.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from diffvs_jax.data.synthetic import filters, sound
from diffvs_jax.data.synthetic.phonemes import CONSONANTS, VOWELS, Consonant, Syllable
from diffvs_jax.data.synthetic.singer import Singer
from diffvs_jax.data.synthetic.sound import CONTROL_RATE

# Levels of the noises beside the pulse train, whose harmonics have an amplitude of about 2.
_NOISE_LEVEL = 3.0
_FRICTION_LEVEL = 20.0


@dataclasses.dataclass
class Tracks:
    """Control tracks of a voice, ``[frames]`` at ``CONTROL_RATE``; formants ``[frames, 5]`` in Hz."""

    pitch: np.ndarray
    voicing: np.ndarray
    breath: np.ndarray
    noise: np.ndarray
    noise_center: np.ndarray
    noise_octaves: np.ndarray
    formants: np.ndarray
    muffled: np.ndarray
    vibrato: np.ndarray


def make_tracks(rng: np.random.Generator, singer: Singer, syllables: list[Syllable], seconds: float) -> Tracks:
    """Control tracks of the syllables: steps where the syllables say, then the blur of articulation."""
    num_frames = int(np.ceil(seconds * CONTROL_RATE)) + 2
    tracks = Tracks(
        pitch=np.full(num_frames, float(syllables[0].pitch) if syllables else singer.center),
        voicing=np.zeros(num_frames),
        breath=np.zeros(num_frames),
        noise=np.zeros(num_frames),
        noise_center=np.full(num_frames, 5000.0),
        noise_octaves=np.ones(num_frames),
        formants=np.tile(VOWELS[1], (num_frames, 1)),
        muffled=np.zeros(num_frames),
        vibrato=np.zeros(num_frames),
    )
    for syllable in syllables:
        _place(rng, singer, tracks, syllable)
    if singer.spoken:
        # Speech falls over a phrase and accents syllables by pitch.
        tracks.pitch += 1.5 * sound.wander(rng, num_frames, 0.3)
    tracks.formants = np.exp(sound.smooth(np.log(tracks.formants * singer.formant_scale), 0.018))
    tracks.muffled = sound.smooth(tracks.muffled, 0.010)
    tracks.voicing = sound.smooth(tracks.voicing, 0.011)
    tracks.breath = sound.smooth(tracks.breath, 0.015)
    tracks.noise = sound.smooth(tracks.noise, 0.004)
    _inflect(rng, singer, tracks)
    return tracks


def _frames(start: float, end: float) -> slice:
    first, last = (max(each * CONTROL_RATE, 0.0) for each in (start, end))
    return slice(round(first), None if np.isinf(last) else round(last))


def _place(rng: np.random.Generator, singer: Singer, tracks: Tracks, syllable: Syllable) -> None:
    """Writes one syllable's steps into the tracks; the consonants come before the beat."""
    sustained = syllable.end - syllable.start
    onset = _spread(syllable.onset, rng.uniform(0.8, 1.5), 0.5 * sustained)
    length = sum(onset)
    start = syllable.start - 0.6 * length
    vowel_start, vowel_end = start + length, syllable.end
    coda = _spread(syllable.coda, 0.9, min(0.08 * len(syllable.coda), 0.3 * sustained))
    vowel_end -= sum(coda)
    span = _frames(vowel_start, vowel_end)
    middle = _frames(vowel_start + 0.6 * (vowel_end - vowel_start), vowel_end)
    tracks.formants[_frames(start, syllable.end + 0.1)] = VOWELS[syllable.vowels[0]]
    tracks.formants[middle] = VOWELS[syllable.vowels[1]]
    count = len(tracks.voicing[span])
    fade = 1 - rng.uniform(0, 0.7) * np.linspace(0, 1, count) ** 2
    tracks.voicing[span] = syllable.loudness * fade
    tracks.breath[span] = syllable.loudness * singer.breath * fade
    _place_pitch(rng, singer, tracks, syllable, start, vowel_start)
    if syllable.first and rng.random() < 0.5:
        inhaling = _frames(start - rng.uniform(0.2, 0.45), start - 0.06)
        swell = np.sin(np.pi * np.linspace(0, 1, len(tracks.breath[inhaling])) ** 1.5)
        tracks.breath[inhaling] = float(np.exp(rng.uniform(np.log(0.03), np.log(0.5)))) * swell
    _place_cluster(singer, tracks, syllable.onset, onset, start, syllable.loudness)
    _place_cluster(singer, tracks, syllable.coda, coda, vowel_end, 0.6 * syllable.loudness)


def _spread(letters: str, stretch: float, longest: float) -> list[float]:
    """Seconds of each consonant of a cluster: shorter than alone, together at most ``longest``."""
    lengths = [CONSONANTS[letter].seconds * stretch * (0.7 if len(letters) > 1 else 1.0) for letter in letters]
    return [each * min(1.0, longest / sum(lengths)) for each in lengths]


def _place_cluster(singer: Singer, tracks: Tracks, letters: str, lengths: list[float], start, loudness) -> None:
    for letter, length in zip(letters, lengths, strict=True):
        _place_consonant(singer, tracks, CONSONANTS[letter], start, length, loudness)
        start += length


def _place_pitch(
    rng: np.random.Generator, singer: Singer, tracks: Tracks, syllable: Syllable, start: float, vowel: float
) -> None:
    """The note, from its consonant's ``start`` on; a scoop at its ``vowel`` and a vibrato that comes late."""
    tracks.pitch[_frames(start, np.inf)] = syllable.pitch
    if syllable.first or rng.random() < 0.25:
        scoop = _frames(start, vowel + rng.uniform(0.02, 0.09))
        tracks.pitch[scoop] -= singer.scoop * rng.uniform(0, 1)
    if syllable.end - syllable.start > 0.3:
        late = _frames(vowel + rng.uniform(0.12, 0.35), syllable.end)
        tracks.vibrato[late] = rng.uniform(0.5, 1.3)


def _place_consonant(singer: Singer, tracks: Tracks, sort: Consonant, start, length, loudness) -> None:
    if length <= 0:
        return
    whole = _frames(start, start + length)
    release = _frames(start + sort.closure * length, start + length)
    tracks.voicing[whole] = sort.voicing * loudness
    tracks.muffled[whole] = sort.muffled
    tracks.breath[whole] = 0.0
    if sort.formants:
        tracks.formants[whole] = sort.formants
    level = sort.noise * loudness * singer.consonants
    if not sort.center:
        tracks.breath[release] = level
        return
    around = _frames(start - 0.02, start + length + 0.02)
    tracks.noise_center[around] = sort.center * singer.formant_scale**0.5
    tracks.noise_octaves[around] = sort.octaves
    count = len(tracks.noise[release])
    decay = np.exp(-3.0 * np.linspace(0, 1, count)) if sort.closure else np.hanning(count + 2)[1:-1] ** 0.5
    tracks.noise[release] = level * decay


def _inflect(rng: np.random.Generator, singer: Singer, tracks: Tracks) -> None:
    """Portamento, vibrato, drift, jitter and shimmer."""
    num_frames = len(tracks.pitch)
    glide = sound.smooth(tracks.pitch, 0.07 if singer.spoken else singer.glide)
    rate = singer.vibrato_rate * (1 + 0.06 * sound.wander(rng, num_frames, 0.4))
    swing = np.sin(2 * np.pi * np.cumsum(rate) / CONTROL_RATE)
    depth = sound.smooth(tracks.vibrato, 0.08) * (0.1 if singer.spoken else singer.vibrato_depth)
    drift = 0.12 * sound.wander(rng, num_frames, 0.25) + singer.jitter * sound.wander(rng, num_frames, 0.02)
    tracks.pitch = glide + depth * swing + drift
    shimmer = np.exp(0.06 * sound.wander(rng, num_frames, 0.02) + 0.12 * sound.wander(rng, num_frames, 0.15))
    tracks.voicing *= shimmer * (1 + 0.25 * depth * swing)


def sing(
    rng: np.random.Generator,
    singer: Singer,
    tracks: Tracks,
    num_samples: int,
    sample_rate: int,
    others: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """The voice of the tracks, float32 mono ``[samples]``.

    ``others`` are more pitch tracks: a choir that sings the same vowels at once, or a vocoder's chord.
    """
    voicing, whisper = (tracks.voicing, 0.0) if not singer.whispers else (0 * tracks.voicing, 0.7 * tracks.voicing)
    loud = sound.upsample(voicing, num_samples, sample_rate)
    pulses, phase = np.zeros(num_samples, np.float32), np.zeros(num_samples)
    for pitch in (*others, tracks.pitch):
        pitch_hz = np.clip(sound.midi_to_hz(pitch), 60, 1100)
        f0 = np.interp(np.arange(num_samples) * (CONTROL_RATE / sample_rate), np.arange(len(pitch_hz)), pitch_hz)
        phase = np.cumsum(f0) / sample_rate + (rng.random() if len(others) else 0.0)
        pulses += _pulses(phase, f0, sample_rate)
    if singer.rasp:
        loud *= 1 + singer.rasp * np.cos(np.pi * phase).astype(np.float32)
    white = rng.standard_normal(num_samples, dtype=np.float32)
    # Breath comes in puffs, once per glottal cycle, when the voice sounds.
    puffs = 0.6 + 0.4 * np.cos((2 * np.pi * (phase % 1.0)).astype(np.float32))
    breath = white * puffs * sound.upsample(tracks.breath + whisper, num_samples, sample_rate)
    friction = white[::-1] * sound.upsample(tracks.noise, num_samples, sample_rate)
    pulses *= loud / np.float32(np.sqrt(1 + len(others)))
    return _filter(singer, tracks, pulses, breath, friction, sample_rate)


def _pulses(phase: np.ndarray, f0: np.ndarray, sample_rate: int) -> np.ndarray:
    """Band-limited pulse train: all harmonics below Nyquist at equal strength, by the Dirichlet kernel."""
    harmonics = np.floor(0.48 * sample_rate / f0).astype(np.float32)
    half = (np.pi * (phase - np.round(phase))).astype(np.float32)
    denominator = np.sin(half)
    central = np.abs(denominator) < 1e-6
    kernel = np.where(
        central, 2 * harmonics + 1, np.sin((2 * harmonics + 1) * half) / np.where(central, 1, denominator)
    )
    # Equal power whatever the pitch: a low voice has more harmonics in a band.
    return (kernel - 1) * np.sqrt(f0 / 200.0).astype(np.float32)


def _filter(singer: Singer, tracks: Tracks, pulses, breath, friction, sample_rate: int) -> np.ndarray:
    """Formants on pulses and breath, a noise band on the friction."""

    def response(at: np.ndarray, f: np.ndarray):
        tract = _tract(singer, tracks, at, f)
        return tract * _glottis(singer, f), tract * _air(sample_rate, f), _friction_band(tracks, at, f, sample_rate)

    return filters.moving_filter((pulses, breath, friction), sample_rate, len(tracks.pitch), response)


def _glottis(singer: Singer, f: np.ndarray) -> np.ndarray:
    """Magnitude ``[bins]`` of pulses and lips; above some 5 kHz a voice has breath rather than harmonics."""
    tilt = (1 + (f / singer.tilt_corner) ** 2) ** (-singer.tilt_order / 2)
    tilt = tilt * (1 + singer.warmth / (1 + (f / 220) ** 4))
    return (tilt / (1 + (f / 5000) ** 2) * sound.band(f, 60, 1e9)).astype(np.float32)


def _air(sample_rate: int, f: np.ndarray) -> np.ndarray:
    """Magnitude ``[bins]`` of the breath's noise: the same power per Hz at every sample rate."""
    level = _NOISE_LEVEL * np.sqrt(sample_rate / 16_000)
    return (level * sound.band(f, 500, 1e9) / np.sqrt(1 + (f / 2500) ** 2)).astype(np.float32)


def _tract(singer: Singer, tracks: Tracks, at: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Complex response ``[frames, bins]`` of the vocal tract."""
    formants = tracks.formants[at].astype(np.float32)
    # Singers open the jaw so that the first formant does not fall below the note.
    formants[:, 0] = np.maximum(formants[:, 0], sound.midi_to_hz(tracks.pitch[at]) * 0.95)
    peaks = np.array([9, 8, 5, 4, 3.5]) ** singer.resonance * np.array([1, 1, *[singer.presence] * 3])
    response = filters.resonances(formants, peaks, (80, 100, 140, 200, 260), f)
    if not np.any(tracks.muffled[at]):
        return response
    muffling = tracks.muffled[at, None] * np.clip(np.log2(np.maximum(f, 1) / 700), 0, 1.5)
    return response * (10 ** (-muffling / 20)).astype(np.float32)


def _friction_band(tracks: Tracks, at: np.ndarray, f: np.ndarray, sample_rate: int) -> np.ndarray:
    """Magnitude ``[frames, bins]`` of the consonants' noise."""
    # A tract's noise beyond the recorded band is moved into it, as otherwise s would be silent at 8 kHz;
    # the farther, the softer, as little of it would be heard there.
    wanted = tracks.noise_center[at]
    center = np.minimum(wanted, 0.42 * sample_rate)
    octaves = np.log2(np.maximum(f, 20.0)) - np.log2(center)[:, None]
    level = (center / wanted)[:, None] * (_FRICTION_LEVEL * np.sqrt(sample_rate / 16_000))
    return (level * np.exp(-0.5 * (octaves / tracks.noise_octaves[at][:, None]) ** 2)).astype(np.float32)
