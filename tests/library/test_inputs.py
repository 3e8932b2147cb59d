from pathlib import Path

import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.library.inputs import Song, find_songs


@pytest.fixture
def music(tmp_path, monkeypatch):
    """A folder with songs at several depths, and things that are none."""
    for name in (
        "b.wav",
        "a.flac",
        "album [2020]/01. Intro.mp3",
        "album [2020]/02 what?.MP3",
        "album [2020]/cover.jpg",
        "album [2020]/disc 2/c.m4a",
        "notes.txt",
        ".hidden.wav",
        "._b.wav",
        ".cache/d.wav",
    ):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "music" / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "music"


def names(*arguments, **options):
    return [song.name for song in find_songs([str(argument) for argument in arguments], **options)]


ALL = ["a", "album [2020]/01. Intro", "album [2020]/02 what?", "album [2020]/disc 2/c", "b"]


def test_files_are_named_by_their_stems_in_the_order_given(music):
    songs = find_songs([str(music / "b.wav"), str(music / "notes.txt"), str(music / "album [2020]" / "02 what?.MP3")])
    assert songs[0] == Song(music / "b.wav", "b")
    assert [song.name for song in songs] == ["b", "notes", "02 what?"]


def test_a_folder_is_mirrored_without_hidden_and_other_files(music):
    songs = find_songs([str(music)])
    assert [song.name for song in songs] == ALL
    assert all(song.path.is_file() and song.path.is_relative_to(music) for song in songs)
    assert names("music") == names("music/") == names("./music") == ALL


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("music/*.wav", ["b"]),
        ("music/*", ["a", "b"]),
        ("music/**/*.mp3", ["album [2020]/01. Intro"]),
        ("music/**/*.[mM][pP]3", ["album [2020]/01. Intro", "album [2020]/02 what?"]),
        ("music/**", ALL),
        ("music/**/disc*/*", ["album [2020]/disc 2/c"]),
        ("music/*/**/c.*", ["album [2020]/disc 2/c"]),
        ("music/album [2020]/*.mp3", ["01. Intro"]),
        ("music/album [2020]/**/*.m4a", ["disc 2/c"]),
        ("*/?.wav", ["music/b"]),
    ],
)
def test_patterns_are_named_below_their_first_wildcard(music, pattern, expected):
    assert names(pattern) == expected
    absolute = [name.removeprefix("music/") for name in names(str(music.parent / pattern))]
    assert absolute == [name.removeprefix("music/") for name in expected]


def test_standard_input_is_a_song(music):
    assert find_songs(["-", "music/b.wav"]) == [Song(Path("-"), "stdin"), Song(Path("music/b.wav"), "b")]


def test_a_song_that_is_named_twice_is_one(music):
    assert names("music/b.wav", "music", music / "b.wav") == ["b", *ALL[:-1]]


def test_songs_of_one_name_keep_their_suffixes(music):
    (music / "b.ogg").write_bytes(b"")
    (music / "B.mp3").write_bytes(b"")
    assert names(music) == ["B.mp3", *ALL[:-1], "b.ogg", "b.wav"]


def test_songs_that_would_overwrite_each_other_are_named(music):
    for folder in ("x", "y"):
        (music / folder).mkdir()
        (music / folder / "song.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"x/song.wav and .*y/song.wav would both be written to 'song.wav'"):
        names("music/x/song.wav", "music/y/song.wav")
    assert names("music/*/song.wav") == ["x/song", "y/song"]


def test_links_in_circles_end(music):
    for name in ("loop", "loop 2", "album [2020]/up", "album [2020]/up 2"):
        (music / name).symlink_to(music, target_is_directory=True)
    assert names(music) == ALL
    assert names("music/**/*.wav") == ["b"]


def test_the_output_folder_is_passed_over(music):
    output = music / "separated"
    (output / "b").mkdir(parents=True)
    (output / "b" / "vocals.wav").write_bytes(b"")
    assert "separated/b/vocals" in names(music)
    for exclude in (output, "music/separated", Path("music/../music/separated")):
        assert names("music", exclude=exclude) == names("music/**/*", exclude=exclude) == ALL
    assert names(output / "b" / "vocals.wav", exclude=output) == ["vocals"]  # asked for by name
    for exclude in (music, music.parent):
        with pytest.raises(InputError, match="music: lies in the output folder"):
            names("music", exclude=exclude)


@pytest.mark.parametrize("argument", ["lost.wav", "music/lost", "album [2020]"])
def test_what_is_not_there_is_told(music, argument):
    with pytest.raises(InputError, match=r"no such file or folder|no audio files") as caught:
        find_songs([argument])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["silent", "silent/**/*.wav", "music/*.xyz", "music/**/*.txt"])
def test_folders_and_patterns_without_songs_are_told(music, argument):
    (music.parent / "silent").mkdir()
    with pytest.raises(InputError, match="no audio files there"):
        find_songs([argument])
