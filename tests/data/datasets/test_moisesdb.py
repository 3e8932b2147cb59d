"""MoisesDB: descriptions, several files per stem, eleven stems summed to four."""

import json

import numpy as np
import pytest

from diffvs_jax.data.datasets import MoisesDB, list_tracks, open_dataset
from diffvs_jax.errors import InputError
from tests.data.layouts import RATE, noise, write_moisesdb

# What the moisesdb package calls mix_4_stems, stem by stem.
FOUR_OF_ELEVEN = {
    "vocals": ["vocals"],
    "bass": ["bass"],
    "drums": ["drums"],
    "other": [
        "other",
        "guitar",
        "other_plucked",
        "percussion",
        "piano",
        "other_keys",
        "bowed_strings",
        "wind",
    ],
}
ELEVEN = [stem for stems in FOUR_OF_ELEVEN.values() for stem in stems]


@pytest.fixture(scope="module")
def audio():
    """Two takes of each of the eleven stems, of lengths of their own."""
    return {stem: [noise(2 * n, 300 + 10 * n), noise(2 * n + 1, 350)] for n, stem in enumerate(ELEVEN)}


@pytest.fixture(scope="module")
def root(tmp_path_factory, audio):
    """Three tracks of two providers: all stems, a stem that is listed twice, and no vocals."""
    root = tmp_path_factory.mktemp("moisesdb")
    write_moisesdb(root / "provider-a" / "id-1", audio.items(), artist="Ä", song="All")
    drums = [("drums", audio["drums"][:1]), ("other_keys", audio["other_keys"]), ("drums", audio["drums"][1:])]
    write_moisesdb(root / "provider-a" / "id-2", [*drums, ("vocals", audio["vocals"])], artist="B", song="Twice")
    write_moisesdb(root / "provider-b" / "id-3", [("piano", audio["piano"])], artist="C", song="Instrumental")
    return root


def total(*takes):
    """The sum of audio of several lengths, each from the beginning, in float64."""
    length = max(map(len, takes))
    return sum(np.pad(take.astype(np.float64), ((0, length - len(take)), (0, 0))) for take in takes)


def tracks_of(root, names=None):
    return {track.name: track for track in list_tracks(MoisesDB(root), "train", names).tracks}


def test_the_folder_is_recognised_at_both_depths(root):
    assert isinstance(open_dataset(root), MoisesDB)
    assert isinstance(open_dataset(root / "provider-a"), MoisesDB)
    assert len(open_dataset(root / "provider-a").entries("train")) == 2


def test_tracks_are_named_by_artist_and_song(root):
    assert list(tracks_of(root)) == ["Ä - All", "B - Twice", "C - Instrumental"]


@pytest.mark.parametrize("stem", FOUR_OF_ELEVEN)
def test_eleven_stems_are_summed_to_four_as_the_moisesdb_package_does(root, audio, stem):
    track = tracks_of(root)["Ä - All"]
    assert sorted(track.stems) == sorted(FOUR_OF_ELEVEN)
    wanted = total(*(take for part in FOUR_OF_ELEVEN[stem] for take in audio[part]))
    np.testing.assert_allclose(track.load_stem(stem)[0], wanted, atol=1e-5)
    np.testing.assert_allclose(track.read_stem(stem, 100, 200, RATE, 2), wanted[100:300], atol=1e-5)


def test_a_stem_that_is_listed_twice_is_summed(root, audio):
    track = tracks_of(root)["B - Twice"]
    assert list(track.stems) == ["drums", "other", "vocals"]
    np.testing.assert_allclose(track.load_stem("drums")[0], total(*audio["drums"]), atol=1e-6)
    np.testing.assert_allclose(track.load_stem("other")[0], total(*audio["other_keys"]), atol=1e-6)


def test_what_ends_early_is_silent_after_its_end(root, audio):
    track = tracks_of(root)["Ä - All"]
    assert track.seconds == 400 / RATE and not track.whole
    assert not track.read_stem("vocals", 350, 50, RATE, 2).any()


def test_a_track_need_not_have_vocals(root):
    assert list(tracks_of(root)["C - Instrumental"].stems) == ["other"]


def test_stems_can_be_summed_otherwise(root, audio):
    nine = {stem: "other" if stem in ("wind", "piano") else stem for stem in ELEVEN}
    track = tracks_of(root, nine)["Ä - All"]
    assert set(track.stems) == set(nine.values())
    wanted = total(*audio["other"], *audio["wind"], *audio["piano"])
    np.testing.assert_allclose(track.load_stem("other")[0], wanted, atol=1e-5)
    np.testing.assert_allclose(track.load_stem("guitar")[0], total(*audio["guitar"]), atol=1e-5)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ({"percussion": "drums"}, {"drums": ["drums", "percussion"]}),
        ({"guitar": "guitar"}, {"guitar": ["guitar"], "bass": ["bass"]}),
        ({"other": "accompaniment"}, {"accompaniment": FOUR_OF_ELEVEN["other"]}),
        ({"other": "accompaniment", "wind": "bass"}, {"bass": ["bass", "wind"]}),
        ({"vocals": "bass", "bass": "vocals"}, {"vocals": ["bass"], "bass": ["vocals"]}),
        ({"choir": "vocals"}, FOUR_OF_ELEVEN),
    ],
)
def test_renaming_knows_the_eleven_stems_and_the_four(root, audio, names, wanted):
    track = tracks_of(root, names)["Ä - All"]
    for stem, parts in wanted.items():
        takes = [take for part in parts for take in audio[part]]
        np.testing.assert_allclose(track.load_stem(stem)[0], total(*takes), atol=1e-5)
    assert sum(len(paths) for paths in track.stems.values()) == 22


@pytest.mark.parametrize("name", ["B - Twice", "id-2"])
def test_validation_tracks_go_by_name_or_id(root, name):
    dataset = open_dataset(root, valid_tracks=[name, "another data set's"])
    assert dataset.splits() == ["train", "valid"]
    assert [track.name for track in list_tracks(dataset, "valid").tracks] == ["B - Twice"]
    assert [track.name for track in list_tracks(dataset, "train").tracks] == ["Ä - All", "C - Instrumental"]


def test_without_validation_tracks_of_its_own_there_is_no_such_split(root):
    assert open_dataset(root).splits() == ["train"]
    assert open_dataset(root, valid_tracks=["another data set's"]).splits() == ["train"]
    with pytest.raises(InputError, match=r"has no split 'test', all its tracks are 'train'"):
        open_dataset(root).entries("test")


DESCRIPTIONS = {
    "no json": ("{", r"data\.json: cannot be read \("),
    "no text": (b"\xff\xfe\xfd", r"data\.json: cannot be read \("),
    "a list": ("[]", r"data\.json: is not a MoisesDB description"),
    "a number": ("3", r"data\.json: is not a MoisesDB description"),
    "no stems": ('{"song": "S"}', r"data\.json: is not a MoisesDB description \(KeyError\('stems'\)\)"),
    "stems by name": ('{"stems": {"vocals": []}}', r"data\.json: is not a MoisesDB description"),
    "no files": ('{"stems": [{"stemName": "vocals"}]}', r"description \(KeyError\('tracks'\)\)"),
    "a nameless file": ('{"stems": [{"stemName": "vocals", "tracks": [{"id": "a"}]}]}', r"KeyError\('extension'\)"),
    "a nameless stem": ('{"stems": [{"stemName": null, "tracks": [{"id": "a", "extension": "wav"}]}]}', "TypeError"),
    "nothing": ('{"stems": []}', "has no stems"),
    "a missing file": (
        '{"stems": [{"stemName": "vocals", "tracks": [{"id": "gone", "extension": "wav"}]}]}',
        r"vocals/gone\.wav: no such file",
    ),
}


@pytest.mark.parametrize(("content", "words"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_broken_track_is_a_problem_in_one_line_and_the_others_are_listed(tmp_path, content, words):
    write_moisesdb(tmp_path / "p" / "good", [("vocals", [noise(0)]), ("bass", [noise(1)])])
    bad = write_moisesdb(tmp_path / "p" / "bad", [("vocals", [noise(2)])]) / "data.json"
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    tracks, problems = list_tracks(open_dataset(tmp_path), "train")
    assert [track.name for track in tracks] == ["Artist - Song"]
    (problem,) = problems
    assert "\n" not in problem
    with pytest.raises(InputError, match=words):
        raise InputError(problem)


def test_a_description_without_names_has_the_packages_defaults(root, tmp_path):
    folder = write_moisesdb(tmp_path / "p" / "id", [("vocals", [noise(0)])])
    description = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({"stems": description["stems"]}))
    assert list(tracks_of(tmp_path)) == [" - untitled"]
