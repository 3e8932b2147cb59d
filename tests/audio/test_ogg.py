import numpy as np
import pytest
import soundfile

from diffvs_jax.audio.ogg import damaged_at


@pytest.fixture(scope="module", params=["VORBIS", "OPUS"])
def content(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("ogg") / "noise.ogg"
    noise = 0.1 * np.random.default_rng(0).standard_normal((96_000, 2))
    soundfile.write(path, noise, 48_000, format="OGG", subtype=request.param)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "noise.ogg"


def test_a_sound_file_is_damaged_nowhere(path, content):
    path.write_bytes(content)
    assert damaged_at(path) is None
    path.write_bytes(content + b"TAG and more, behind the end of the stream")
    assert damaged_at(path) is None


@pytest.mark.parametrize("place", [0.1, 0.5, 0.999])
def test_one_bit_is_damage_to_its_page(path, content, place):
    at = round(place * len(content))
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    begin = content.rindex(b"OggS", 0, at)
    assert damaged_at(path) == begin / len(content)


def test_a_hole_or_a_lost_end_is_damage(path, content):
    middle = content.index(b"OggS", len(content) // 2)
    path.write_bytes(content[:middle] + bytes(9000) + content[middle + 9000 :])
    assert damaged_at(path) == middle / len(content)
    path.write_bytes(content[: middle + 500])
    assert damaged_at(path) == middle / (middle + 500)
    path.write_bytes(content[: middle + 10])
    assert damaged_at(path) == middle / (middle + 10)


def test_other_formats_have_no_pages(tmp_path):
    soundfile.write(tmp_path / "noise.flac", np.zeros((100, 1)), 8000)
    (tmp_path / "empty.ogg").touch()
    assert damaged_at(tmp_path / "noise.flac") is None
    assert damaged_at(tmp_path / "empty.ogg") is None
