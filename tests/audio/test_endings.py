import numpy as np
import pytest
import soundfile

from diffvs_jax.audio.endings import is_cut_off

FORMS = {
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "aiff": {"format": "AIFF", "subtype": "PCM_24"},
    "rf64": {"format": "RF64", "subtype": "PCM_16"},
    "w64": {"format": "W64", "subtype": "FLOAT"},
}


def write(path, **form):
    noise = 0.1 * np.random.default_rng(0).standard_normal((96_000, 2))
    soundfile.write(path, noise, 48_000, **form)
    return path


@pytest.fixture(scope="module", params=FORMS)
def content(request, tmp_path_factory):
    return write(tmp_path_factory.mktemp("endings") / "noise", **FORMS[request.param]).read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "noise"


def test_a_whole_file_is_not_cut_off(path, content):
    path.write_bytes(content)
    assert not is_cut_off(path)


@pytest.mark.parametrize("cut", [20, 3000, 20_000])
def test_a_file_that_was_cut_off_is_seen(path, content, cut):
    path.write_bytes(content[:-cut])
    assert is_cut_off(path)


@pytest.mark.parametrize("form", ["vorbis", "opus"])
def test_every_place_to_cut_the_last_page_of_an_ogg_is_seen(path, form):
    content = write(path, **FORMS[form]).read_bytes()
    last = content.rindex(b"OggS")
    for end in (last, last + 3, last + 10, last + 27, last + 30, len(content) - 1):
        path.write_bytes(content[:end])
        assert is_cut_off(path), end - last


def test_an_ogg_whose_end_was_never_written_is_seen(path):
    content = write(path, **FORMS["vorbis"]).read_bytes()
    path.write_bytes(content[:10_000] + bytes(len(content) + 190_000))
    assert is_cut_off(path)


@pytest.mark.parametrize("form", ["FLAC", "WAV", "MP3"])
def test_other_formats_are_for_others_to_judge(path, form):
    path.write_bytes(write(path, format=form).read_bytes()[:20_000])
    assert not is_cut_off(path)
    path.write_bytes(b"")
    assert not is_cut_off(path)
