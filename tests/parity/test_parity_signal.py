"""Amplitude transform and STFT, both ways, against SGMSE+'s and PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.base import get_config
from diffvs_jax.audio.representation import compress, expand
from diffvs_jax.audio.stft import istft, stft
from tests.parity.golden import each

TINY = 1e-30  # an epsilon that shows nowhere in float32; exactly zero would divide by zero


def amplitude_cases(golden):
    return [(case["case"], case["alpha"], case["beta"]) for case in golden.facts["cases"]]


def amplitude_tolerance(golden):
    return golden.numbers("tolerance", r"relative NUMBER of \|value\| \+ NUMBER absolute")


@each("golden case alpha beta", "spec_transform_amplitude*", amplitude_cases)
def test_amplitude_transform(golden, case, alpha, beta):
    rtol, atol = amplitude_tolerance(golden)
    got = compress(jnp.asarray(golden["z"]), alpha, beta, TINY)
    np.testing.assert_allclose(got, golden[f"c{case}/forward"], rtol=rtol, atol=atol)


@each("golden case alpha beta", "spec_transform_amplitude*", amplitude_cases)
def test_our_epsilon_bends_the_smallest_amplitudes_alone(golden, case, alpha, beta):
    """By (1 + epsilon / |z|^2)^((alpha - 1) / 2), which is 80 dB down where the tolerance no longer excuses it."""
    z, epsilon = golden["z"], get_config().audio.epsilon
    rtol, atol = amplitude_tolerance(golden)
    power = np.square(np.abs(z, dtype=np.float64))
    bend = (1 + epsilon / np.where(power > 0, power, 1)) ** ((alpha - 1) / 2)
    got = compress(jnp.asarray(z), alpha, beta, epsilon)
    np.testing.assert_allclose(got, golden[f"c{case}/forward"] * bend, rtol=rtol, atol=atol)
    (small,) = golden.numbers("tolerance", r"\|z\| < NUMBER")
    np.testing.assert_allclose(bend[power >= small**2], 1, rtol=1e-4)


@each("golden case alpha beta", "spec_transform_amplitude*", amplitude_cases)
@pytest.mark.parametrize("epsilon", [TINY, get_config().audio.epsilon], ids=["tiny", "ours"])
def test_inverse_amplitude_transform(golden, case, alpha, beta, epsilon):
    rtol, atol = amplitude_tolerance(golden)
    got = expand(jnp.asarray(golden[f"c{case}/w"]), alpha, beta, epsilon)
    np.testing.assert_allclose(got, golden[f"c{case}/inverse_of_w"], rtol=rtol, atol=atol)


def audio_of(golden):
    """Float64 ``[2, samples]``."""
    (scale,) = golden.numbers("what", "x = audio_int16 / NUMBER")
    return golden["audio_int16"] / scale


def sizes(golden):
    n_fft, hop = golden.facts["config"]["n_fft"], golden.facts["config"]["hop"]
    if n_fft % hop:
        pytest.skip(f"{golden}: our STFT needs a hop that divides n_fft")
    return n_fft, hop


@each("golden", "spec_transform_stft_*")
def test_stft(golden):
    forward = jax.jit(stft, static_argnums=(1, 2))
    left, right = np.asarray(forward(jnp.float32(audio_of(golden)), *sizes(golden))).swapaxes(1, 2)  # [bins, frames]
    got = {
        "X_left_even_bins": left[0::2],
        "X_left_odd_bins_frames": left[1::2, golden["odd_frames"]],
        "X_right_last_bin": right[-1],
    }
    got |= {f"X_right_bins_{step}": right[0 :: int(step)] for step in golden.suffixes("X_right_bins_")}
    atol = golden.tolerance(r"STFT float32: NUMBER \* max\|X\|") * max(np.abs(golden[name]).max() for name in got)
    for name, part in got.items():
        np.testing.assert_allclose(part, golden[name], rtol=0, atol=atol, err_msg=name)

    energy = golden["frame_energy"]  # tells of the bins that are not kept; wrong by 2 sum |X| atol at most
    got_energy = np.stack([np.square(np.abs(side, dtype=np.float64)).sum(axis=0) for side in (left, right)])
    np.testing.assert_allclose(got_energy, energy, rtol=0, atol=2 * atol * np.sqrt(len(left) * energy).max())


def exact_spectrum(audio, n_fft, hop):
    """Float64 ``[channels, bins, frames]``, by the formula that the golden numbers give."""
    padded = np.pad(audio, [(0, 0), (n_fft // 2, n_fft // 2)], mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[:, ::hop]
    return np.fft.rfft(frames * window).swapaxes(1, 2)


@each("golden", "spec_transform_stft_*")
def test_inverse_stft_of_what_is_no_signals_spectrum(golden):
    """Masked spectra; one is rotated, too, and has imaginary parts at DC and Nyquist, to be ignored."""
    n_fft, hop = sizes(golden)
    spectrum = exact_spectrum(audio_of(golden), n_fft, hop)
    _, bins, frames = spectrum.shape
    k, f = np.arange(bins)[:, None], np.arange(frames)[None]
    mask = np.exp(-k / (bins / 3)) * (0.6 + 0.4 * np.cos(0.3 * f + 0.01 * k))
    masked = spectrum * np.stack([mask, mask * np.exp(0.4j)])
    atol = golden.tolerance("iSTFT: NUMBER absolute")
    assert np.abs(masked[1, [0, -1]].imag).max() > atol
    got = jax.jit(istft, static_argnums=(1, 2))(jnp.complex64(masked.swapaxes(1, 2)), n_fft, hop)
    assert got.shape == (2, (frames - 1) * hop)  # ends with the last whole hop, the reference with the audio
    for side, name in zip(got, ("istft_left_masked", "istft_right_masked_rotated"), strict=True):
        np.testing.assert_allclose(side, golden[name][: got.shape[1]], rtol=0, atol=atol, err_msg=name)
