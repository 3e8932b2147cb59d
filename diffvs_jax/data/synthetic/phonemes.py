"""The sounds of speech in the procedural songs: vowels, consonants, and the syllables they form."""

import dataclasses

import numpy as np

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
DIPHTHONGS = ((0, 6), (3, 5), (7, 8), (0, 8), (7, 6))


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


_CLUSTERS = ("st", "sp", "sk", "tr", "dr", "kr", "br", "gr", "pl", "kl", "fl", "sl", "sw", "fr", "str", "spr", "kw")
_ENDINGS = ("s", "t", "k", "n", "m", "l", "z", "d", "nt", "st", "nd", "ks", "lt", "mp", "rt", "ts", "nts")
# Of 26 syllables seven begin with a cluster and two with their vowel.
_ONSETS = ("", *CONSONANTS)


@dataclasses.dataclass(frozen=True)
class Syllable:
    """A note of a phrase.

    Attributes:
      start: seconds.
      end: seconds.
      pitch: MIDI semitones.
      vowels: rows of ``VOWELS`` at its beginning and end.
      onset: consonants before the vowel, a letter each; the vowel begins a little after ``start``.
      coda: consonants after the vowel, a letter each.
      loudness: factor, 1 is usual.
      first: begins a phrase.
    """

    start: float
    end: float
    pitch: float
    vowels: tuple[int, int]
    onset: str
    coda: str
    loudness: float
    first: bool


def draw_vowels(rng: np.random.Generator) -> tuple[int, int]:
    """A vowel, in a quarter of cases one that glides into another."""
    if rng.random() < 0.25:
        return DIPHTHONGS[rng.integers(len(DIPHTHONGS))]
    vowel = int(rng.integers(len(VOWELS)))
    return vowel, vowel


def draw_onset(rng: np.random.Generator) -> str:
    """Consonants before a vowel."""
    return str(rng.choice(_CLUSTERS if rng.random() < 0.25 else _ONSETS))


def draw_coda(rng: np.random.Generator) -> str:
    """Consonants after a vowel, most often none."""
    return str(rng.choice(_ENDINGS)) if rng.random() < 0.45 else ""
