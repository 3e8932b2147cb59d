import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.errors import InputError
from diffvs_jax.inference import program as program_module
from diffvs_jax.inference import solver as solver_module
from diffvs_jax.inference.program import make_program
from diffvs_jax.inference.separator import Separator
from tests.helpers import RATE, random_params, random_separator
from tests.inference.songs import music
from tests.nano import get_config


@pytest.fixture(scope="module")
def stereo():
    return random_separator(get_config())


@pytest.fixture(scope="module")
def mono():
    config = get_config()
    config.audio.num_channels = 1
    return random_separator(config)


def assert_sums_back(stems, audio):
    np.testing.assert_allclose(sum(stems.values()), audio, atol=1e-6 * max(1, *(abs(s).max() for s in stems.values())))


@pytest.mark.parametrize("num_samples", [1, 100, 959, 960, 3000])
def test_stems_are_like_the_song_and_sum_back_to_it(stereo, num_samples):
    audio = music(num_samples)
    stems = stereo(audio, RATE)
    assert list(stems) == ["vocals", "instrumental"]
    for stem in stems.values():
        assert stem.shape == audio.shape
        assert stem.dtype == np.float32
        assert np.isfinite(stem).all()
    assert_sums_back(stems, audio)


def test_a_network_shapes_the_estimate(stereo):
    audio = music(3000)
    vocals = stereo(audio, RATE)["vocals"]
    assert 0.01 < np.std(vocals) < 100
    assert abs(np.corrcoef(vocals.ravel(), audio.ravel())[0, 1]) < 0.99


def test_one_dimensional_audio_comes_back_one_dimensional(mono):
    audio = music(2000, channels=1)
    flat, column = mono(audio[:, 0], RATE), mono(audio, RATE)
    assert flat["vocals"].shape == (2000,)
    np.testing.assert_array_equal(flat["vocals"], column["vocals"][:, 0])


def test_a_mono_model_separates_each_channel_alone(mono):
    audio = music(2000)
    both = mono(audio, RATE)["vocals"]
    for channel in range(2):
        np.testing.assert_array_equal(both[:, channel], mono(audio[:, channel], RATE)["vocals"])


def test_a_stereo_model_hears_mono_twice_and_averages(stereo):
    audio = music(2000, channels=1)
    twice = stereo(np.repeat(audio, 2, axis=1), RATE)["vocals"]
    np.testing.assert_allclose(stereo(audio, RATE)["vocals"][:, 0], twice.mean(axis=1), atol=1e-5)


def test_a_stereo_model_takes_three_channels_as_a_pair_and_one(stereo):
    audio = music(2000, channels=3)
    stems = stereo(audio, RATE)
    np.testing.assert_array_equal(stems["vocals"][:, :2], stereo(audio[:, :2], RATE)["vocals"])
    np.testing.assert_array_equal(stems["vocals"][:, 2], stereo(audio[:, 2], RATE)["vocals"])
    assert_sums_back(stems, audio)


@pytest.mark.parametrize(("rate", "num_samples"), [(11_025, 5001), (4000, 777), (44_100, 3), (44_100, 1)])
def test_other_rates_come_back_at_their_rate_and_length(stereo, rate, num_samples):
    audio = music(num_samples)
    stems = stereo(audio, rate)
    assert stems["vocals"].shape == audio.shape
    assert_sums_back(stems, audio)


def perfect(config, monkeypatch):
    """A separator whose network answers with the mixture itself, whatever the noise."""

    def make_denoiser(_network, _params, condition, _sigma_data):
        return lambda x, sigma: condition

    monkeypatch.setattr(program_module, "make_denoiser", make_denoiser)
    stats = BandStats(np.float32([0.7, 0.2]), np.float32([[0.7, 0.2]]))
    return Separator(random_params(config), stats, config)


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_a_network_that_answers_with_the_mixture_gives_the_song_back(nano_config, monkeypatch, rate):
    audio = music(5000)
    vocals = perfect(nano_config, monkeypatch)(audio, rate)["vocals"]
    if rate == 16_000:  # the upper half is above what the model hears
        spectrum = np.fft.rfft(vocals - audio, axis=0)
        assert np.abs(spectrum[:1100]).max() < 0.05 * np.abs(np.fft.rfft(audio, axis=0)).max()
    else:  # a chunk's spectrum drops the bin at Nyquist
        assert np.std(vocals - audio) < 0.02
        assert np.std(vocals - audio) < 0.1 * np.std(audio)


@pytest.mark.parametrize("level", [0.0, 0.9e-4])
def test_silence_stays_exactly_silent_and_never_meets_the_network(stereo, monkeypatch, level):
    def fail(*_):
        raise AssertionError("the program ran")

    monkeypatch.setattr(stereo._solver, "run", fail)
    audio = np.full((3000, 2), level, np.float32)
    stems = stereo(audio, RATE)
    assert not stems["vocals"].any()
    np.testing.assert_array_equal(stems["instrumental"], audio)


def test_a_silent_chunk_beside_music_is_exactly_silent(stereo):
    audio = music(4000)
    audio[1200:] = 0
    vocals = stereo(audio, RATE)["vocals"]
    assert vocals[:1200].any()
    assert not vocals[2400:].any()


def test_the_seed_decides(stereo):
    audio = music(1500)
    first = stereo(audio, RATE)["vocals"]
    np.testing.assert_array_equal(first, stereo(audio, RATE)["vocals"])
    np.testing.assert_array_equal(first, random_separator(get_config())(audio, RATE)["vocals"])
    again = Separator(random_params(get_config()), stereo._solver._stats, get_config(), seed=1)
    other = again(audio, RATE)["vocals"]
    assert np.std(first - other) > 0.01


def test_chunks_are_told_their_first_frames_and_neighbours(stereo, monkeypatch):
    def run(chunks, frames, _, before):
        told.extend(zip(frames.tolist(), before.tolist(), strict=True))
        return jnp.zeros((16, 1, 960, 2))

    told = []
    monkeypatch.setattr(stereo._solver, "run", run)
    stereo(music(3000), RATE)
    assert told == [(0, -1), (8, 0), (16, 1), (24, 2), (32, 3), (40, 4)]


def test_the_number_of_chunks_at_once_leaves_the_result(stereo, nano_config):
    nano_config.separation.batch_size = 1
    audio = music(3000)
    expected = stereo(audio, RATE)["vocals"]
    one_by_one = random_separator(nano_config)(audio, RATE)["vocals"]
    np.testing.assert_allclose(one_by_one, expected, atol=1e-4 * np.abs(expected).max())


def test_one_step_is_another_grid_of_the_same_separator(stereo):
    audio = music(1500)
    one_step = stereo(audio, RATE, sigmas=stereo.sigmas[[0, -1]])["vocals"]
    assert one_step.shape == audio.shape
    assert np.std(one_step - stereo(audio, RATE)["vocals"]) > 1e-3
    config = get_config()
    config.sampler.num_steps = 1
    np.testing.assert_allclose(one_step, random_separator(config)(audio, RATE)["vocals"], atol=1e-5)


def test_progress_counts_seconds(mono):
    calls = []
    mono(music(3000), RATE, progress=lambda done, total: calls.append((done, total)))
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {3000 / RATE} and done[-1] == 3000 / RATE
    assert len(done) >= 4 and list(done) == sorted(set(done))


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.float32([[0.1, np.nan], [np.inf, 0]]), RATE, "2 NaN or infinite samples, the first at sample 0"),
        (np.zeros((0, 2), np.float32), RATE, r"shape \(0, 2\)"),
        (np.zeros((2, 2, 2), np.float32), RATE, r"shape \(2, 2, 2\)"),
        (np.zeros((9, 2), np.int16), RATE, "int16; convert"),
        (np.full((9, 2), 1e300), RATE, "18 NaN or infinite"),
        (np.zeros((9, 2), np.float32), 0, "sample_rate is 0"),
        (np.zeros((9, 2), np.float32), 2**31, "sample_rate is 2147483648"),
        (np.zeros((9, 2), np.float32), 44_100.5, "sample_rate is 44100.5"),
        (np.zeros((9, 2), np.float32), -1, "sample_rate is -1"),
    ],
)
def test_bad_input_gets_one_line(stereo, audio, rate, message):
    with pytest.raises(InputError, match=message) as error:
        stereo(audio, rate)
    assert "\n" not in str(error.value)


@pytest.fixture
def counted(nano_config, monkeypatch):
    """A separator, and a counter of how often its program was traced."""
    traces = []

    def make_counted_program(*settings):
        program = make_program(*settings)

        def counted(*arguments):
            traces.append(None)
            return program(*arguments)

        return counted

    monkeypatch.setattr(solver_module, "make_program", make_counted_program)
    nano_config.model.channel_mult = (1,)
    nano_config.sampler.num_steps = 7
    nano_config.separation.joint = False
    return random_separator(nano_config), traces


def test_all_chunks_and_all_grids_of_one_length_share_one_program(counted):
    separator, traces = counted
    chunk = music(960)[None].repeat(4, axis=0)
    results = [separator.chunks(chunk, np.arange(4, dtype=np.int32), scale * separator.sigmas) for scale in (1, 0.5)]
    separator(music(3000), RATE)
    separator(music(200), RATE)
    separator.chunks(chunk, np.arange(4, dtype=np.int32) + 40, separator.sigmas)
    assert len(traces) == 1
    assert not np.array_equal(*results)


def test_compiling_ahead_is_timed_and_done_once(counted):
    separator, traces = counted
    first = separator.compile()
    assert first.seconds > 0
    assert separator.compile() is first and separator.compile(num_steps=7) is first
    separator(music(1500), RATE)
    assert len(traces) == 1
    assert separator.compile(num_steps=1) is not first
    assert len(traces) == 2
    separator(music(1500), RATE, sigmas=np.array([3.0, 0]))
    assert len(traces) == 2


def test_what_was_compiled_before_comes_from_the_cache(stereo):
    stereo.compile()
    again = random_separator(get_config()).compile()
    assert again.cached and again.seconds > 0
    assert str(again).endswith(" s, from the cache")


def test_a_checkpoint_separates_as_it_was_trained(trained):
    separator = Separator.from_checkpoint(trained.workdir)
    assert separator.config.to_dict() == trained.config.to_dict()
    audio = music(1500)
    in_memory = Separator(jax.device_get(trained.state.ema[0]), trained.stats, trained.config)
    np.testing.assert_array_equal(separator(audio, RATE)["vocals"], in_memory(audio, RATE)["vocals"])
