"""Every SDR against museval's and mir_eval's, on four kinds of error and with silent frames."""

import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.metrics import bss_eval, sdr
from diffvs_jax.metrics.blocks import precision
from diffvs_jax.metrics.track import score_sdr
from tests.parity.golden import each

SLOW = ("leak_noise", "gain")  # whose ISR, SIR and SAR are computed: all finite, and some infinite
NOISE = 100.0  # dB that stand for infinity in float32


def errors(golden):
    return [(name,) for name in golden.facts["nan_frames"]]


def slow_errors(golden):
    return [case for case in errors(golden) if case[0] in SLOW]


def signals(golden, error):
    """References and estimates, float64 ``[2, samples, 2]``, and their rate."""
    (scale,) = golden.numbers("what", "samples = value/NUMBER")
    vocals, rest, noise, low = (golden[name] / scale for name in ("vocals", "accompaniment", "noise", "lowpass_vocals"))
    share = {name: golden.numbers("what", rf"{name}: v \+ NUMBER a")[0] for name in ("leak", "leak_noise")}
    estimate = {
        "leak": vocals + share["leak"] * rest,
        "leak_noise": vocals + share["leak_noise"] * rest + noise,
        "gain": golden.numbers("what", "gain: NUMBER v")[0] * vocals,
        "lowpass": low,
    }[error]
    references = np.stack([vocals, rest])
    return references, np.stack([estimate, vocals + rest - estimate]), golden.facts["config"]["fs"]


def tolerance_of(golden, dtype):
    return golden.tolerance({"float64": r"NUMBER dB \(float64\)", "float32": r"NUMBER dB \(float32 sums\)"}[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each("golden", "bss_eval")
def test_sdr_of_frames_and_their_median(golden, dtype):
    """All errors at once, as a batch of tracks."""
    names = [error for (error,) in errors(golden)]
    *audio, rates = zip(*(signals(golden, error) for error in names), strict=True)
    with precision(dtype):
        audio = [jnp.asarray(np.stack(tracks), dtype) for tracks in audio]
        frames, medians = (np.asarray(score(*audio, rates[0])) for score in (sdr.framewise_sdr, sdr.csdr))
    assert frames.dtype == dtype
    for error, sources, median in zip(names, frames, medians, strict=True):
        atol = tolerance_of(golden, dtype)
        np.testing.assert_allclose(sources, golden[f"{error}/museval_sdr"], rtol=0, atol=atol)
        np.testing.assert_allclose(median, golden[f"{error}/museval_nanmedian"][0], rtol=0, atol=atol)
        for source, name in enumerate(("vocals", "accompaniment")):
            assert np.flatnonzero(np.isnan(sources[source])).tolist() == golden.facts["nan_frames"][error][name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each("golden error", "bss_eval", errors)
def test_sdr_of_the_whole_track(golden, error, dtype):
    *audio, _ = signals(golden, error)
    atol = tolerance_of(golden, dtype)
    with precision(dtype):
        s, e = (jnp.asarray(x, dtype) for x in audio)
        np.testing.assert_allclose(sdr.usdr(s, e), golden[f"{error}/usdr_eps1e-7"], rtol=0, atol=atol)
        if f"{error}/sisdr_pooled" not in golden.arrays:
            return
        channels = [jnp.swapaxes(x, -1, -2)[..., None] for x in (s, e)]
        centred = [x - x.mean(axis=-2, keepdims=True) for x in channels]
        got = {
            "sisdr_pooled": sdr.si_sdr(s, e),
            "sisdr_channel_mean": sdr.si_sdr(*channels).mean(axis=-1),
            "sisdr_channel_mean_zeromean": sdr.si_sdr(*centred).mean(axis=-1),
        }
    for name, values in got.items():
        expected = np.minimum(golden[f"{error}/{name}"], NOISE)
        np.testing.assert_allclose(np.minimum(values, NOISE), expected, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each("golden error", "bss_eval", errors)
def test_scores_of_the_track(golden, error, dtype):
    references, estimates, rate = signals(golden, error)
    names = ("vocals", "instrumental")
    truth, estimated = (dict(zip(names, stems, strict=True)) for stems in (references, estimates))
    found = score_sdr(truth, estimated, rate, dtype=dtype)
    atol = tolerance_of(golden, dtype)
    for source, name in enumerate(names):
        frames = golden[f"{error}/museval_sdr"][source]
        np.testing.assert_allclose(found.frames[f"sdr_{name}"], frames, rtol=0, atol=atol)
        expected = golden[f"{error}/museval_nanmedian"][0, source], golden[f"{error}/usdr_eps1e-7"][source]
        got = [found.scores[f"{kind}_{name}"] for kind in ("csdr", "usdr")]
        np.testing.assert_allclose(got, expected, rtol=0, atol=atol)
        if f"{error}/sisdr_pooled" in golden.arrays:
            expected = min(golden[f"{error}/sisdr_pooled"][source], NOISE)
            np.testing.assert_allclose(min(found.scores[f"sisdr_{name}"], NOISE), expected, rtol=0, atol=atol)


@each("golden error", "bss_eval", slow_errors)
def test_isr_sir_sar_are_musevals(golden, error):
    found = bss_eval.museval_frames(*signals(golden, error))
    (clip,) = golden.numbers("large_values", "above NUMBER dB")
    tolerances = [tolerance_of(golden, "float64"), *[golden.tolerance("ISR/SIR/SAR: NUMBER dB")] * 3]
    for (name, values), atol in zip(found._asdict().items(), tolerances, strict=True):
        expected = golden[f"{error}/museval_{name}"]
        np.testing.assert_allclose(np.minimum(values, clip), np.minimum(expected, clip), rtol=0, atol=atol)


@each("golden error", "bss_eval", lambda golden: slow_errors(golden)[:1])
def test_sdr_of_mir_eval(golden, error):
    """Two frames, which mir_eval scores by themselves: one with sound, and one that is silent."""
    references, estimates, rate = signals(golden, error)
    silent = golden.facts["nan_frames"][error]["vocals"][0]
    part = slice((silent - 1) * rate, (silent + 1) * rate)
    found = bss_eval.mir_eval_frames(references[:, part], estimates[:, part], rate)
    expected = golden[f"{error}/mireval_images_sdr"][:, silent - 1 : silent + 1]
    np.testing.assert_allclose(found.sdr, expected, rtol=0, atol=tolerance_of(golden, "float64"))
    for values in found:
        np.testing.assert_array_equal(np.isnan(values), [[False, True]] * 2)


@each("golden", "bss_eval")
def test_scored_alone_a_source_keeps_frames_in_which_the_other_is_silent(golden):
    references, estimates, rate = signals(golden, "leak")
    with precision("float64"):
        found = sdr.framewise_sdr(*(jnp.asarray(x[:1]) for x in (references, estimates)), rate)
    expected = golden["leak/museval_sdr_vocals_alone"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance_of(golden, "float64"))
