"""Songs some of whose instruments a soundfont plays: what fluidsynth is given, and what is made of its output."""

import itertools
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diffvs_jax.data.source import open_tracks
from diffvs_jax.data.synthetic import STEMS, leads, render_song, sound, soundfont, structure, write_corpus
from diffvs_jax.data.synthetic import __main__ as command
from diffvs_jax.data.synthetic.frame import Note, Studio
from diffvs_jax.errors import InputError
from tests import nano

REAL = [Path("/usr/share/sounds/sf2") / name for name in ("FluidR3_GM.sf2", "TimGM6mb.sf2", "default-GM.sf2")]
REAL = [os.environ.get("DIFFVS_SOUNDFONT", ""), *(str(path) for path in REAL if path.is_file())]
REAL_SOUNDFONT = next((path for path in REAL if path), "")
FAKE = """#!/bin/sh
printf '%s\\n' "$@" > "{folder}/arguments"
while [ $# -gt 2 ]; do [ "$1" = -F ] && out=$2; shift; done
cp "$2" "{folder}/notes.mid" && cp "{folder}/known.wav" "$out"
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Path of a soundfont; the fluidsynth on PATH writes ``known.wav``, one second with its left channel louder."""
    folder = tmp_path / "fake"
    folder.mkdir()
    wave = 0.3 * np.sin(2 * np.pi * 220 * np.arange(44_100) / 44_100)
    soundfile.write(folder / "known.wav", np.stack([wave, wave / 3], axis=1), 44_100, subtype="FLOAT")
    program(folder, FAKE.format(folder=folder))
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    path = folder / "small.sf2"
    path.write_bytes(b"RIFF\4\0\0\0sfbk")
    return str(path)


def program(folder, text):
    (folder / "fluidsynth").write_text(text)
    (folder / "fluidsynth").chmod(0o755)


def parse(content):
    """Events (tick, message) of a MIDI file of one track without running status."""
    assert content[:14] == b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1]) + (1000).to_bytes(2, "big")
    assert content[14:18] == b"MTrk"
    assert int.from_bytes(content[18:22], "big") == len(content) - 22
    events, tick, at = [], 0, 22
    while at < len(content):
        delta = 0
        while True:
            delta = delta << 7 | content[at] & 127
            at += 1
            if content[at - 1] < 128:
                break
        tick += delta
        kind = content[at]
        length = 3 + content[at + 2] if kind == 0xFF else {0xC0: 2}.get(kind, 3)
        events.append((tick, content[at : at + length]))
        at += length
    return events


def test_a_midi_file_says_what_is_played():
    notes = [Note(1.0, 0.5, 60, 1.0), Note(-0.25, 2.0, 60, 0.5), Note(1.0, 9.0, 64.4, 0.0), Note(3.0, 1.0, 70)]
    events = parse(soundfont.midi_file(notes, 33, 0.25, 3.0, -1.0, None))
    assert events[0] == (0, bytes([0xFF, 0x51, 3]) + (1_000_000).to_bytes(3, "big"))  # a tick is a millisecond
    assert events[1:6] == [
        (0, bytes(each)) for each in ((192, 33), (176, 10, 1), (176, 101, 0), (176, 100, 0), (176, 6, 12))
    ]
    assert events[6:-1] == [
        (0, bytes([0x90, 60, 55])),
        (1250, bytes([0x80, 60, 0])),  # it is let go before it is struck again
        (1250, bytes([0x90, 60, 110])),
        (1250, bytes([0x90, 64, 1])),
        (1750, bytes([0x80, 60, 0])),
        (10_250, bytes([0x80, 64, 0])),
    ]
    assert events[-1] == (10_250, b"\xff\x2f\x00")


def test_the_wheel_moves_in_semitones_from_the_songs_begin():
    wheel = np.array([0.0, 0.0, 6.0, 6.0, -12.0, 40.0])
    events = parse(soundfont.midi_file([], 0, 0.5, 1.0, 0.0, wheel))
    moves = [(tick, message[1] + 128 * message[2] - 8192) for tick, message in events if message[0] == 0xE0]
    assert moves == [(510, 4096), (520, -8192), (525, 8191)]
    assert events[-1] == (1500, b"\xff\x2f\x00")


@pytest.mark.parametrize("num_channels", [1, 2])
def test_output_is_cut_resampled_and_padded(fake, num_channels):
    studio = Studio(8000, 8000, num_channels, fake, 5)
    audio = soundfont.play([Note(-0.25, 1.0, 57)], studio, 0.5)
    assert audio.shape == (8000, num_channels)
    assert audio.dtype == np.float32
    time = 0.25 + np.arange(8000) / 8000
    wanted = 0.3 * np.sin(2 * np.pi * 220 * time)[:, None] * ([2 / 3] if num_channels == 1 else [1, 1 / 3])
    np.testing.assert_allclose(audio[100:5900], wanted[100:5900], atol=2e-3)
    assert not audio[6000:].any()
    folder = Path(fake).parent
    arguments = (folder / "arguments").read_text().splitlines()
    assert "".join(arguments[:5]) == "-ni-q-R0-C" and arguments[-2] == fake
    events = parse((folder / "notes.mid").read_bytes())
    assert (0, bytes([0xC0, 5])) in events
    assert (0, bytes([0xB0, 10, 64 if num_channels == 1 else 96])) in events


def test_a_lead_is_notes_and_a_wheel_that_follow_its_line(fake):
    frame = structure.draw_frame(np.random.default_rng(0), 2.0)
    line = leads.write_line(np.random.default_rng(1), frame, leads.Habit(26, 40, 0.4, 0.02, 0.01, 10.0))
    part = leads._sampled(line, 0.0, Studio(16_000, 8000, 1, fake, 73))
    assert part.shape == (16_000, 1)
    pitch, wheel, struck, errors = None, 0.0, [], []
    events = parse((Path(fake).parent / "notes.mid").read_bytes())
    for (tick, message), (following, _) in itertools.pairwise(events):
        if message[0] == 0xE0:
            wheel = (message[1] + 128 * message[2] - 8192) * 12 / 8192
        elif message[0] in (0x80, 0x90):
            pitch = message[1] if message[0] == 0x90 else None
            struck += [tick] if pitch else []
        if pitch and following > tick and tick < 2000:
            errors.append(pitch + wheel - line.pitch[round(tick * sound.CONTROL_RATE / 1000)])
    assert len(struck) >= 3 and len(errors) > 50
    assert np.abs(errors).max() < 0.01


def test_a_song_differs_in_what_the_soundfont_plays_alone(fake):
    changed = set()
    for seed in (1, 3):
        plain, sampled = render_song(seed, 0.8, 8000, 1), render_song(seed, 0.8, 8000, 1, fake)
        for name in STEMS:
            a, b = plain[name].ravel().astype(float), sampled[name].ravel().astype(float)
            if a @ b < 0.9999 * np.sqrt((a @ a) * (b @ b)):  # the mix may set another level
                changed.add(name)
        assert np.abs(sum(sampled.values())).max() <= 0.9
    assert changed == {"bass", "other"}
    again = render_song(3, 0.8, 8000, 1, fake)
    assert all(again[name].tobytes() == sampled[name].tobytes() for name in STEMS)


def test_without_a_soundfont_nothing_changes_and_nothing_is_run(monkeypatch):
    monkeypatch.setattr(soundfont.subprocess, "run", lambda *_, **__: pytest.fail("fluidsynth was run"))
    plain, empty = render_song(3, 0.5, 8000, 2), render_song(3, 0.5, 8000, 2, "")
    assert all(plain[name].tobytes() == empty[name].tobytes() for name in STEMS)


def test_some_instruments_are_played_and_none_of_them_sings():
    studio = Studio(10, 8000, 1)
    casts = [soundfont.cast(np.random.default_rng(seed), studio, "some.sf2") for seed in range(200)]
    assert 0.55 < np.mean([len(each) for each in casts]) / len(soundfont._PROGRAMS) < 0.65
    programs = {each.program for studios in casts for each in studios.values()}
    assert len(programs) > 60
    assert not programs & {52, 53, 54, 78, 85, 91, 94, 101, 102}
    assert soundfont.cast(np.random.default_rng(0), studio, "") == {}


def test_songs_of_a_soundfont_have_names_of_their_own(fake, tmp_path):
    for path in ("", fake, fake):
        write_corpus(tmp_path / "songs", "train", 1, 0.5, 8000, 1, 0, 1, soundfont=path)
    names = sorted(path.name for path in (tmp_path / "songs" / "train").iterdir())
    assert names == ["Procedural train 0-0000", "Procedural train 0-0000 sf small"]
    os.remove(fake)
    write_corpus(tmp_path / "songs", "train", 1, 0.5, 8000, 1, 0, 1, soundfont=fake)  # nothing is left to play


def test_a_config_names_the_soundfont(fake, tmp_path):
    config = nano.get_config()
    config.data.synthetic.seconds = 0.5
    config.data.synthetic.soundfont = fake
    assert [track.name for track in open_tracks(config, "train", tmp_path)] == ["Procedural train 0-0000 sf small"]


def test_what_cannot_be_played_is_told_in_a_line(fake, tmp_path, monkeypatch):
    def told(path, *parts):
        with pytest.raises(InputError) as error:
            render_song(0, 1.0, 8000, 1, str(path))
        assert "\n" not in str(error.value)
        assert all(part in str(error.value) for part in (str(path), *parts)), error.value

    told(tmp_path / "none.sf2", "no such soundfont", "give")
    (tmp_path / "text.sf2").write_text("not a soundfont")
    told(tmp_path / "text.sf2", "not a soundfont", "give")
    program(Path(fake).parent, "#!/bin/sh\necho 'fluidsynth: error: no\nmore' >&2\n")
    told(fake, "fluidsynth: error: no", "give another")
    program(Path(fake).parent, "#!/bin/sh\nexit 3\n")
    told(fake, "exit code 3")
    monkeypatch.setenv("PATH", str(tmp_path))
    told(fake, "needs the program fluidsynth", "install it")


def test_the_command_line_tells_it_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["synthetic", f"--output={tmp_path}", "--soundfont=none.sf2"])
    with pytest.raises(SystemExit) as error:
        command.main()
    assert error.value.code == 2
    assert "none.sf2: no such soundfont; give the path" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    not (REAL_SOUNDFONT and shutil.which("fluidsynth")),
    reason="needs fluidsynth and a soundfont in /usr/share/sounds/sf2, or at the path in DIFFVS_SOUNDFONT",
)
def test_a_real_soundfont_plays_in_tune_and_in_time():
    rate = 16_000
    studio = Studio(rate, rate, 2, REAL_SOUNDFONT, 16)  # an organ
    notes = [Note(-0.3, 0.5, 57, 0.8), Note(0.5, 0.4, 69, 0.8)]
    audio = soundfont.play(notes, studio, -1.0)
    assert audio.tobytes() == soundfont.play(notes, studio, -1.0).tobytes()
    power = np.mean(audio**2, axis=0)
    assert power[0] > 2 * power[1] > 0
    loudness = np.sqrt(np.mean(audio.reshape(20, -1) ** 2, axis=1))
    assert loudness[:3].min() > 0.1 * loudness.max() and loudness[11:17].min() > 0.1 * loudness.max()
    assert loudness[8:10].max() < 0.1 * loudness.max()
    second = np.abs(np.fft.rfft(audio[int(0.55 * rate) : int(0.85 * rate), 0], rate))  # bins of 1 Hz
    low = second[400:480]
    assert abs(400 + np.argmax(low) - 440) <= 2
    bent = soundfont.play(notes, studio, -1.0, np.full(204, 2.0))
    high = np.abs(np.fft.rfft(bent[int(0.55 * rate) : int(0.85 * rate), 0], rate))[450:540]
    assert abs(450 + np.argmax(high) - 493.9) <= 2
