"""The audition command: what it writes, that it is seeded, and how it refuses."""

import numpy as np
import pytest
import soundfile
from matplotlib import image

from tests.commands.processes import CONFIG

RATE, CHUNK = 8000, 960  # of the nano model
EFFECTS = ("equaliser", "compression", "soft_clip", "reverb", "mono")


def audition(command, output, *flags):
    effects = [f"--config.data.augment.{name}_probability=0.5" for name in EFFECTS]
    return command("audition", f"--config={CONFIG}", f"--output={output}", *effects, *flags)


def read(path):
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert (audio.shape, rate) == ((CHUNK, 2), RATE)
    return audio


def test_examples_sum_to_their_mixtures_and_are_shown(command, musdb_folder, tmp_path):
    data = (f"--config.data.root={musdb_folder}", "--config.data.targets=('vocals', 'drums')")
    result = audition(command, tmp_path / "one", *data, "--num_examples=3")
    assert result.code == 0, result.err
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "contact_sheet.png",
        *(f"example_0{index}" for index in range(3)),
    ]
    for folder in (tmp_path / "one").glob("example_*"):
        stems = {path.stem: read(path) for path in folder.iterdir()}
        assert set(stems) == {"mixture", "vocals", "drums", "rest"}
        mixture = stems.pop("mixture")
        np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    assert image.imread(tmp_path / "one" / "contact_sheet.png").std() > 0.05
    told = result.out.splitlines()
    assert {line.split(":")[0].split(" ", 1)[1] for line in told[:3]} == {"song 0", "song 1", "song 2"}
    assert any(words in result.out for words in ("EQ", "compressed", "clipped", "reverb", "mono"))

    again = audition(command, tmp_path / "two", *data, "--num_examples=1")
    other = audition(command, tmp_path / "three", *data, "--num_examples=1", "--seed=1")
    lines = [text.out.splitlines()[0] for text in (result, again, other)]
    assert lines[0] == lines[1] != lines[2]
    first, same, different = (read(tmp_path / name / "example_00" / "mixture.wav") for name in ("one", "two", "three"))
    np.testing.assert_array_equal(first, same)
    assert (first != different).any()


def test_without_a_folder_songs_are_procedural(command, tmp_path):
    result = audition(command, tmp_path, "--num_examples=2")
    assert result.code == 0, result.err
    assert "Procedural train" in result.out
    assert (tmp_path / "example_01" / "vocals.wav").exists()


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--num_examples=0", "--num_examples=0: choose from 1 to 100"),
        ("--seed=-1", "--seed=-1: choose 0 or more"),
        ("--config.data.augment.reverb_probability=2", "data.augment.reverb_probability is 2.0; it must lie in [0, 1]"),
        ("--config.data.root=/nowhere", "/nowhere: no such data set folder"),
    ],
)
def test_mistakes_are_told_in_one_line(command, tmp_path, flag, words):
    result = audition(command, tmp_path / "new", flag)
    assert result.code == 2
    assert result.err.startswith("error: ") and words in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "new").exists()
