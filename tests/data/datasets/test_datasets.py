import numpy as np
import pytest
import soundfile

from diffvs_jax.data import datasets
from diffvs_jax.errors import InputError

RATE = 8000


def write(path, num_samples=800, channels=2, rate=RATE, value=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((num_samples, channels), value, np.float32), rate)
    return path


def test_layout_becomes_tracks_sorted_by_name(tmp_path):
    for name in ("b song", "a song"):
        for stem in ("vocals.wav", "drums.flac", "choir.wav", "mixture.wav"):
            write(tmp_path / "train" / name / stem)
    write(tmp_path / "test" / "c song" / "vocals.wav")
    tracks = datasets.open_split(tmp_path, "train")
    assert [track.name for track in tracks] == ["a song", "b song"]
    assert list(tracks[0].stems) == ["choir", "drums", "vocals"]
    assert tracks[0].stems["drums"] == (tmp_path / "train" / "a song" / "drums.flac",)
    assert tracks[0].mixture == tmp_path / "train" / "a song" / "mixture.wav"


def test_what_is_no_stem_is_passed_over(tmp_path):
    folder = tmp_path / "train" / "song"
    for stem in ("vocals.WAV", "bass.wav"):
        write(folder / stem)
    for name in (".DS_Store", "._vocals.wav", "cover.jpg", "lyrics.txt"):
        (folder / name).write_bytes(b"not audio")
    (folder / "takes.wav").mkdir()
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "README.txt").write_text("about")
    (track,) = datasets.open_split(tmp_path, "train")
    assert list(track.stems) == ["bass", "vocals"]
    assert track.mixture is None


def test_listing_decodes_no_audio(tmp_path, monkeypatch):
    write(tmp_path / "train/song/vocals.wav")

    def refuse(*_, **__):
        raise AssertionError("samples were read")

    monkeypatch.setattr(soundfile.SoundFile, "read", refuse)
    assert len(datasets.open_split(tmp_path, "train")) == 1


def test_missing_root_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such .*expected .*nowhere/train/TRACK/vocals\.wav"):
        datasets.open_split(tmp_path / "nowhere", "train")


def test_missing_split_says_what_was_found_and_expected(tmp_path):
    write(tmp_path / "training/song/vocals.wav")
    with pytest.raises(InputError, match=r"no split 'train' \(found training\); expected .*/train/TRACK/"):
        datasets.open_split(tmp_path, "train")


def test_split_without_tracks_says_so(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "song.stem.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"split 'train' holds no tracks; expected .*mp4 files are not read"):
        datasets.open_split(tmp_path, "train")


def test_folder_without_stems_is_named(tmp_path):
    write(tmp_path / "train/song/mixture.wav")
    with pytest.raises(InputError, match=r"train/song: holds no stems; add files"):
        datasets.open_split(tmp_path, "train")


def test_two_files_for_one_stem_are_named(tmp_path):
    write(tmp_path / "train/song/vocals.wav")
    write(tmp_path / "train/song/vocals.flac")
    with pytest.raises(InputError, match=r"both vocals\.flac and vocals\.wav; keep one"):
        datasets.open_split(tmp_path, "train")


@pytest.mark.parametrize("content, message", [(b"garbage", "not an audio file"), (None, "holds no samples")])
def test_unusable_stem_is_named(tmp_path, content, message):
    path = write(tmp_path / "train/song/vocals.wav", num_samples=0)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"song/vocals\.wav: {message}"):
        datasets.open_split(tmp_path, "train")


def dataset_of(root, *places, **options):
    """The data set in a folder of small audio files."""
    for place in places:
        write(root / place)
    return datasets.open_dataset(root, **options)


@pytest.mark.parametrize(
    ("places", "kind"),
    [
        (("train/song/vocals.wav",), datasets.Musdb),
        (("takes/song/vocals.flac",), datasets.Musdb),
        (("song/vocals.wav", "another/bass.wav"), datasets.StemFolders),
        (("vocals/a.wav", "instrumental/b.wav"), datasets.Pools),
        (("vocals/album/a.wav", "vocals/b.ogg"), datasets.Pools),
    ],
)
def test_the_kind_is_known_by_what_lies_there(tmp_path, places, kind):
    assert type(dataset_of(tmp_path, *places)) is kind


def test_a_description_makes_it_moisesdb(tmp_path):
    write(tmp_path / "provider" / "id" / "vocals" / "a.wav")
    (tmp_path / "provider" / "id" / "data.json").write_text("{}")
    assert type(datasets.open_dataset(tmp_path)) is datasets.MoisesDB


@pytest.mark.parametrize("kind", datasets.KINDS)
def test_a_kind_that_is_named_is_taken(tmp_path, kind):
    assert type(dataset_of(tmp_path, "train/song/vocals.wav", kind=kind)) is datasets.KINDS[kind]


def test_a_kind_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match=r"kind 'moises' is none of moisesdb, pools, musdb, stems$"):
        datasets.open_dataset(tmp_path, "moises")


def test_a_folder_of_nothing_known_names_the_layouts(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"looks like no data set; known layouts are moisesdb: .*stems: TRACK/STEM"):
        datasets.open_dataset(tmp_path)


def test_a_listing_keeps_what_is_good_and_says_what_is_wrong(tmp_path):
    for name in ("a", "b", "c"):
        write(tmp_path / "train" / name / "vocals.wav")
    (tmp_path / "train" / "b" / "vocals.wav").write_bytes(b"garbage")
    tracks, problems = datasets.list_tracks(datasets.open_dataset(tmp_path), "train")
    assert [track.name for track in tracks] == ["a", "c"]
    assert len(problems) == 1 and "b/vocals.wav: not an audio file" in problems[0]
