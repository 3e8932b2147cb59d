"""What all players of a procedural song share: beats, chords, sections; and how the song is rendered."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Note:
    """A note: start and length in seconds, pitch in MIDI semitones, relative level."""

    start: float
    length: float
    pitch: float
    level: float = 1.0


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a song's form.

    Attributes:
      name: what the part is; sections of one name are played alike.
      energy: share of the band that plays, 0..1.
      sung: the lead voice sings.
      backed: backing voices sing.
      first: the section's first bar in the song's bars, may be negative.
      bars: its length.
    """

    name: str
    energy: float
    sung: bool
    backed: bool
    first: int
    bars: int


@dataclasses.dataclass(frozen=True)
class Frame:
    """What all instruments of a song share: where the beats, the chords and the sections are.

    Attributes:
      beat: length of a beat in seconds.
      start: time of the first bar's first beat in seconds, not positive (a song may begin anywhere).
      tonic: pitch class of the key, 0..11.
      scale: semitones above the tonic of the seven scale notes.
      degrees: scale degree (0..6) of each bar's chord.
      swing: share of an eighth by which off-beat eighths come late.
      seconds: length of the song.
      sections: the section of each bar.
      lifts: semitones by which each bar is moved up (the last chorus a tone higher).
      stops: spans (start, end) in seconds in which the band holds its breath.
    """

    beat: float
    start: float
    tonic: int
    scale: tuple[int, ...]
    degrees: tuple[int, ...]
    swing: float
    seconds: float
    sections: tuple[Section, ...]
    lifts: tuple[int, ...]
    stops: tuple[tuple[float, float], ...] = ()

    @property
    def bar(self) -> float:
        """Length of a bar in seconds."""
        return 4 * self.beat

    def pitch(self, degree: int, bar: int = -1) -> int:
        """MIDI-like number of a scale degree; degree 0 lies in the octave 0..11 and degrees go on above.

        In a bar's key; without one in the song's.
        """
        lift = self.lifts[bar] if bar >= 0 else 0
        return self.tonic + 12 * (degree // 7) + self.scale[degree % 7] + lift

    def time(self, bar: int, beats: float) -> float:
        """Seconds at which ``beats`` beats of bar ``bar`` have passed, swing included."""
        off_beat = abs(beats % 1 - 0.5) < 1e-6
        return self.start + (4 * bar + beats + (self.swing / 2 if off_beat else 0)) * self.beat

    def bar_at(self, seconds):
        """Number(s) of the bar that contains (arrays of) times."""
        bars = np.floor((np.asarray(seconds) - self.start) / self.bar).astype(int)
        return np.clip(bars, 0, len(self.degrees) - 1)

    def degree_at(self, seconds: float) -> int:
        """Scale degree of the chord that sounds at a time."""
        return self.degrees[int(self.bar_at(seconds))]

    def section_at(self, seconds: float) -> Section:
        """The section that a time falls in."""
        return self.sections[int(self.bar_at(seconds))]


@dataclasses.dataclass(frozen=True)
class Studio:
    """How the song is rendered.

    Attributes:
      num_samples: length.
      sample_rate: Hz.
      num_channels: 1 or 2.
      soundfont: path of the soundfont that plays notes.
      program: its General MIDI program, 0..127; None: notes are synthesised.
    """

    num_samples: int
    sample_rate: int
    num_channels: int
    soundfont: str = ""
    program: int | None = None

    def silence(self) -> np.ndarray:
        """Zeros, float32 ``[samples, channels]``."""
        return np.zeros((self.num_samples, self.num_channels), np.float32)

    def count(self, seconds: float) -> int:
        """Samples in a time."""
        return max(round(seconds * self.sample_rate), 1)
