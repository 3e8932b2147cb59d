"""The vocals of a procedural song: a lead voice and those beside it, each with its effects."""

import dataclasses

import numpy as np

from diffvs_jax.data.synthetic import effects, melody, sound, voice
from diffvs_jax.data.synthetic.frame import Frame, Studio
from diffvs_jax.data.synthetic.phonemes import Syllable
from diffvs_jax.data.synthetic.singer import Singer, draw_singer


def render_vocals(rng: np.random.Generator, frame: Frame, studio: Studio) -> np.ndarray:
    """All voices, ``[samples, channels]``: a lead, in many songs with backing, a second singer, samples of it."""
    lead_rng, back_rng, guest_rng, chop_rng, treat_rng = rng.spawn(5)
    singer = draw_singer(rng)
    sings = np.array([section.sung for section in frame.sections])
    if not sings.any():
        sings[:] = True
    words = melody.write_melody(rng, frame, singer, sings, rng.uniform(0.3, 0.6))
    guest = draw_singer(guest_rng) if guest_rng.random() < 0.2 else None
    turns = guest_rng.random() < 0.6
    mine = words
    if guest and turns:
        mine, theirs = _take_turns(guest_rng, words)
    dry = _sing_lead(lead_rng, frame, studio, singer, mine)
    lead = sound.pan(dry, 0.0, studio.num_channels)
    if guest and turns:
        lead += _sing(guest_rng, frame, studio, guest, _into_range(frame, theirs, singer, guest), 0.0, 0.0)
    elif guest:
        lead += _ad_libs(guest_rng, frame, studio, guest, words)
    mix = effects.treat_voice(treat_rng, frame, studio, lead, bold=0.05, wet=(-32, -11))
    backing = _backing(back_rng, frame, studio, singer, words)
    if backing is not None:
        mix += effects.treat_voice(treat_rng, frame, studio, backing, bold=0.1, wet=(-24, -6))
    if chop_rng.random() < 0.1:
        samples = _samples(chop_rng, frame, studio, dry, words)
        mix += effects.treat_voice(chop_rng, frame, studio, samples, bold=0.2, wet=(-20, -6))
    return mix


def _sing(
    rng: np.random.Generator, frame: Frame, studio: Studio, singer: Singer, words: list[Syllable], decibels, position
) -> np.ndarray:
    """One voice in its place, ``[samples, channels]``."""
    tracks = voice.make_tracks(rng, singer, words, frame.seconds)
    mono = voice.sing(rng, singer, tracks, studio.num_samples, studio.sample_rate)
    return sound.pan(mono, position, studio.num_channels) * np.float32(10 ** (decibels / 20))


def _sing_lead(
    rng: np.random.Generator, frame: Frame, studio: Studio, singer: Singer, words: list[Syllable]
) -> np.ndarray:
    """The lead voice, ``[samples]``; in some songs a vocoder turns it into the song's chords."""
    tracks = voice.make_tracks(rng, singer, words, frame.seconds)
    others: list[np.ndarray] = []
    if rng.random() < 0.02:
        times = np.arange(len(tracks.pitch)) / sound.CONTROL_RATE
        bars = frame.bar_at(times)
        low = float(rng.uniform(45, 58))
        for step in (0, 2, 4):
            notes = np.array([frame.pitch(degree + step, bar) % 12 for bar, degree in enumerate(frame.degrees)])
            others.append((notes + 12 * np.ceil((low - notes) / 12))[bars])
        tracks.pitch = others.pop()
    return voice.sing(rng, singer, tracks, studio.num_samples, studio.sample_rate, others)


def _phrases(words: list[Syllable]) -> list[list[Syllable]]:
    phrases: list[list[Syllable]] = []
    for each in words:
        if each.first or not phrases:
            phrases.append([])
        phrases[-1].append(each)
    return phrases


def _take_turns(rng: np.random.Generator, words: list[Syllable]) -> tuple[list[Syllable], list[Syllable]]:
    """A duet: each phrase goes to one of two singers, a few to both."""
    sides: tuple[list[Syllable], list[Syllable]] = ([], [])
    turn = int(rng.integers(2))
    for phrase in _phrases(words):
        turn = turn if rng.random() < 0.3 else 1 - turn
        both = rng.random() < 0.2
        for side in (0, 1) if both else (turn,):
            sides[side].extend(phrase)
    return sides


def _into_range(frame: Frame, words: list[Syllable], singer: Singer, other: Singer) -> list[Syllable]:
    """One singer's words in octaves that suit another."""
    octaves = 12 * round((other.center - singer.center) / 12)
    return [dataclasses.replace(each, pitch=each.pitch + octaves) for each in words]


def _ad_libs(
    rng: np.random.Generator, frame: Frame, studio: Studio, singer: Singer, words: list[Syllable]
) -> np.ndarray:
    """Short answers in the rests between phrases, or over their ends."""
    answers: list[Syllable] = []
    for phrase in _phrases(words):
        if rng.random() < 0.6:
            start = phrase[-1].end + rng.uniform(-0.3, 0.3)
            answers += melody.write_phrase(rng, frame, singer, start, start + rng.uniform(0.3, 1.2))
    return _sing(rng, frame, studio, singer, answers, rng.uniform(-10, -3), rng.uniform(-0.6, 0.6))


def _backing(
    rng: np.random.Generator, frame: Frame, studio: Studio, singer: Singer, words: list[Syllable]
) -> np.ndarray | None:
    """Doubles and harmonies of the lead's words and a choir's chords, where the section has them."""
    backed = np.array([section.backed for section in frame.sections])
    everywhere = np.ones(len(backed), bool)
    mix, singing = studio.silence(), False
    if rng.random() < 0.25:
        spread, decibels = rng.uniform(0.3, 1.0), rng.uniform(-8, -3)
        copy = dataclasses.replace(singer, jitter=singer.jitter + 0.04)
        if rng.random() < 0.15:
            copy = dataclasses.replace(singer, whispers=True)
        for side in (-1, 1):
            double = melody.transpose(rng, frame, words, 0, 0.015)
            mix += _sing(rng, frame, studio, copy, double, decibels, side * spread)
        singing = True
    if rng.random() < 0.35 and not singer.spoken:
        steps = int(rng.choice([2, -3, 4, 7, -7]))
        where = everywhere if rng.random() < 0.3 else backed
        # An octave below it is often the same take with its formants moved along.
        copy = dataclasses.replace(singer, formant_scale=singer.formant_scale * (0.78 if steps == -7 else 1.0))
        part = [each for each in melody.transpose(rng, frame, words, steps, 0.012) if where[frame.bar_at(each.start)]]
        if part:
            mix += _sing(rng, frame, studio, copy, part, rng.uniform(-9, -3), rng.uniform(-0.7, 0.7))
            singing = True
    if rng.random() < 0.3:
        # Most choirs answer or carry a lead voice; few sing where it rests.
        sung = np.array([section.sung for section in frame.sections])
        where = backed if rng.random() < 0.25 else backed & sung
        if where.any():
            mix += _choir(rng, frame, studio, where)
            singing = True
    return mix if singing else None


def _choir(rng: np.random.Generator, frame: Frame, studio: Studio, sings: np.ndarray) -> np.ndarray:
    """Three voices on the song's chords, ``[samples, channels]``."""
    choir = dataclasses.replace(draw_singer(rng), spoken=False, rasp=0.0)
    lines = melody.write_chords(rng, frame, rng.uniform(50, 66), sings)
    tracks = [voice.make_tracks(rng, choir, line, frame.seconds) for line in lines]
    others = [each.pitch for each in tracks[1:]]
    mono = voice.sing(rng, choir, tracks[0], studio.num_samples, studio.sample_rate, others)
    stereo = effects.chorus(rng, sound.pan(mono, 0.0, studio.num_channels), studio)
    return stereo * np.float32(10 ** (rng.uniform(-12, -3) / 20))


def _samples(
    rng: np.random.Generator, frame: Frame, studio: Studio, dry: np.ndarray, words: list[Syllable]
) -> np.ndarray:
    """Pieces of the lead voice, repitched and struck in a rhythm where the lead voice rests."""
    mix = studio.silence()
    pieces = []
    for each in rng.permutation(len(words))[:3]:
        first = max(studio.count(max(words[each].start, 0.0)) - 1, 0)
        piece = dry[first : first + studio.count(rng.uniform(0.12, 0.4))]
        ratio = 2 ** (float(rng.choice([-12, -5, 0, 0, 7, 12])) / 12)
        piece = np.interp(np.arange(0, len(piece) - 1, ratio), np.arange(len(piece)), piece)
        fade = np.minimum(1, np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1]) / studio.count(0.006))
        pieces.append((piece * fade).astype(np.float32))
    rhythm = np.flatnonzero(rng.random(16) < rng.uniform(0.2, 0.5))
    order = rng.integers(0, 3, 16)
    for bar, section in enumerate(frame.sections):
        for sixteenth in rhythm if not section.sung or section.name in ("drop", "chorus") else ():
            piece = pieces[order[sixteenth] % len(pieces)] if pieces else np.zeros(1, np.float32)
            start = round(frame.time(bar, sixteenth / 4) * studio.sample_rate)
            sound.add_at(mix, sound.pan(piece, rng.uniform(-0.4, 0.4), studio.num_channels), start)
    return mix
