"""How the scores differ on the same error: ``python -m tests.metrics.definitions`` prints the table of docs/metrics.md.

Four seconds of the packaged excerpt, whose vocals are muted in the last, so that something can leak
where nothing is sung. The instrumental's estimate is what the vocals' leaves of the mixture, and the
mixture where that is nothing.
"""

import numpy as np
from scipy.signal import firwin, oaconvolve

from diffvs_jax import cli
from diffvs_jax.evaluation.demo import excerpt
from diffvs_jax.metrics.bss_eval import mir_eval_frames, museval_frames
from diffvs_jax.metrics.ratios import median
from diffvs_jax.metrics.track import Stems, score_methods
from diffvs_jax.table import table

OURS = ("csdr", "usdr", "sisdr", "lsd", "leakage")
HEADER = ["vocals", "cSDR", "uSDR", "SI-SDR", "LSD", "leakage", "ISR", "SIR", "SAR", "ISR*", "SIR*", "SAR*"]
INFINITE = 100.0  # dB; above it is what rounding makes of infinity


def main(arguments: list[str]) -> None:
    """Prints the table, museval's columns and (*) mir_eval's behind ours."""
    cli.no_arguments(arguments)
    truth, mixture, rate = song()
    rows = []
    methods = with_instrumental(errors(truth["vocals"], truth["instrumental"], rate), mixture)
    for name, scores in our_scores(truth, methods, mixture, rate).items():
        pairs = [np.stack(list(stems.values())) for stems in (truth, methods[name])]
        theirs = [score(*pairs, rate) for score in (museval_frames, mir_eval_frames)]
        medians = [float(median(frames[0])) for found in theirs for frames in found[1:]]
        rows.append([name, *shown([*scores, *medians])])
    cli.say(table(HEADER, rows))


def song() -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    """True stems, their sum, and the rate."""
    stems, rate = excerpt()
    truth = {name: stems[name][2 * rate : 6 * rate].astype(np.float64) for name in ("vocals", "instrumental")}
    truth["vocals"][3 * rate :] = 0
    return truth, truth["vocals"] + truth["instrumental"], rate


def errors(vocals: np.ndarray, rest: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Estimates of the vocals by what is wrong with them."""
    noise = np.random.default_rng(0).standard_normal(vocals.shape)
    noise *= 10 ** (-10 / 20) * np.linalg.norm(vocals) / np.linalg.norm(noise)
    lowpass = firwin(1025, 4000, fs=rate)[:, None]
    part = vocals.copy()
    part[rate // 2 : rate] = 0
    return {
        "the mixture": vocals + rest,
        "accompaniment at -10 dB": vocals + 10 ** (-10 / 20) * rest,
        "accompaniment at -30 dB": vocals + 10 ** (-30 / 20) * rest,
        "white noise 10 dB below": vocals + noise,
        "gain 0.7": 0.7 * vocals,
        "polarity flipped": -vocals,
        "low-pass at 4 kHz": oaconvolve(vocals, lowpass, axes=0)[512:-512],
        "delay of 5 samples": np.roll(vocals, 5, axis=0),
        "delay of 50 samples": np.roll(vocals, 50, axis=0),
        "sides swapped": vocals[:, ::-1],
        "half a second missing": part,
        "silence": 0 * vocals,
    }


def with_instrumental(estimates: dict[str, np.ndarray], mixture: np.ndarray) -> dict[str, Stems]:
    """Error to the estimates of both stems."""
    rests = {name: mixture - stem for name, stem in estimates.items()}
    return {
        name: {"vocals": stem, "instrumental": rests[name] if rests[name].any() else mixture}
        for name, stem in estimates.items()
    }


def our_scores(truth: Stems, methods: dict[str, Stems], mixture: np.ndarray, rate: int) -> dict[str, list[float]]:
    """Error to the vocals' scores, in the order of ``OURS``."""
    found = score_methods(truth, methods, mixture, rate)
    return {name: [own.scores[f"{kind}_vocals"] for kind in OURS] for name, own in found.items()}


def shown(values: list[float]) -> list[float]:
    """Two decimals, no negative zero, and infinity for what rounding makes of it."""
    return [float(np.copysign(np.inf, value)) if abs(value) > INFINITE else round(value, 2) + 0.0 for value in values]


if __name__ == "__main__":
    cli.run(main)
