import numpy as np
import pytest
from matplotlib import image

from diffvs_jax.evaluation.spectrogram import contact_sheet, save_contact_sheet, save_spectrograms

RATE = 16_000


def tone(hertz):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).astype(np.float32)[:, None].repeat(2, axis=1)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A low and a high tone, drawn one above the other; RGB in 0..1."""
    path = tmp_path_factory.mktemp("pictures") / "new" / "tones.png"
    save_spectrograms(path, {"low": tone(300), "high": tone(6000)}, RATE)
    return image.imread(path)[..., :3]


def bright_row(half):
    """Height of the brightest row, 0 at the top and 1 at the bottom."""
    inside = half[:, half.shape[1] // 4 : half.shape[1] // 2]
    inside = np.where(inside[..., 2] < 0.85, inside[..., 0], 0)  # loud is pale yellow, the paper is white
    return inside.mean(axis=1).argmax() / len(half)


def test_picture_is_large_enough_to_look_at(picture):
    assert picture.shape[0] > 400
    assert picture.shape[1] > 800
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_low_tones_are_drawn_below_high_ones(picture):
    half = picture.shape[0] // 2
    assert bright_row(picture[:half]) > bright_row(picture[half:]) + 0.2


def test_silence_can_be_drawn(tmp_path):
    save_spectrograms(tmp_path / "silent.png", {"silence": np.zeros((RATE, 1), np.float32)}, RATE)
    assert image.imread(tmp_path / "silent.png").shape[2] >= 3


def test_pixels_are_those_of_the_file(tmp_path):
    rows = [{"low": tone(300), "high": tone(6000)}]
    save_contact_sheet(tmp_path / "sheet.png", rows, RATE)
    written = image.imread(tmp_path / "sheet.png")[..., :3]
    np.testing.assert_array_equal(contact_sheet(rows, RATE), np.round(255 * written).astype(np.uint8))


def test_a_songs_name_is_no_formula():
    assert contact_sheet([{r"mixture: Ca$h \and Mi$ery": tone(300)}], RATE).std() > 20


def test_less_than_a_window_can_be_drawn():
    assert contact_sheet([{"click": tone(300)[:100]}], RATE).std() > 20
