"""What became of many songs: a line for each, a summary of all, and JSON for machines."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffvs_jax.audio.writing import STANDARD_OUTPUT
from diffvs_jax.library.separating import DONE, FAILED, SKIPPED, Options, Outcome, folder_of


def lines(outcome: Outcome, options: Options) -> list[str]:
    """One line of what became of a song, and one of every file that was clipped."""
    if outcome.status == FAILED:
        return [f"failed: {outcome.error}"]
    folder = folder_of(outcome.song, options)
    if outcome.status == SKIPPED:
        return [f"{folder}: done before; --overwrite separates it again"]
    names = ", ".join(Path(file.path).name for file in outcome.written)
    if folder == STANDARD_OUTPUT:
        folder, names = "standard output", options.stems[0]
    gain = f", scaled by {outcome.gain:.4g}" if options.normalize else ""
    told = [f"{folder}: {names} ({outcome.seconds:.1f} s of audio in {outcome.took:.1f} s{gain})"]
    return told + [
        f"{file.path}: clipped {file.num_clipped} samples, by up to {file.peak_db:.2f} dB; "
        "--normalize or --format=wav32f keeps them"
        for file in outcome.written
        if file.num_clipped
    ]


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many songs were separated, were done before and failed, and how fast."""
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in (DONE, SKIPPED, FAILED)}
    text = f"{counts[DONE]} separated, {counts[SKIPPED]} done before, {counts[FAILED]} failed"
    audio, took, factor = _speed(outcomes)
    return text if factor is None else f"{text}; {audio:.1f} s of audio in {took:.1f} s, real-time factor {factor:.3f}"


def as_json(outcomes: Sequence[Outcome], options: Options, about: Mapping[str, Any]) -> str:
    """All that is known of a run and its songs; numbers that JSON does not know, such as "inf", are text.

    Args:
      outcomes: of the songs so far.
      options: as they were separated with.
      about: what else there is to say.
    """
    audio, took, factor = _speed(outcomes)
    report = {
        **about,
        "model": options.model,
        "settings": options.settings,
        "seconds_of_audio": audio,
        "seconds": took,
        "real_time_factor": factor,
        "songs": [_of_song(outcome, options) for outcome in outcomes],
    }
    return json.dumps(_plain(report), indent=2, allow_nan=False) + "\n"


def _speed(outcomes: Sequence[Outcome]) -> tuple[float, float, float | None]:
    """Seconds of audio that were separated, seconds that took, and how many for each; None without any."""
    done = [outcome for outcome in outcomes if outcome.status == DONE]
    audio, took = sum(outcome.seconds for outcome in done), sum(outcome.took for outcome in done)
    return audio, took, took / audio if audio else None


def _of_song(outcome: Outcome, options: Options) -> dict[str, Any]:
    song = {"path": str(outcome.song.path), "folder": folder_of(outcome.song, options)}
    written = [{**dataclasses.asdict(file), "path": str(file.path)} for file in outcome.written]
    return {**song, **dataclasses.asdict(outcome), "written": written} | {"song": outcome.song.name}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
