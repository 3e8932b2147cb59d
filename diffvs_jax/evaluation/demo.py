"""After training: what the model does on songs it has not heard, in numbers, sound and a picture."""

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from tqdm import tqdm

from diffvs_jax.audio import files
from diffvs_jax.data.tracks import Track
from diffvs_jax.evaluation.clips import Clip, load_clip
from diffvs_jax.evaluation.spectrogram import save_spectrograms
from diffvs_jax.inference.remainder import INSTRUMENTAL
from diffvs_jax.inference.separator import Separator
from diffvs_jax.metrics.track import track_usdr
from diffvs_jax.table import table

EXCERPT = "excerpt"


def excerpt() -> tuple[dict[str, np.ndarray], int]:
    """The real song that ships with the package: ten seconds of stems, and their rate in Hz.

    "Francium" by Software-Entwicklungskit, CC0 1.0.
    """
    folder = resources.files("diffvs_jax") / "assets" / "excerpt"
    stems, rates = {}, set()
    for name in ("vocals", INSTRUMENTAL):
        with resources.as_file(folder / f"{name}.ogg") as path:
            stems[name], rate = files.load(path)
        rates.add(rate)
    return stems, rates.pop()


def demo_clips(tracks: Sequence[Track], targets: Sequence[str], num_songs: int, seconds: float) -> list[Clip]:
    """The middle of the first ``num_songs`` tracks, and the packaged excerpt when vocals are a target."""
    clips = [load_clip(track, targets, seconds) for track in tracks[:num_songs]]
    if "vocals" in targets:
        stems, rate = excerpt()
        clips.append(Clip(EXCERPT, stems["vocals"] + stems[INSTRUMENTAL], stems, rate))
    return clips


def run_demo(
    separator: Separator, clips: Sequence[Clip], folder: Path, log: Callable[[str], None] = print
) -> list[dict]:
    """Separates clips with one step and with all steps; writes the excerpt's sound and picture.

    Writes ``vocals.wav`` and the other stems of the excerpt and ``spectrogram.png`` to ``folder``,
    and logs a table of mean uSDR in dB.

    Returns:
      One dict per group of clips and target: group, target, songs, mixture, one_step, all_steps.
    """
    steps = len(separator.sigmas) - 1
    one_step = separator.sigmas[[0, -1]]
    scores: dict[tuple[str, str], list[list[float]]] = {}
    for clip in tqdm(clips, desc="separating", unit="clip", disable=None):
        single = separator(clip.mixture, clip.sample_rate, sigmas=one_step)
        full = separator(clip.mixture, clip.sample_rate)
        for target in separator.targets:
            if target in clip.truth:
                estimates = (clip.mixture, single[target], full[target])
                row = [track_usdr(clip.truth[target], estimate, clip.sample_rate) for estimate in estimates]
                group = EXCERPT if clip.name == EXCERPT else "test songs"
                scores.setdefault((group, target), []).append(row)
        if clip.name == EXCERPT:
            _write_excerpt(clip, full, folder)
    results = [
        {
            "group": group,
            "target": target,
            "songs": len(rows),
            **dict(zip(("mixture", "one_step", "all_steps"), np.mean(rows, axis=0).tolist(), strict=True)),
        }
        for (group, target), rows in scores.items()
    ]
    header = ["SDR of the whole clip, mean, dB", "clips", "mixture", "1 step", f"{steps} steps"]
    lines = [[f"{r['group']}: {r['target']}", r["songs"], r["mixture"], r["one_step"], r["all_steps"]] for r in results]
    log(table(header, lines))
    log("silence scores 0 dB; an estimate above it removes more than it breaks")
    return results


def _write_excerpt(clip: Clip, stems: dict[str, np.ndarray], folder: Path) -> None:
    for name, stem in stems.items():
        files.save(folder / f"{name}.wav", stem, clip.sample_rate)
    pictures = {
        "mixture": clip.mixture,
        "estimate: vocals": stems["vocals"],
        "truth: vocals": clip.truth["vocals"],
    }
    save_spectrograms(folder / "spectrogram.png", pictures, clip.sample_rate)
