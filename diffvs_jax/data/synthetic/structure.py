"""The form of a procedural song: tempo, key, chords, sections; and which excerpt of it is rendered."""

import dataclasses

import numpy as np

from diffvs_jax.data.synthetic.frame import Frame, Section

_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
    (0, 1, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 8, 11),
    (0, 2, 4, 6, 7, 9, 11),
)
_SCALE_CHANCES = (0.34, 0.34, 0.1, 0.08, 0.04, 0.06, 0.04)
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
    (0, 0, 0, 0),
    (0, 0, 5, 6),
    (5, 5, 3, 4),
    (3, 4, 5, 5),
)
# What plays in a section: share of the band, chances of the lead voice and of backing voices.
_KINDS = {
    "intro": (0.4, 0.15, 0.2),
    "verse": (0.6, 1.0, 0.2),
    "pre-chorus": (0.6, 1.0, 0.5),
    "chorus": (1.0, 0.97, 0.8),
    "bridge": (0.5, 0.8, 0.5),
    "break": (0.9, 0.1, 0.2),
    "drop": (1.0, 0.3, 0.3),
    "breakdown": (0.2, 0.8, 0.5),
    "unaccompanied": (0.0, 1.0, 0.7),
    "outro": (0.5, 0.4, 0.4),
}
_FORMS = (
    "intro verse chorus verse chorus bridge chorus outro",
    "intro verse pre-chorus chorus verse pre-chorus chorus break chorus outro",
    "chorus verse chorus verse bridge chorus chorus",
    "intro verse breakdown drop verse breakdown drop outro",
    "unaccompanied verse chorus break verse chorus unaccompanied chorus",
    "verse verse break verse verse outro",
    "intro chorus verse chorus breakdown break chorus",
    "intro break verse chorus break verse chorus breakdown chorus outro",
)


def draw_frame(rng: np.random.Generator, seconds: float) -> Frame:
    """Tempo, key, chords and form of a song, and an excerpt of it in which someone sings.

    Args:
      rng: source of every choice.
      seconds: length of the excerpt; a song shorter than it goes through its form again.
    """
    beat = 60.0 / (rng.uniform(70, 150) if rng.random() < 0.85 else rng.uniform(55, 180))
    form = _draw_form(rng)
    # The excerpt may begin anywhere in a bar.
    start = -rng.uniform(0, 4) * beat if rng.random() < 0.5 else 0.0
    num_bars = int(np.ceil((seconds - start) / (4 * beat))) + 1
    lifts = _draw_lifts(rng, form)
    degrees = _draw_degrees(rng, form)
    first = _choose_excerpt(rng, form, num_bars, start / beat / 4, seconds / beat / 4)
    chosen = (first + np.arange(num_bars)) % len(form)
    sections = []
    for bar, index in enumerate(chosen):
        section = form[index]
        # A section's bars are counted in the excerpt's, so that fills know where it ends.
        sections.append(dataclasses.replace(section, first=bar - (int(index) - section.first)))
    frame = Frame(
        beat=beat,
        start=start,
        tonic=int(rng.integers(12)),
        scale=_SCALES[rng.choice(len(_SCALES), p=_SCALE_CHANCES)],
        degrees=tuple(degrees[index] for index in chosen),
        swing=rng.uniform(0.1, 0.3) if rng.random() < 0.2 else 0.0,
        seconds=seconds,
        sections=tuple(sections),
        lifts=tuple(lifts[index] for index in chosen),
    )
    return dataclasses.replace(frame, stops=_draw_stops(rng, frame))


def _draw_form(rng: np.random.Generator) -> list[Section]:
    """The section of each bar of a whole song."""
    form: list[Section] = []
    kinds: dict[str, Section] = {}
    usual = int(rng.choice([4, 4, 8]))
    for name in _FORMS[rng.integers(len(_FORMS))].split():
        if name not in kinds:
            energy, sung, backed = _KINDS[name]
            energy = float(np.clip(energy + rng.normal(0, 0.12), 0, 1)) if energy else 0.0
            bars = max(usual // 2, 2) if name in ("intro", "pre-chorus", "unaccompanied", "outro") else usual
            kinds[name] = Section(name, energy, rng.random() < sung, rng.random() < backed, 0, bars)
        section = dataclasses.replace(kinds[name], first=len(form))
        form += [section] * section.bars
    return form


def _draw_degrees(rng: np.random.Generator, form: list[Section]) -> list[int]:
    """The chord of each bar: one progression for the song, sometimes another for some of its sections."""
    main, other = (_PROGRESSIONS[rng.integers(len(_PROGRESSIONS))] for _ in range(2))
    changing = rng.random() < 0.4
    names = sorted({section.name for section in form})
    varied = {name: changing and rng.random() < 0.5 for name in names}
    degrees = []
    for bar, section in enumerate(form):
        progression = other if varied[section.name] else main
        degrees.append(progression[(bar - section.first) % 4])
    return degrees


def _draw_lifts(rng: np.random.Generator, form: list[Section]) -> list[int]:
    """Semitones by which bars are moved up: some songs end in a higher key."""
    if rng.random() >= 0.12:
        return [0] * len(form)
    choruses = [section.first for section in form if section.name in ("chorus", "drop", "outro")]
    last, lift = max(choruses, default=len(form) // 2), int(rng.integers(1, 4))
    return [lift if bar >= last else 0 for bar in range(len(form))]


def _choose_excerpt(rng: np.random.Generator, form: list[Section], num_bars: int, start: float, length: float) -> int:
    """The song's bar at which the excerpt begins: anywhere with enough singing and enough of a band.

    Args:
      rng: source of the choice.
      form: the section of each bar of the song.
      num_bars: bars to render.
      start: of the first bar, in bars, not positive.
      length: of the excerpt, in bars.
    """
    if num_bars >= len(form):
        return 0
    edges = start + np.arange(num_bars + 1)
    weights = np.diff(np.clip(edges, 0, length)) / length
    best, best_share = 0, -1.0
    for _ in range(24):
        first = int(rng.integers(len(form)))
        chosen = [form[(first + bar) % len(form)] for bar in range(num_bars)]
        sung = float(weights @ [each.sung for each in chosen])
        played = float(weights @ [each.energy > 0.15 for each in chosen])
        share = min(sung, played)
        if share > 0.25:
            return first
        if share > best_share:
            best, best_share = first, share
    return best


def _draw_stops(rng: np.random.Generator, frame: Frame) -> tuple[tuple[float, float], ...]:
    """Some sections are announced by the band's silence for one to four beats."""
    stops = []
    for bar in range(1, len(frame.sections)):
        if frame.sections[bar].first == bar and rng.random() < 0.25:
            end = frame.time(bar, 0)
            stops.append((end - frame.beat * float(rng.choice([0.5, 1, 2, 4])), end))
    return tuple(stops)
