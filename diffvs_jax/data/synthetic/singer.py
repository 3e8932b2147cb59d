"""Who sings what in the procedural songs: voices, sounds of speech, and melodies with words."""

import dataclasses

import numpy as np

from diffvs_jax.data.synthetic.sound import Frame

# First five formants in Hz of an adult male voice; ``Singer.formant_scale`` shortens the vocal tract.
VOWELS = np.array(
    [
        (730, 1090, 2440, 3400, 4500),  # a as in father
        (640, 1190, 2390, 3400, 4500),  # cup
        (660, 1720, 2410, 3500, 4600),  # cat
        (530, 1840, 2480, 3500, 4600),  # bed
        (400, 2050, 2600, 3550, 4600),  # say
        (300, 2250, 3000, 3600, 4700),  # see
        (390, 1990, 2550, 3500, 4600),  # sit
        (500, 900, 2400, 3300, 4400),  # law
        (440, 1020, 2240, 3300, 4400),  # book
        (310, 870, 2240, 3300, 4400),  # too
        (490, 1350, 1690, 3300, 4400),  # bird
    ],
    float,
)
_DIPHTHONGS = ((0, 6), (3, 5), (7, 8), (0, 8), (7, 6))


@dataclasses.dataclass(frozen=True)
class Consonant:
    """How a consonant sounds.

    Attributes:
      seconds: length before the vowel.
      voicing: level of the pulse source during it, 1 is a vowel's.
      closure: share of ``seconds`` that is silent before a burst.
      noise: level of its noise.
      center: frequency in Hz of its noise; 0 sends the noise through the formants (h).
      octaves: width of the noise.
      formants: formants in Hz it pulls towards; none keeps the vowel's.
      muffled: attenuation in dB of what lies above 1 kHz (nasals).
    """

    seconds: float
    voicing: float = 0.0
    closure: float = 0.0
    noise: float = 0.0
    center: float = 0.0
    octaves: float = 0.5
    formants: tuple[float, ...] = ()
    muffled: float = 0.0


CONSONANTS = {
    "": Consonant(0.0),
    "s": Consonant(0.11, noise=0.55, center=7200, octaves=0.5),
    "S": Consonant(0.11, noise=0.55, center=3600, octaves=0.55, formants=(350, 1900, 2600, 3500, 4600)),
    "f": Consonant(0.09, noise=0.16, center=6500, octaves=1.4),
    "z": Consonant(0.08, 0.45, noise=0.3, center=6800, octaves=0.5, formants=(300, 1700, 2600, 3500, 4600)),
    "v": Consonant(0.06, 0.5, noise=0.08, center=5500, octaves=1.4, formants=(300, 1100, 2300, 3400, 4500)),
    "h": Consonant(0.08, noise=0.5),
    "t": Consonant(0.085, closure=0.55, noise=0.65, center=5200, octaves=0.9),
    "k": Consonant(0.09, closure=0.55, noise=0.6, center=2300, octaves=0.6),
    "p": Consonant(0.08, closure=0.65, noise=0.45, center=1000, octaves=1.3),
    "C": Consonant(0.12, closure=0.35, noise=0.6, center=4000, octaves=0.6),
    "d": Consonant(0.06, 0.25, 0.7, 0.35, 4500, 0.9, (280, 1700, 2600, 3400, 4500), 6),
    "b": Consonant(0.06, 0.25, 0.75, 0.25, 900, 1.2, (280, 900, 2200, 3400, 4500), 8),
    "g": Consonant(0.06, 0.25, 0.7, 0.3, 2200, 0.7, (280, 2000, 2300, 3400, 4500), 8),
    "m": Consonant(0.08, 0.6, formants=(260, 1000, 2200, 3300, 4400), muffled=16),
    "n": Consonant(0.07, 0.6, formants=(260, 1500, 2500, 3300, 4400), muffled=13),
    "l": Consonant(0.07, 0.7, formants=(350, 1050, 2700, 3400, 4500), muffled=7),
    "r": Consonant(0.07, 0.75, formants=(330, 1150, 1600, 3200, 4400), muffled=4),
    "w": Consonant(0.07, 0.75, formants=(300, 650, 2200, 3300, 4400), muffled=6),
    "y": Consonant(0.06, 0.8, formants=(270, 2250, 3000, 3600, 4700), muffled=2),
}
# Note lengths of a phrase in its shortest unit.
_LENGTHS = ((1, 1, 1, 2), (1, 1, 1, 2, 2, 3), (1, 2, 2, 4), (2, 2, 3, 4))
# Of 21 syllables two begin with their vowel.
_ONSETS = ("", *CONSONANTS)
_CODAS = ("", "", "", "", "s", "t", "k", "n", "m", "l", "z")


@dataclasses.dataclass(frozen=True)
class Singer:
    """A voice: its register, tract and habits.

    Attributes:
      center: middle of its range, MIDI semitones.
      formant_scale: factor on the formants of an adult male.
      breath: level of the breath in a vowel, 1 is as strong as the pulses below 1 kHz.
      tilt_corner: Hz above which the glottal source falls.
      tilt_order: how steeply, 1 is 6 dB/octave.
      resonance: exponent on the strength of all formants.
      presence: factor on the strength of the third to fifth formant.
      vibrato_rate: Hz.
      vibrato_depth: semitones.
      glide: seconds within which the pitch moves between notes.
      jitter: random deviation of the pitch, semitones.
      scoop: semitones below the note at which phrases begin, at most.
      consonants: factor on the noise of consonants.
      rasp: depth of the modulation at half the pitch of a rough voice.
      dynamics: standard deviation in dB of the loudness between syllables.
      spoken: raps or speaks; the pitch glides.
    """

    center: float
    formant_scale: float
    breath: float
    tilt_corner: float
    tilt_order: float
    resonance: float
    presence: float
    vibrato_rate: float
    vibrato_depth: float
    glide: float
    jitter: float
    scoop: float
    consonants: float
    rasp: float
    dynamics: float
    spoken: bool


@dataclasses.dataclass(frozen=True)
class Syllable:
    """A note of a phrase: when (s), which pitches (MIDI), which sounds, how loud."""

    start: float
    end: float
    pitch: float
    vowels: tuple[int, int]
    onset: str
    coda: str
    loudness: float
    first: bool


def draw_singer(rng: np.random.Generator) -> Singer:
    """A random singer, male or female, sometimes rapping, sometimes with a corrected pitch."""
    high = rng.random() < 0.5
    spoken = rng.random() < 0.18
    tuned = not spoken and rng.random() < 0.25
    center = rng.uniform(57, 69) if high else rng.uniform(44, 57)
    return Singer(
        center=center - (5 if spoken else 0),
        formant_scale=rng.uniform(1.04, 1.25) if high else rng.uniform(0.88, 1.08),
        breath=float(np.exp(rng.uniform(np.log(0.03), np.log(0.4)))),
        tilt_corner=rng.uniform(130, 550),
        tilt_order=rng.uniform(0.8, 1.3),
        resonance=rng.uniform(0.9, 1.25),
        presence=rng.uniform(0.6, 1.6),
        vibrato_rate=rng.uniform(4.6, 6.6),
        vibrato_depth=0.03 if tuned else float(rng.choice([0.05, 0.15, 0.3, 0.5, 0.8])),
        glide=0.006 if tuned else rng.uniform(0.015, 0.05),
        jitter=0.02 if tuned else rng.uniform(0.03, 0.12),
        scoop=0.0 if tuned else rng.uniform(0, 2.5),
        consonants=float(np.exp(rng.normal(0, 0.4))),
        rasp=rng.uniform(0.1, 0.5) if rng.random() < 0.2 else 0.0,
        dynamics=rng.uniform(1.0, 3.5),
        spoken=spoken,
    )


def write_melody(rng: np.random.Generator, frame: Frame, singer: Singer) -> list[Syllable]:
    """Phrases of one to four seconds with rests between them, over the whole song."""
    activity = rng.uniform(0.48, 0.70)
    # Somewhere in the first bar, or later; also a song of a second has a voice.
    now = frame.start + frame.beat * float(rng.integers(0, 4))
    if rng.random() < 0.2:
        now += rng.uniform(0, 0.2) * frame.seconds
    now = min(now, 0.3 * frame.seconds)
    syllables: list[Syllable] = []
    while now < frame.seconds:
        wanted = rng.uniform(1.2, 4.0)
        phrase = _write_phrase(rng, frame, singer, now, now + wanted)
        syllables += phrase
        sung = phrase[-1].end - now
        rest = min(sung * (1 / activity - 1) * rng.uniform(0.6, 1.4), 2.5)
        if rng.random() < 0.06 and frame.seconds > 30:
            rest += 8 * frame.beat
        now = phrase[-1].end + max(rest, 0.15)
        # Singers enter on a half beat.
        now = frame.start + float(np.ceil((now - frame.start) / (frame.beat / 2))) * frame.beat / 2
    return [each for each in syllables if each.end > 0 and each.start < frame.seconds]


def _write_phrase(rng: np.random.Generator, frame: Frame, singer: Singer, start: float, end: float) -> list[Syllable]:
    """A phrase: lengths are multiples of a part of the beat, pitches a walk over the scale."""
    # The part of the beat (a half, a quarter, an eighth) that suits the speed of speech.
    unit = frame.beat / 2
    while unit > 0.26:
        unit /= 2
    while unit < 0.11:
        unit *= 2
    lengths = _LENGTHS[0 if singer.spoken else rng.choice(len(_LENGTHS), p=[0.3, 0.35, 0.25, 0.1])]
    degree = _nearest_degree(frame, singer.center + rng.normal(0, 3))
    loudness = 10 ** (rng.normal(0, 2.0) / 20)
    phrase: list[Syllable] = []
    now = start
    while now < end or not phrase:
        length = unit * float(rng.choice(lengths))
        if now + length >= end and not singer.spoken:
            length += unit * int(rng.integers(0, 5))
        degree = _next_degree(rng, frame, singer, degree, now)
        pitch = frame.pitch(degree) + (rng.normal(0, 2.5) if singer.spoken else rng.normal(0, 0.08))
        melisma = bool(phrase) and not singer.spoken and rng.random() < 0.15
        vowels = (phrase[-1].vowels[1],) * 2 if melisma else _draw_vowels(rng)
        onset = "" if melisma else str(rng.choice(_ONSETS))
        coda = str(rng.choice(_CODAS)) if length > 0.18 else ""
        gap = 0.0 if rng.random() < 0.65 else rng.uniform(0.1, 0.4) * min(length, 0.3)
        level = loudness * 10 ** (rng.normal(0, singer.dynamics) / 20)
        phrase.append(Syllable(now, now + length - gap, pitch, vowels, onset, coda, level, not phrase))
        now += length
    return phrase


def _draw_vowels(rng: np.random.Generator) -> tuple[int, int]:
    if rng.random() < 0.25:
        return _DIPHTHONGS[rng.integers(len(_DIPHTHONGS))]
    vowel = int(rng.integers(len(VOWELS)))
    return vowel, vowel


def _nearest_degree(frame: Frame, midi: float) -> int:
    return min(range(14, 50), key=lambda degree: abs(frame.pitch(degree) - midi))


def _next_degree(rng: np.random.Generator, frame: Frame, singer: Singer, degree: int, now: float) -> int:
    """A step of the melody: small intervals, pulled back to the singer's middle."""
    step = int(rng.choice([-4, -2, -1, -1, 0, 0, 1, 1, 2, 3]))
    away = frame.pitch(degree) - singer.center
    if away * step > 0 and rng.random() < min(abs(away) / 10, 1):
        step = -step
    candidate = degree + step
    chord = frame.degree_at(now)
    if (candidate - chord) % 7 not in (0, 2, 4) and rng.random() < 0.5:
        candidate += int(rng.choice([-1, 1]))
    return candidate


def transpose(
    rng: np.random.Generator, frame: Frame, syllables: list[Syllable], steps: int, spread: float
) -> list[Syllable]:
    """The same words a few scale steps away (0: unison), sung with slightly other timing and pitch."""
    moved = []
    for each in syllables:
        pitch = frame.pitch(_nearest_degree(frame, each.pitch) + steps) if steps else each.pitch
        pitch += rng.normal(0, 0.1)
        lag = rng.normal(0, spread)
        moved.append(dataclasses.replace(each, start=each.start + lag, end=each.end + lag, pitch=pitch))
    return moved
