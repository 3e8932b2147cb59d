"""Every layout with real recordings in it: the packaged excerpt, and real songs where there are some."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import fftconvolve

from diffvs_jax.audio import files
from diffvs_jax.data.datasets import open_split
from diffvs_jax.data.pipeline import training_batches
from diffvs_jax.data.source import open_tracks
from diffvs_jax.evaluation.demo import excerpt
from tests.data.layouts import config_with_everything, data_config, write, write_moisesdb, write_stems

SONGS = os.environ.get("DIFFVS_SONGS_DIR", "")  # real songs in MUSDB18's layout
SECONDS = 2.0  # of each
LAYOUTS = ("musdb", "moisesdb", "stems", "pools")
CHUNK = 8192


def loudest(audio, size):
    """First sample of the loudest ``size`` ones."""
    energy = np.cumsum(np.pad(np.square(audio).sum(axis=1, dtype=np.float64), (1, 0)))
    return int(np.argmax(energy[size:] - energy[:-size]))


def cuts_of_the_excerpt():
    """Three songs of two stems, one after another from the ten seconds that are packaged."""
    stems, rate = excerpt()
    size = round(SECONDS * rate)
    return [
        {"vocals": stems["vocals"][at : at + size], "other": stems["instrumental"][at : at + size]}
        for at in range(size, 4 * size, size)
    ], rate


def cuts_of_real_songs():
    """The loudest singing of each training song, with all the song's stems."""
    cuts, rate = [], 44_100
    size = round(SECONDS * rate)
    for track in open_split(SONGS, "train")[:4]:
        voice = track.read_stem("vocals", 0, round(track.seconds * rate), rate, 2)
        start = loudest(voice, size)
        cuts.append({stem: track.read_stem(stem, start, size, rate, 2) for stem in track.stems})
    return cuts, rate


@pytest.fixture(
    scope="session",
    params=[
        cuts_of_the_excerpt,
        pytest.param(
            cuts_of_real_songs,
            marks=pytest.mark.skipif(not SONGS, reason="set DIFFVS_SONGS_DIR to real songs in MUSDB18's layout"),
        ),
    ],
    ids=["excerpt", "songs"],
)
def songs(request):
    """A few seconds of real songs, ``[stem -> audio]``, and their rate."""
    return request.param()


def rest_of(song):
    return sum(audio for stem, audio in song.items() if stem != "vocals")


def halves(audio):
    """Two files that sum to a stem."""
    return [np.float32(0.25) * audio, np.float32(0.75) * audio]


def write_layout(root: Path, layout, suffix, cuts, rate):
    """The songs in one of the layouts and one of the formats."""
    for n, song in enumerate(cuts):
        if layout == "musdb":
            write_stems(root / "train" / f"song {n}", song, rate, suffix)
            write(root / "train" / f"song {n}" / f"mixture.{suffix}", rest_of(song) + song["vocals"], rate)
        elif layout == "stems":
            write_stems(root / f"song {n}", song, rate, suffix)
        elif layout == "pools":
            write(root / "vocals" / f"voice {n}.{suffix}", song["vocals"], rate)
            write(root / "instrumental" / f"music {n}.{suffix}", rest_of(song), rate)
        else:
            stems = [("other_keys" if stem == "other" else stem, halves(audio)) for stem, audio in song.items()]
            write_moisesdb(root / "provider" / f"id-{n}", stems, song=f"song {n}", rate=rate, suffix=suffix)
    return root


def batch_of(tracks, data, rate, size):
    sizes = {"batch_size": size, "chunk_samples": CHUNK, "sample_rate": rate, "num_channels": 2, "seed": 0}
    return next(training_batches(tracks, data, **sizes))


def differences(chunk, songs):
    """The difference of ``chunk`` and what is most like it in each of the songs, relative to the chunk's loudness."""
    best = []
    for song in songs:
        squares = np.cumsum(np.pad(np.square(song, dtype=np.float64).sum(axis=1), (1, 0)))
        product = sum(fftconvolve(song[:, c].astype(np.float64), chunk[::-1, c], "valid") for c in range(2))
        at = np.argmin(squares[CHUNK:] - squares[:-CHUNK] - 2 * product)
        best.append(np.sqrt(np.mean(np.square(chunk - song[at : at + CHUNK])) / np.mean(np.square(chunk))))
    return np.array(best)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_examples_are_pieces_of_the_recordings(tmp_path, songs, layout, suffix):
    cuts, rate = songs
    config = config_with_everything(write_layout(tmp_path, layout, suffix, cuts, rate))
    tracks = open_tracks(config, "train", tmp_path)
    assert len(tracks) == len(cuts) * (2 if layout == "pools" else 1)
    batch = batch_of(tracks, data_config(tmp_path), rate, 6)
    near = 0.3 if suffix == "ogg" else 1e-4
    for example in batch:
        voice = differences(example[0], [song["vocals"] for song in cuts])
        music = differences(example[1], [rest_of(song) for song in cuts])
        assert voice.min() < near and music.min() < near
        assert layout == "pools" or np.argmin(voice) == np.argmin(music)


def test_all_layouts_at_once_are_resampled_and_augmented(tmp_path, songs):
    cuts, rate = songs
    suffixes = ("wav", "flac", "ogg", "wav")
    roots = [
        write_layout(tmp_path / layout, layout, suffix, cuts, rate)
        for layout, suffix in zip(LAYOUTS, suffixes, strict=True)
    ]
    config = config_with_everything(",".join(map(str, roots)))
    config.data.weights = (1.0, 2.0, 1.0, 3.0)
    batch = batch_of(open_tracks(config, "train", tmp_path), config.data, rate // 2, 24)
    assert batch.shape == (24, 2, CHUNK, 2) and batch.dtype == np.float32
    assert np.isfinite(batch).all() and np.abs(batch).max() < 4
    assert batch[:, 1].any(axis=(1, 2)).all()
    assert batch[:, 0].any(axis=(1, 2)).mean() > 0.5  # some are dropped


def test_a_piece_at_another_rate_is_that_piece_of_the_whole_at_that_rate(tmp_path, songs):
    cuts, rate = songs
    write_layout(tmp_path, "musdb", "wav", cuts, rate)
    (track, *_) = open_split(tmp_path, "train")
    for other in (48_000, 16_000):
        whole = files.resample(cuts[0]["vocals"], rate, other)
        np.testing.assert_allclose(
            track.read_stem("vocals", other // 3, other // 2, other, 2), whole[other // 3 :][: other // 2], atol=1e-4
        )
