import jax
import jax.numpy as jnp
import pytest

from diffvs_jax import compilation
from diffvs_jax.compilation import compile_program, use_cache


def test_a_program_comes_from_the_cache_the_second_time():
    function = jax.jit(lambda x: jnp.sin(x) * 17.25 + jnp.cumsum(x))
    shape = jax.ShapeDtypeStruct((123,), jnp.float32)
    first = compile_program(function, shape)
    jax.clear_caches()
    second = compile_program(jax.jit(lambda x: jnp.sin(x) * 17.25 + jnp.cumsum(x)), shape)
    assert (first.cached, second.cached) == (False, True)
    assert first.seconds > 0 and second.seconds > 0
    assert str(second).endswith(" s, from the cache") and str(first).endswith(" s")
    assert first.program(jnp.ones(123)).tolist() == second.program(jnp.ones(123)).tolist()


@pytest.fixture
def settings(monkeypatch):
    """What would be set, without setting it."""
    told = {}
    monkeypatch.setattr(compilation.jax.config, "update", told.__setitem__)
    return told


def test_the_cache_is_the_users_own_folder(settings, monkeypatch, tmp_path):
    monkeypatch.setattr(type(jax.config), "jax_compilation_cache_dir", None, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    use_cache(True)
    assert settings == {"jax_compilation_cache_dir": str(tmp_path / "diffvs_jax" / "compiled")}


@pytest.mark.parametrize("home", ["file", "nobody"])
def test_without_a_folder_to_write_nothing_is_kept(settings, monkeypatch, tmp_path, home):
    monkeypatch.setattr(type(jax.config), "jax_compilation_cache_dir", None, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file") if home == "file" else "")

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(compilation.Path, "home", no_home)
    use_cache(True)
    assert not settings


def test_the_cache_is_off_by_config(settings, monkeypatch):
    monkeypatch.setattr(type(jax.config), "jax_compilation_cache_dir", None, raising=False)
    use_cache(False)
    assert not settings


def test_a_cache_that_jax_has_been_told_of_stays(settings):
    assert jax.config.jax_compilation_cache_dir
    use_cache(True)
    assert not settings
