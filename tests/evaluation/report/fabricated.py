"""Folders of scores that nobody measured, for tests and to look at the page."""

from pathlib import Path

import numpy as np
import soundfile

from diffvs_jax.evaluation.records import Excerpt, Record, save_record, write_json
from diffvs_jax.evaluation.summary import summarize

RATE = 8000
STEMS = ("vocals", "instrumental")
ODD_NAMES = ('A & B <i>"x"</i>/C', "Zoë – “Ünïcode”'s <script>alert(1)</script>", "plain", "silent all along")
KINDS = {"csdr": 0.0, "usdr": -0.5, "sisdr": -1.0}


def write_scores(
    folder: Path, names=ODD_NAMES, seeds=(0, 1), better=0.0, excerpts=2, num_seconds=20, sounds=None, rate=RATE, **about
):
    """``summary.json``, records and excerpts; the last of the odd names is silent throughout.

    Args:
      folder: to write to.
      names: of tracks.
      seeds: of runs.
      better: dB above what the same tracks have without.
      excerpts: worst and best seconds of each track, so many of each.
      num_seconds: frames of a track.
      sounds: ``(rng, seconds) -> mixture, estimate, truth``; noise without.
      rate: of the sounds in Hz.
      about: changes of ``summary.json``.
    """
    rows = {f"seed_{seed}": [] for seed in seeds}
    for place, name in enumerate(names):
        for seed in seeds:
            record = _record(folder, name, place, seed, better, excerpts, num_seconds, sounds or _noise, rate)
            save_record(folder, record)
            rows[record.run].append({"track": name, **record.scores["estimate"]})
    runs = {run: summarize(own) for run, own in rows.items()}
    keys = next(iter(runs.values()))
    estimate = {key: float(np.mean([run[key] for run in runs.values()])) for key in keys}
    baselines = {"one_step": -0.4, "oracle": 3.0, "mixture": -9.0, "silence": -6.0}
    write_json(
        folder / "summary.json",
        {
            "diffvs_jax": "0.1.0",
            "commit": "abc1234",
            "python": "3.11.0",
            "jax": "0.10.2",
            "device": "1 x cpu",
            "checkpoint": "runs/fabricated",
            "checkpoint_step": 1000,
            "config": "fabricated",
            "config_hash": "0123456789abcdef",
            "date": "2026-11-05",
            "root": "/data/<musdb18hq>",
            "split": "test",
            "estimates": "",
            "seconds": 0.0,
            "seeds": list(seeds),
            "sampler": {"name": "heun", "num_steps": 7, "sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0},
            "sigmas": [80.0, 20.0, 5.0, 1.0, 0.2, 0.02, 0.002, 0.0],
            "num_tracks": len(names),
            "stems": list(STEMS),
            "summary": {"estimate": estimate}
            | {name: {key: value + gain for key, value in estimate.items()} for name, gain in baselines.items()},
            "tracks": sorted(names),
            "settings": dict.fromkeys(runs, "same"),
            "files": dict.fromkeys(names, ""),
            "counts": {"estimate": {key: len(names) for key in keys}},
            "failed": {},
            "spread": {key: _spread([run[key] for run in runs.values()]) for key in keys},
            "runs": runs,
            "time": {"audio": 4000.0, "network": 3500.0, "decode": 100.0, "score": 300.0},
            **about,
        },
    )
    return folder


def write_sweep(folder: Path):
    """``sweep.csv`` of two samplers."""
    lines = ["sampler,num_steps,sigma_max,rho,evaluations,csdr_vocals_median,usdr_vocals_mean"]
    for sampler, cost in (("heun", 2), ("dpmpp_2m", 1)):
        for steps in (1, 3, 7):
            for sigma in (80.0, 10.0):
                score = 6 - 3 / steps - 0.01 * sigma + 0.1 * cost
                lines.append(f"{sampler},{steps},{sigma},7.0,{cost * steps - cost + 1},{score},{score - 0.2}")
    lines.append("heun,9,80.0,7.0,17,nan,nan")
    (folder / "sweep.csv").write_text("\n".join(lines) + "\n")


def _spread(values):
    return float(np.std(values)) if np.isfinite(values).all() else float("nan")


def _record(folder, name, place, seed, better, excerpts, num_seconds, sounds, rate):
    rng = np.random.default_rng([place, seed])
    hard = np.random.default_rng(place).normal(0, 2.0)
    frames = 5 + better + hard + 4 * rng.standard_normal(num_seconds)
    silent = name == ODD_NAMES[-1]
    frames[:2] = np.nan
    frames[2:4] = np.inf, -np.inf
    if silent:
        frames[:] = np.nan
    level = float("nan") if silent else float(np.nanmedian(frames))
    scores = {f"{kind}_{stem}": level + gain + 6 * n for n, stem in enumerate(STEMS) for kind, gain in KINDS.items()}
    if name == ODD_NAMES[0] and seed == 0:
        scores["sisdr_vocals"] = float("inf")
    finite = [int(second) for second in np.argsort(frames) if np.isfinite(frames[second])]
    chosen = [*finite[:excerpts], *finite[len(finite) - excerpts :]] if finite else []
    kept = tuple(_excerpt(folder, f"seed_{seed}/{place}-{s}", s, frames[s], rng, sounds, rate) for s in chosen)
    rows = {"sdr_vocals": frames.tolist(), "sdr_instrumental": (frames + 6).tolist()}
    return Record(
        track=name,
        run=f"seed_{seed}",
        settings="same",
        files="",
        seconds=float(num_seconds),
        sample_rate=rate,
        stems=STEMS,
        scores={"estimate": scores},
        frames=rows,
        excerpts=kept,
        times={"decode": 3.0},
    )


def _excerpt(folder, name, second, sdr, rng, sounds, rate):
    start = max(0.0, second - 1.0)
    files = {}
    for kind, audio in zip(("mixture", "estimate", "truth"), sounds(rng, second + 2.0 - start), strict=True):
        files[kind] = f"excerpts/{name} & {kind}.flac"
        path = folder / files[kind]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio, rate)
    return Excerpt(second, start, float(sdr), files)


def _noise(rng, seconds):
    mixture, truth = 0.1 * rng.standard_normal((2, round(seconds * RATE), 2))
    return mixture, 0.9 * truth, truth
