"""From the metrics of a window of steps to named numbers: the loss and what it is made of, and how fast it went."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.profiling.chips import peak_flops
from diffvs_jax.profiling.cost import evaluation_flops
from diffvs_jax.training.gradient import sigma_edges


def window_means(window: Sequence[dict[str, Any]], config: Any) -> dict[str, float]:
    """Means over steps of what ``step`` measures, by name.

    ``loss_by_sigma/LOW-HIGH`` is the mean over examples with a noise level between the two, if there were any;
    ``loss_by_band/TARGET_N`` that over a target's N-th band alone.
    """
    mean = {name: np.mean([step[name] for step in window], axis=0) for name in window[0]}
    values = {name: float(mean[name]) for name in ("loss", "gradient_norm", "learning_rate")}
    # Of all frames; of those that sound it is sigma_data (see band_stats).
    values["target_std"] = float(np.sqrt(mean["target_square"] - mean["target_mean"] ** 2))
    edges = ["0", *(f"{edge:.3g}" for edge in sigma_edges(config)), "inf"]
    for low, high, total, share in zip(edges[:-1], edges[1:], mean["by_sigma"], mean["sigma_share"], strict=True):
        if share > 0:
            values[f"loss_by_sigma/{low}-{high}"] = float(total / share)
    for target, bands in zip(config.data.targets, mean["by_band"], strict=True):
        values |= {f"loss_by_band/{target}_{band}": float(value) for band, value in enumerate(bands, start=1)}
    return values


class Speed:
    """How fast training is, by name, all under ``speed/``.

    FLOPs of an example are three times those of one evaluation: forward, and backward to activations and to
    parameters; what rematerialisation repeats does not count. The share of the peak (MFU) is told where the
    chip's is known.
    """

    def __init__(self, config: Any, num_devices: int):
        path = SignalPath.from_config(config)
        self._batch_size = config.train.batch_size
        self._seconds_of_audio = path.chunk_samples / path.sample_rate
        self._flops = 3 * evaluation_flops(config)
        peak = peak_flops(jax.devices()[0].device_kind)
        self._peak = peak * num_devices if peak else None

    def __call__(self, num_steps: int, seconds: float, waited: float) -> dict[str, float]:
        """Of ``num_steps`` that took ``seconds``, of which the host waited ``waited`` for batches.

        While it waits, the devices work on the step before: only what is longer than a step delays them.
        """
        examples = num_steps * self._batch_size / seconds
        flops = examples * self._flops
        values = {
            "speed/steps_per_second": num_steps / seconds,
            "speed/examples_per_second": examples,
            "speed/audio_seconds_per_second": examples * self._seconds_of_audio,
            "speed/data_wait_share": waited / seconds,
            "speed/tflops_per_second": flops / 1e12,
        }
        return values | ({"speed/mfu": flops / self._peak} if self._peak else {})
