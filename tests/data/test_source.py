"""Tracks that a config asks for: one folder or several with weights, and what cannot be used."""

import shutil

import numpy as np
import pytest

from configs.base import get_config
from diffvs_jax.data.examples import ExampleSpec, Pool
from diffvs_jax.data.pipeline import training_batches
from diffvs_jax.data.source import open_tracks
from diffvs_jax.errors import InputError
from tests.data.layouts import RATE, data_config, level, noise, write, write_moisesdb, write_stems

FIRST, SECOND = 3, 5  # tracks in each of two folders


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Two folders of stems; the vocals of track n of them all are n + 1, the bass is as much below zero."""
    folder = tmp_path_factory.mktemp("roots")
    for n in range(FIRST + SECOND):
        root = folder / ("first" if n < FIRST else "second")
        write_stems(root / f"track {n}", {"vocals": level(n + 1), "bass": level(-n - 1)})
    return [folder / "first", folder / "second"]


def config_of(roots, **changes):
    config = get_config()
    config.data = data_config(",".join(map(str, roots)), **changes)
    return config


def open_names(config, split="train", log=None):
    return [track.name for track in open_tracks(config, split, "nowhere", log=log)]


def test_without_weights_every_track_is_visited_once_an_epoch(roots):
    tracks = open_tracks(config_of(roots), "train", "nowhere")
    assert [track.weight for track in tracks] == [1.0] * 8
    pool = Pool(tracks, ExampleSpec(("vocals",), 10, RATE, 1))
    epochs = np.array([pool.epoch_order(0, epoch) for epoch in range(50)])
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(8), (50, 1)))
    assert len({tuple(epoch) for epoch in epochs}) > 45


WEIGHTS = [(1.0, 1.0), (2.0, 1.0), (0.1, 0.9), (3, 0.0005)]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_epochs_visit_tracks_as_their_weight_says(roots, weights):
    tracks = open_tracks(config_of(roots, weights=weights), "train", "nowhere")
    per_track = [weights[0] / FIRST] * FIRST + [weights[1] / SECOND] * SECOND
    wanted = 8 * np.array(per_track) / sum(weights)
    np.testing.assert_allclose([track.weight for track in tracks], wanted)
    pool = Pool(tracks, ExampleSpec(("vocals",), 10, RATE, 1))
    epochs = [pool.epoch_order(0, epoch) for epoch in range(1000)]
    visits = np.array([np.bincount(epoch, minlength=8) for epoch in epochs])
    assert (visits.sum(axis=1) == 8).all()
    assert (visits >= np.floor(wanted - 1e-9)).all() and (visits <= np.ceil(wanted + 1e-9)).all()
    # A fraction f of a visit has a standard deviation of sqrt(f (1 - f)) <= 1/2; five of the mean's.
    np.testing.assert_allclose(visits.mean(axis=0), wanted, atol=5 * 0.5 / np.sqrt(1000))
    assert len({tuple(epoch) for epoch in epochs}) > 50


@pytest.mark.parametrize("remix_probability", [0.0, 1.0])
def test_shares_of_examples_match_the_weights_row_by_row(roots, remix_probability):
    config = config_of(roots, weights=(3, 1), remix_probability=remix_probability)
    tracks = open_tracks(config, "train", "nowhere")
    sizes = {"batch_size": 1600, "chunk_samples": 10, "sample_rate": RATE, "num_channels": 1, "seed": 5}
    batch = next(training_batches(tracks, config.data, **sizes))
    vocals, bass = (np.round(np.abs(batch[:, row, 0, 0])) for row in (0, 1))
    assert (np.mean(vocals == bass) == 1) == (remix_probability == 0)
    for row in (vocals, bass):
        assert np.mean(row <= FIRST) == pytest.approx(0.75, abs=5 * np.sqrt(0.75 * 0.25 / 1600))
    assert len(set(vocals)) == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": (1.0,)}, r"data\.weights has 1 numbers for 2 folders in data\.root"),
        ({"weights": (1.0, 0.0)}, r"data\.weights is \(1\.0, 0\.0\); give numbers above zero"),
        ({"weights": (1.0, float("nan"))}, "give numbers above zero"),
        ({"targets": ()}, "name at least one stem"),
        ({"rename_stems": ("bass",)}, r"data\.rename_stems holds 'bass='; give FROM=TO"),
        ({"rename_stems": ("=bass",)}, r"data\.rename_stems holds '=bass'; give FROM=TO"),
    ],
)
def test_settings_that_cannot_be_are_named(roots, changes, words):
    with pytest.raises(InputError, match=words) as caught:
        open_tracks(config_of(roots, **changes), "train", "nowhere")
    assert "\n" not in str(caught.value)


def test_a_folder_named_twice_counts_twice(roots):
    first = roots[0]
    tracks = open_tracks(config_of([first, first], weights=(1.0, 3.0)), "train", "nowhere")
    assert [track.weight for track in tracks] == [0.5] * 3 + [1.5] * 3
    assert len(open_tracks(config_of([first, first]), "train", "nowhere")) == 6


def test_blanks_between_folders_are_no_part_of_them(roots):
    config = config_of([])
    config.data.root = f" {roots[0]} , {roots[1]},"
    assert len(open_names(config)) == 8


def test_a_kind_before_the_colon_is_taken(tmp_path, roots):
    write(tmp_path / "train" / "a" / "vocals.wav", level(0.1))
    write(tmp_path / "train" / "a" / "bass.wav", level(0.1))
    assert open_names(config_of([tmp_path])) == ["a"]
    assert open_names(config_of([f"musdb:{tmp_path}"])) == ["a"]
    assert open_names(config_of([f"stems:{tmp_path / 'train'}", f"stems:{roots[0]}"])) == ["a"] + [
        f"track {n}" for n in range(FIRST)
    ]
    with pytest.raises(InputError, match="has no split 'valid'"):
        open_names(config_of([f"stems:{tmp_path / 'train'}"]), "valid")
    with pytest.raises(InputError, match=rf"^mus:{tmp_path}: no such data set folder"):
        open_names(config_of([f"mus:{tmp_path}"]))


def test_a_folder_whose_name_holds_a_colon_is_a_folder(tmp_path):
    write_stems(tmp_path / "my: set" / "a", {"vocals": level(0.1), "bass": level(0.1)})
    assert open_names(config_of([tmp_path / "my: set"])) == ["a"]


def test_stems_are_renamed_in_every_folder(tmp_path):
    write_stems(tmp_path / "own" / "a", {"voice": noise(0), "perc": noise(1)})
    stems = [("vocals", [noise(2)]), ("percussion", [noise(3)]), ("guitar", [noise(4)])]
    write_moisesdb(tmp_path / "moises" / "p" / "id", stems)
    config = config_of([tmp_path / "own", tmp_path / "moises"], targets=("vocals", "drums"))
    config.data.rename_stems = ("voice=vocals", "perc=drums", "percussion=drums")
    tracks = open_tracks(config, "train", "nowhere")
    assert [list(track.stems) for track in tracks] == [["drums", "vocals"], ["drums", "other", "vocals"]]
    np.testing.assert_array_equal(tracks[1].load_stem("drums")[0], noise(3))


@pytest.fixture
def damaged(tmp_path, roots):
    """The first folder with a track that cannot be read and one without vocals."""
    shutil.copytree(roots[0], tmp_path / "first")
    (tmp_path / "first" / "track 1" / "bass.wav").write_bytes(b"garbage")
    (tmp_path / "first" / "track 2" / "vocals.wav").unlink()
    return [tmp_path / "first", roots[1]]


def test_what_cannot_be_used_is_left_out_with_a_line_each(damaged):
    lines: list[str] = []
    config = config_of(damaged)
    assert open_names(config, log=lines.append) == ["track 0"] + [f"track {n}" for n in range(3, 8)]
    assert len(lines) == 2 and all(line.startswith("left out: ") and "\n" not in line for line in lines)
    assert "track 1/bass.wav: not an audio file" in lines[0]
    assert "track 'track 2' has no stem 'vocals' (it has bass)" in lines[1]


def test_shares_are_of_the_tracks_that_can_be_used(damaged):
    tracks = open_tracks(config_of(damaged, weights=(1, 1)), "train", "nowhere")
    assert [track.weight for track in tracks] == pytest.approx([3.0] + 5 * [0.6])


def test_strict_stops_at_the_first_of_them(damaged):
    with pytest.raises(InputError, match=r"^2 tracks cannot be used \(data\.strict\): .*bass\.wav: not an audio"):
        open_names(config_of(damaged, strict=True))


def test_a_folder_without_any_usable_track_is_an_error(damaged):
    shutil.rmtree(damaged[0] / "track 0")
    with pytest.raises(InputError, match=r"first: none of its tracks can be used; .*bass\.wav: not an audio"):
        open_names(config_of(damaged))


@pytest.fixture
def with_test_set(tmp_path):
    for place in ("train/a", "test/b", "train/Leaf - Summerghost"):
        write_stems(tmp_path / place, {"vocals": level(0.1), "bass": level(0.1)})
    return tmp_path


def test_a_split_need_not_be_in_every_folder(with_test_set, roots):
    mixed = [roots[0], with_test_set]
    assert len(open_names(config_of(mixed))) == 4
    assert open_names(config_of(mixed, weights=(1, 2)), "test") == ["b"]
    assert open_names(config_of(mixed), "valid") == ["Leaf - Summerghost"]
    assert open_tracks(config_of(mixed, weights=(1, 2)), "test", "nowhere")[0].weight == 1
    with pytest.raises(InputError, match="has no split 'test'"):
        open_names(config_of(roots), "test")


def test_validation_tracks_may_all_be_of_one_folder(with_test_set, roots):
    config = config_of([*roots, with_test_set], valid_tracks=("track 4", "track 6"))
    assert open_names(config, "valid") == ["track 4", "track 6"]
    assert len(open_names(config)) == 8


def test_a_training_split_must_be_in_every_folder(tmp_path, roots):
    write_stems(tmp_path / "test" / "a", {"vocals": level(0.1), "bass": level(0.1)})
    with pytest.raises(InputError, match=r"has no split 'train' \(found test\)"):
        open_names(config_of([roots[0], tmp_path]))


def test_procedural_songs_have_three_splits(tmp_path):
    with pytest.raises(InputError, match=r"no split 'dev' \(data\.root is empty\), but train, valid, test"):
        open_tracks(config_of([]), "dev", tmp_path)
    assert not any(tmp_path.iterdir())


def test_tracks_of_a_pool_or_of_moisesdb_may_lack_the_targets(tmp_path):
    write(tmp_path / "pools" / "vocals" / "a.wav", level(0.1))
    write(tmp_path / "pools" / "instrumental" / "b.wav", level(0.1))
    write_moisesdb(tmp_path / "moises" / "p" / "id", [("piano", [noise(0)])])
    config = config_of([tmp_path / "pools", tmp_path / "moises"], strict=True)
    assert open_names(config) == ["instrumental/b", "vocals/a", "Artist - Song"]
