"""Melodies with words: phrases and rests, runs, refrains without words, and the voices beside the lead."""

import dataclasses
import itertools

import numpy as np

from diffvs_jax.data.synthetic.frame import Frame
from diffvs_jax.data.synthetic.phonemes import Syllable, draw_coda, draw_onset, draw_vowels
from diffvs_jax.data.synthetic.singer import Singer

# Note lengths of a phrase in its shortest unit.
_LENGTHS = ((1, 1, 1, 2), (1, 1, 1, 2, 2, 3), (1, 2, 2, 4), (2, 2, 3, 4))
# Syllables of refrains without words: la, na, da, oh, ooh, ah, hey.
_REFRAINS = (("l", 0), ("n", 0), ("d", 0), ("", 7), ("", 9), ("", 0), ("h", 4), ("y", 2))


def write_melody(
    rng: np.random.Generator, frame: Frame, singer: Singer, sings: np.ndarray, activity: float
) -> list[Syllable]:
    """Phrases with rests between them, in the bars in which the singer sings.

    Args:
      rng: source of the melody.
      frame: the song.
      singer: whose range and habits they suit.
      sings: bool ``[bars]``.
      activity: share of time sung, where anything is.
    """
    # Somewhere in the first bar, or later; also a song of a second has a voice.
    now = min(frame.start + frame.beat * float(rng.integers(0, 4)), 0.3 * frame.seconds)
    longest = float(rng.choice([2.5, 4.0, 6.0]))
    syllables: list[Syllable] = []
    phrase: list[Syllable] = []
    while now < frame.seconds:
        bar = int(frame.bar_at(now))
        if not sings[bar]:
            later = np.flatnonzero(sings[bar:])
            if not len(later):
                break
            now = frame.time(bar + int(later[0]), float(rng.choice([-0.5, 0, 0, 0.5, 1])))
        if phrase and rng.random() < 0.25:
            phrase = _repeat(rng, phrase, now)
        else:
            phrase = write_phrase(rng, frame, singer, now, now + rng.uniform(1.2, longest))
        syllables += phrase
        rest = (phrase[-1].end - now) * (1 / activity - 1) * rng.uniform(0.4, 1.6)
        if rng.random() < 0.25:
            # Here the band answers, or plays on its own.
            rest += frame.bar * float(rng.choice([0.5, 1, 2]))
        now = phrase[-1].end + max(min(rest, 6.0), 0.15)
        # Singers enter on a half beat.
        now = frame.start + float(np.ceil((now - frame.start) / (frame.beat / 2))) * frame.beat / 2
    return [each for each in syllables if each.end > 0 and each.start < frame.seconds]


def write_phrase(rng: np.random.Generator, frame: Frame, singer: Singer, start: float, end: float) -> list[Syllable]:
    """A phrase: lengths are multiples of a part of the beat, pitches a walk over the scale."""
    # The part of the beat (a half, a quarter, an eighth) that suits the speed of speech.
    unit = frame.beat / 2
    while unit > 0.26:
        unit /= 2
    while unit < 0.11:
        unit *= 2
    lengths = _LENGTHS[0 if singer.spoken else rng.choice(len(_LENGTHS), p=[0.3, 0.35, 0.25, 0.1])]
    refrain = _REFRAINS[rng.integers(len(_REFRAINS))] if not singer.spoken and rng.random() < 0.12 else None
    degree = nearest_degree(frame, singer.center + rng.normal(0, 3))
    loudness = 10 ** (rng.normal(0, 2.0) / 20)
    phrase: list[Syllable] = []
    now = start
    while now < end or not phrase:
        length = unit * float(rng.choice(lengths))
        if now + length >= end and not singer.spoken:
            length += unit * int(rng.integers(0, 7))
        degree = _next_degree(rng, frame, singer, degree, now)
        deviation = rng.normal(0, 2.5 if singer.spoken else 0.08)
        pitch = frame.pitch(degree, int(frame.bar_at(now))) + deviation
        melisma = bool(phrase) and not singer.spoken and rng.random() < 0.12
        onset, vowels = draw_onset(rng), draw_vowels(rng)
        coda = draw_coda(rng) if length > 0.18 else ""
        if refrain:
            onset, vowels, coda = refrain[0], (refrain[1],) * 2, ""
        if melisma:
            onset, vowels = "", (phrase[-1].vowels[1],) * 2
        gap = 0.0 if rng.random() < 0.65 else rng.uniform(0.1, 0.4) * min(length, 0.3)
        level = loudness * 10 ** (rng.normal(0, singer.dynamics) / 20)
        note = Syllable(now, now + length - gap, pitch, vowels, onset, coda, level, not phrase)
        runs = length > 0.4 and not singer.spoken and rng.random() < singer.runs
        phrase += _run(rng, frame, note, degree) if runs else [note]
        now += length
    return phrase


def _run(rng: np.random.Generator, frame: Frame, note: Syllable, degree: int) -> list[Syllable]:
    """A note that ends in a quick run along the scale on its vowel."""
    step = rng.uniform(0.08, 0.15)
    count = min(int(rng.integers(3, 9)), int(0.7 * (note.end - note.start) / step))
    if count < 2:
        return [note]
    first = note.end - count * step
    notes = [dataclasses.replace(note, end=first, coda="")]
    direction = int(rng.choice([-1, -1, 1]))
    bar = int(frame.bar_at(note.start))
    for number in range(count):
        degree += direction * int(rng.choice([1, 1, 1, 2, -1]))
        start, last = first + number * step, number == count - 1
        notes.append(
            Syllable(
                start, start + step, frame.pitch(degree, bar), (note.vowels[1],) * 2, "", note.coda * last,
                note.loudness * rng.uniform(0.8, 1.05), False,
            )
        )  # fmt: skip
    return notes


def _repeat(rng: np.random.Generator, phrase: list[Syllable], start: float) -> list[Syllable]:
    """The notes of a phrase again, with other words."""
    moved = []
    for each in phrase:
        later = start - phrase[0].start
        moved.append(
            dataclasses.replace(
                each,
                start=each.start + later,
                end=each.end + later,
                onset=draw_onset(rng) if each.onset else "",
                vowels=draw_vowels(rng) if each.onset else each.vowels,
            )
        )
    return moved


def nearest_degree(frame: Frame, midi: float) -> int:
    """Scale degree whose pitch is nearest."""
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
        pitch = each.pitch
        if steps:
            bar = int(frame.bar_at(each.start))
            lift = frame.pitch(0, bar) - frame.pitch(0)
            pitch = frame.pitch(nearest_degree(frame, each.pitch - lift) + steps, bar)
        lag = rng.normal(0, spread)
        moved.append(
            dataclasses.replace(each, start=each.start + lag, end=each.end + lag, pitch=pitch + rng.normal(0, 0.1))
        )
    return moved


def write_chords(rng: np.random.Generator, frame: Frame, low: float, sings: np.ndarray) -> list[list[Syllable]]:
    """A choir's chords on ooh, ah or oh: for each of three voices one or two notes a bar, where it sings."""
    vowel = int(rng.choice([9, 9, 0, 0, 7, 8, 1]))
    onset = str(rng.choice(["", "", "h", "d", "m"]))
    rhythm = ((0, 4), (0, 2, 4), (0, 1.5, 4), (0, 3, 4), (0, 1, 2, 3, 4))[rng.choice(5, p=[0.4, 0.25, 0.1, 0.1, 0.15])]
    hold = float(rng.choice([0.5, 0.8, 0.97]))
    voices: list[list[Syllable]] = [[], [], []]
    for bar in np.flatnonzero(sings).tolist():
        for begin, end in itertools.pairwise(rhythm):
            start, length = frame.time(bar, begin), hold * (end - begin) * frame.beat
            for voice, step in zip(voices, (0, 2, 4), strict=True):
                pitch = frame.pitch(frame.degrees[bar] + step, bar) % 12
                pitch += 12 * np.ceil((low - pitch) / 12) + rng.normal(0, 0.08)
                voice.append(Syllable(start, start + length, pitch, (vowel, vowel), onset, "", 0.8, begin == 0))
    return voices
