import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.diffusion.samplers import SAMPLERS
from diffvs_jax.errors import InputError
from diffvs_jax.inference import program as program_module
from diffvs_jax.inference.program import frame_noise, make_program, sampler_settings
from tests.helpers import random_separator
from tests.inference.songs import music
from tests.nano import get_config

FIRST_FRAMES = np.array([0, 8])


def small_config(**sampler):
    """Three blocks: compiles in a second. With fewer than three steps dpmpp_2m is Euler's method."""
    config = get_config()
    config.model.channel_mult = (1,)
    config.separation.batch_size = 2
    config.sampler.num_steps = 3
    config.sampler.update(sampler)
    return config


def separate(config):
    """Waveforms of two chunks that overlap by half."""
    separator = random_separator(config)
    song = music(960 + 512)
    return separator.chunks(np.stack([song[:960], song[512:]]), FIRST_FRAMES, separator.sigmas)


@pytest.fixture(scope="module")
def scanned():
    """Waveforms by the sampler's name, from loops over one copy of the network."""

    def run(name):
        return separate(small_config(name=name, loop="scanned", s_churn=2.0 if name == "stochastic_heun" else 0.0))

    return {name: run(name) for name in SAMPLERS}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_separates(scanned, name):
    assert scanned[name].shape == (2, 1, 960, 2)
    assert np.isfinite(scanned[name]).all() and np.std(scanned[name]) > 0.01
    others = [waveforms for other, waveforms in scanned.items() if other != name]
    assert min(np.std(scanned[name] - waveforms) for waveforms in others) > 1e-3


@pytest.mark.parametrize("name", ["stochastic_heun", "dpmpp_2m"])  # those with most to carry from step to step
def test_unrolled_and_scanned_programs_agree(scanned, name):
    config = small_config(name=name, loop="unrolled", s_churn=2.0 if name == "stochastic_heun" else 0.0)
    np.testing.assert_allclose(separate(config), scanned[name], atol=1e-4 * np.abs(scanned[name]).max())


@pytest.mark.parametrize(
    ("loop", "machine", "expected"),
    [
        ("auto", "cpu", False),
        ("auto", "gpu", True),
        ("auto", "tpu", True),
        ("unrolled", "cpu", True),
        ("scanned", "gpu", False),
    ],
)
def test_auto_scans_on_a_cpu_alone(monkeypatch, loop, machine, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: machine)
    assert sampler_settings(small_config(loop=loop)).unroll is expected


def test_settings_of_the_stochastic_sampler_reach_it():
    config = small_config(name="stochastic_heun", s_churn=40.0, s_t_min=0.05, s_t_max=50.0, s_noise=1.003)
    got = sampler_settings(config)
    assert (got.s_churn, got.s_t_min, got.s_t_max, got.s_noise) == (40, 0.05, 50, 1.003)


def test_two_samples_are_the_mean_of_two_waveforms(scanned, monkeypatch):
    both = separate(small_config(name="euler", loop="scanned", num_samples=2))
    runs = []
    for number in range(2):
        monkeypatch.setattr(program_module, "average", lambda sample, _, number=number: sample(jnp.uint32(number)))
        runs.append(separate(small_config(name="euler", loop="scanned")))
    scale = np.abs(scanned["euler"]).max()
    np.testing.assert_allclose(runs[0], scanned["euler"], atol=1e-5 * scale)  # one sample is the first of two
    assert np.std(runs[1] - runs[0]) > 0.01
    np.testing.assert_allclose(both, np.mean(runs, axis=0), atol=1e-4 * scale)


def test_noise_lies_on_the_songs_grid_of_frames():
    key = jax.random.key(0)
    noise = np.asarray(frame_noise(key, jnp.array([0, 8, 16]), (16, 32, 8)))
    np.testing.assert_array_equal(noise[0, 8:], noise[1, :8])
    np.testing.assert_array_equal(noise[1, 8:], noise[2, :8])
    assert not np.array_equal(noise[0, :8], noise[0, 8:])
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert not np.array_equal(noise, frame_noise(jax.random.key(1), jnp.array([0, 8, 16]), (16, 32, 8)))


def test_every_draw_of_every_sample_is_fresh_and_lies_on_that_grid(monkeypatch):
    """What churn adds to two chunks is the same where they overlap, as what they start from is."""

    def tell_draws(denoise, draw, sigmas, settings):
        return jax.lax.map(draw, jnp.arange(3))

    monkeypatch.setitem(SAMPLERS, "stochastic_heun", tell_draws)
    monkeypatch.setattr(program_module, "average", lambda sample, count: jax.lax.map(sample, jnp.arange(count)))
    for name, stand_in in {
        "encode_mixture": lambda *_: (None, None),
        "make_denoiser": lambda *_: None,
        "decode": lambda x, *_: x,
    }.items():
        monkeypatch.setattr(program_module, name, stand_in)
    program = make_program(small_config(name="stochastic_heun", s_churn=2.0, num_samples=2))
    draws = np.asarray(jax.jit(program)(None, None, None, FIRST_FRAMES, None, jax.random.key(0)))
    assert draws.shape == (2, 3, 2, 16, 32, 8)  # samples, draws, chunks, T, F, C
    np.testing.assert_array_equal(draws[:, :, 0, 8:], draws[:, :, 1, :8])
    frames = np.concatenate([draws[:, :, 0], draws[:, :, 1, 8:]], axis=2).reshape(2 * 3 * 24, -1)
    similar = np.corrcoef(frames) - np.eye(len(frames))
    assert np.abs(similar).max() < 0.4  # six standard deviations of what 256 independent numbers have


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "dpm", r"sampler.name 'dpm' is none of \('heun', 'stochastic_heun', 'euler', 'dpmpp_2m'\)"),
        ("loop", "rolled", r"sampler.loop 'rolled' is none of \('auto', 'unrolled', 'scanned'\)"),
        ("num_samples", 0, "sampler.num_samples is 0; at least 1"),
        ("s_churn", -1.0, "sampler.s_churn is -1.0; it must be 0"),
        ("s_churn", float("nan"), "sampler.s_churn is nan; it must be 0"),
        ("s_t_min", 2e9, r"sampler.s_t_min 2000000000.0 and s_t_max 1000000000.0 must be"),
        ("s_noise", -0.5, "sampler.s_noise is -0.5; it must be 0 or more"),
        ("s_churn", 2.0, "sampler.s_churn is 2.0; .* sampler.name=stochastic_heun"),
    ],
)
def test_bad_sampler_settings_name_their_keys(key, value, message):
    with pytest.raises(InputError, match=message):
        random_separator(small_config(**{key: value}))


def test_a_program_of_an_unknown_sampler_is_refused(nano_config):
    nano_config.sampler.name = "dpm"
    with pytest.raises(InputError, match=r"sampler\.name 'dpm' is none of"):
        make_program(nano_config)
