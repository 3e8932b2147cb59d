"""What the solver does when memory runs out, and how it spreads chunks over devices."""

import jax
import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.inference import solver as solver_module
from diffvs_jax.inference.program import make_program
from diffvs_jax.inference.separator import Separator
from tests.helpers import RATE, random_params, random_separator
from tests.inference.songs import music
from tests.nano import get_config

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED: Out of memory allocating 34359738368 bytes."


def small_config(**separation):
    """Three blocks: compiles in a second."""
    config = get_config()
    config.model.channel_mult = (1,)
    config.sampler.num_steps = 2
    config.separation.update(separation)
    return config


def on_one_device(config, **options):
    whole = random_separator(config)
    return Separator(random_params(config), whole._solver._stats, config, devices=jax.local_devices()[:1], **options)


def assert_same(result, expected):
    np.testing.assert_allclose(result, expected, atol=1e-4 * np.abs(expected).max())


@pytest.fixture
def fits(monkeypatch):
    """Makes programs that see more chunks at once than ``fits`` run out of memory, when they run or compile."""

    class Limit:
        chunks, when, tried = 1, "running", []

    limit = Limit()

    def make_limited_program(config, at_once, mesh):
        limit.tried.append(at_once)
        if at_once > limit.chunks and limit.when == "compiling":
            raise jax.errors.JaxRuntimeError(OUT_OF_MEMORY)
        return make_program(config, at_once, mesh)

    class Started:
        def is_ready(self):
            return True

        def __array__(self, *_, **__):
            raise jax.errors.JaxRuntimeError(OUT_OF_MEMORY)

    def run(self, *arguments):
        result = original(self, *arguments)
        return Started() if self._at_once > limit.chunks and limit.when == "running" else result

    original = solver_module.Solver.run
    monkeypatch.setattr(solver_module, "make_program", make_limited_program)
    monkeypatch.setattr(solver_module.Solver, "run", run)
    return limit


@pytest.mark.parametrize("when", ["running", "compiling"])
def test_fewer_chunks_at_once_are_tried_when_memory_runs_out(fits, when):
    config = small_config(batch_size=4)
    audio, said = music(3000), []
    fits.chunks = 99
    expected = on_one_device(config)(audio, RATE)["vocals"]
    fits.chunks, fits.when, fits.tried[:] = 1, when, []
    tight = on_one_device(config, log=said.append)
    assert_same(tight(audio, RATE)["vocals"], expected)
    assert said == [
        "out of memory with 4 chunks at once; going on with 2",
        "out of memory with 2 chunks at once; going on with 1",
    ]
    assert fits.tried == [4, 2, 1]
    tight(audio, RATE)
    assert len(said) == 2 and fits.tried == [4, 2, 1]


def test_too_little_memory_for_one_chunk_is_one_line(fits):
    fits.chunks = 0
    with pytest.raises(InputError, match=r"out of memory with one chunk at once; .*bfloat16") as error:
        on_one_device(small_config(batch_size=2))(music(1000), RATE)
    assert "\n" not in str(error.value)


def test_other_errors_of_the_device_come_out(monkeypatch):
    def run(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: the device is lost")

    monkeypatch.setattr(solver_module.Solver, "run", run)
    with pytest.raises(jax.errors.JaxRuntimeError, match="device is lost"):
        on_one_device(small_config())(music(1000), RATE)


@pytest.mark.parametrize("joint", [False, True])
def test_all_devices_share_the_chunks(joint):
    assert jax.local_device_count() == 2
    audio, config = music(512 * 11), small_config(joint=joint, batch_size=2)
    both = random_separator(config)
    assert both._solver.slots == (16 if joint else 4)
    result = both._solver.run(music(960)[None].repeat(3, axis=0), np.zeros(3), both.sigmas)
    assert len(result.sharding.device_set) == 2
    assert {shard.data.shape[0] for shard in result.addressable_shards} == {both._solver.slots // 2}
    assert_same(both(audio, RATE)["vocals"], on_one_device(config)(audio, RATE)["vocals"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"joint_chunks": 2}, "joint_chunks 2 must be above twice separation.context_chunks 1"),
        ({"context_chunks": -1}, "context_chunks -1"),
        ({"step_frames": 1}, "step_frames 1: chunks that are solved jointly step by at least an 8th"),
        ({"batch_size": -2}, "batch_size is -2"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        random_separator(small_config(**settings))
