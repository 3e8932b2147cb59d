"""The separate command as a user meets it: any file in, exact files out; pipes, reports, refusals."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from tests.commands.processes import Result, assert_refused, environment, python_m
from tests.commands.sounds import read, write_wav
from tests.helpers import RATE

SEPARATE = (sys.executable, "-m", "diffvs_jax.separate")


def stems_of(folder, suffix="wav"):
    return [read(folder / f"{name}.{suffix}") for name in ("vocals", "instrumental")]


def report_of(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


# Every rate, number of channels and encoding, and every length with each of them in turn.
RATES = (8000, 11_025, 44_100, 48_000, 96_000, 192_000)
ENCODINGS = ("PCM_16", "PCM_24", "PCM_32", "FLOAT")
LENGTHS = (1, 2, 959, 5003)
SONGS = list(zip(RATES * 4, list(range(1, 9)) * 3, ENCODINGS * 6, np.repeat(LENGTHS, 6).tolist(), strict=True))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Songs of all kinds in a tree of folders, some of them with silence in it or nothing else."""
    root, rng = tmp_path_factory.mktemp("library"), np.random.default_rng(0)
    for number, (rate, channels, encoding, length) in enumerate(SONGS):
        folder = root / f"album {number % 3}"
        folder.mkdir(exist_ok=True)
        audio = 0.2 * rng.standard_normal((length, channels))
        soundfile.write(folder / f"{number}.wav", audio.clip(-1, 1), rate, subtype=encoding)
    soundfile.write(root / "silence.wav", np.zeros((20_000, 2)), 44_100)
    return root


def test_stems_are_exact_whatever_the_song(command, untrained, library, tmp_path):
    arguments = (library, f"--checkpoint={untrained}", f"--output={tmp_path}", "--json=-", "--steps=1")
    report = report_of(command("separate", *arguments))
    assert len(report["songs"]) == len(SONGS) + 1 == sum(song["status"] == "done" for song in report["songs"])
    for song in report["songs"]:
        audio, rate = read(song["path"])
        stems = stems_of(tmp_path / song["song"])
        assert all((stem.shape, stem_rate) == (audio.shape, rate) for stem, stem_rate in stems), song
        np.testing.assert_allclose(sum(stem for stem, _ in stems), audio, atol=1e-6)
        assert audio.any() or not any(stem.any() for stem, _ in stems)
        if len(audio) == LENGTHS[-1]:
            assert all(stem.any(axis=0).all() for stem, _ in stems), song
    assert (tmp_path / "album 1" / "1" / "vocals.wav").is_file() and (tmp_path / "silence" / "vocals.wav").is_file()
    again = report_of(command("separate", *arguments))
    assert {song["status"] for song in again["songs"]} == {"skipped"} and again["real_time_factor"] is None


@pytest.mark.parametrize(("form", "suffix", "atol"), [("wav16", "wav", 2**-16), ("flac", "flac", 2**-24)])
def test_integer_stems_are_rounded_and_clipping_is_counted(command, untrained, tmp_path, form, suffix, atol):
    song = tmp_path / "song.wav"
    soundfile.write(song, 2 * read(write_wav(song))[0] + 0.5, 11_025, subtype="FLOAT")
    flags = (song, f"--checkpoint={untrained}", f"--output={tmp_path}")
    (exact,) = report_of(command("separate", *flags, "--json=-"))["songs"]
    expected = [stem for stem, _ in stems_of(tmp_path / "song")]
    result = command("separate", *flags, f"--format={form}", f"--json={tmp_path / 'report.json'}")
    assert result.code == 0 and "clipped" in result.out
    (rounded,) = json.loads((tmp_path / "report.json").read_text())["songs"]
    stems = stems_of(tmp_path / "song", suffix)
    for file, whole, (stem, _), floats in zip(rounded["written"], exact["written"], stems, expected, strict=True):
        full = 1 - 2 * atol  # the largest integer
        np.testing.assert_allclose(stem, floats.clip(-1, full), atol=1.01 * atol)
        assert file["num_clipped"] == np.count_nonzero(np.abs(floats) > 1) and whole["num_clipped"] == 0
        assert file["peak"] == whole["peak"] == np.abs(floats).max()


def test_globs_formats_and_a_song_that_fails(command, untrained, library, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.wav").write_text("these are words, not sound")
    write_wav(tmp_path / "in" / "wide.wav", channels=3)
    flags = ("--format=mp3", f"--checkpoint={untrained}", f"--output={tmp_path / 'out'}", "--stems=vocals")
    report = f"--json={tmp_path / 'deep' / 'report.json'}"
    result = command("separate", tmp_path / "in" / "*", f"{library}/**/*.wav", report, *flags)
    assert result.code == 1
    lines = result.err.splitlines()
    assert len(lines) == sum(line.startswith("error: ") for line in lines)
    done, failed = [], []
    for song in json.loads((tmp_path / "deep" / "report.json").read_text())["songs"]:
        (done if song["status"] == "done" else failed).append(song)
    assert [f"error: {song['error']}" for song in failed] == lines
    assert {"broken", "wide"} < {song["song"] for song in failed}
    assert f"{len(done)} separated, 0 done before, {len(failed)} failed; " in result.out
    assert len(done) == 1 + sum(channels <= 2 and rate <= 48_000 for rate, channels, _, _ in SONGS)
    for song in done:
        (written,) = song["written"]
        (audio, rate), original = read(written["path"]), read(song["path"])
        assert written["path"].endswith("vocals.mp3") and (audio.shape, rate) == (original[0].shape, original[1])


def test_flags_reach_the_program(command, untrained, tmp_path):
    song = write_wav(tmp_path / "song.wav")
    flags = ("--seed=3", "--steps=2", "--sampler=euler", "--overlap=0.75", "--batch_size=1", "--precision=bfloat16")
    flags += ("--set=separation.joint=False", "--set=sampler.rho=5", "--device=cpu", "--stems=instrumental,vocals")
    arguments = ("separate", song, f"--checkpoint={untrained}", f"--output={tmp_path}", "--json=-")
    report = report_of(command(*arguments, *flags, "--normalize"))
    settings = report["settings"]
    assert settings["sampler"] | {"num_steps": 2, "name": "euler", "rho": 5} == settings["sampler"]
    assert settings["separation"] | {"joint": False, "step_frames": 4} == settings["separation"]
    assert (settings["seed"], settings["model"]["dtype"], report["batch_size"]) == (3, "bfloat16", 1)
    assert settings["stems"] == ["vocals", "instrumental"] and settings["normalize"]
    assert max(np.abs(stem).max() for stem, _ in stems_of(tmp_path / "song")) == 1
    plain = report_of(command(*arguments, "--stems=both"))
    assert plain["settings"]["sampler"]["num_steps"] == 3 and plain["settings"]["stems"] == settings["stems"]
    first = stems_of(tmp_path / "song")[0][0]
    report_of(command(*arguments, "--seed=1"))
    assert not np.array_equal(first, stems_of(tmp_path / "song")[0][0])


def test_parts_make_the_whole(command, untrained, library, tmp_path):
    flags = (library / "album 1", f"--checkpoint={untrained}", f"--output={tmp_path}", f"--json={tmp_path / 'r.json'}")
    names = []
    for number in (1, 2):
        result = command("separate", *flags, f"--share={number}/2", "--steps=1")
        assert result.code == 0, result.err
        assert f"part {number} of 2: " in result.out
        names.append([song["song"] for song in json.loads((tmp_path / f"r-{number}-of-2.json").read_text())["songs"]])
    assert all(names) and sorted(itertools.chain(*names)) == sorted(path.stem for path in flags[0].iterdir())
    none = command("separate", next(flags[0].iterdir()), *flags[1:], "--share=2/2")
    assert none.code == 0 and "part 2 of 2: 0 of 1 songs" in none.out and "compiled" not in none.out


def test_a_song_through_a_pipe(untrained, tmp_path):
    song = write_wav(tmp_path / "song.wav")
    flags = (f"--checkpoint={untrained}", "--stems=vocals", "--format=flac")
    command = [*SEPARATE, "-", "--output=-", f"--json={tmp_path / 'report.json'}", *flags]
    piped = subprocess.run(command, input=song.read_bytes(), capture_output=True, env=environment(), cwd=tmp_path)
    assert piped.returncode == 0, piped.stderr
    (tmp_path / "vocals.flac").write_bytes(piped.stdout)
    audio, rate = read(tmp_path / "vocals.flac")
    assert (audio.shape, rate) == ((2001, 2), 11_025) and audio.any()
    assert b"standard output: vocals (0.2 s of audio" in piped.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"song.wav", "vocals.flac", "report.json"}


def test_a_pipe_that_nobody_reads_is_told_in_one_line(untrained, tmp_path):
    song = write_wav(tmp_path / "song.wav")
    source, sink = os.pipe()
    os.close(source)
    flags = (song, f"--checkpoint={untrained}", "--stems=vocals", "--output=-")
    done = subprocess.run([*SEPARATE, *flags], stdout=sink, stderr=subprocess.PIPE, text=True, env=environment())
    os.close(sink)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {song}: Broken pipe" and "Traceback" not in done.stderr


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_leaves_what_is_done_and_nothing_else(untrained, tmp_path):
    name = os.fsdecode(b"\xe4")  # Latin-1, on a disk whose names are UTF-8 otherwise
    write_wav(tmp_path / "a.wav").rename(tmp_path / f"{name}.wav")
    write_wav(tmp_path / "endless.wav", num_samples=300 * RATE, rate=RATE)
    (tmp_path / "tmp").mkdir()
    command = [*SEPARATE, tmp_path / f"{name}.wav", tmp_path / "endless.wav"]
    command += [f"--checkpoint={untrained}", f"--output={tmp_path / 'out'}"]
    command += [f"--json={tmp_path / 'report.json'}", "--normalize"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment() | {"TMPDIR": str(tmp_path / "tmp")}, **streams)
    done = rf"{tmp_path / 'out'}/\udce4: vocals.wav"
    assert any(line.startswith(done) for line in process.stdout), process.stderr.read()
    while not list((tmp_path / "out" / "endless").glob(".vocals*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert "1 separated, 0 done before, 0 failed; " in out
    (song,) = json.loads((tmp_path / "report.json").read_text())["songs"]
    assert (song["song"], song["status"]) == (name, "done")
    left = {path.name for path in (tmp_path / "out").rglob("*")}
    assert left == {name, "vocals.wav", "instrumental.wav", "separation.json"}
    assert not list((tmp_path / "tmp").iterdir())


MEASURED = """
import pathlib, re, runpy
try:
    runpy.run_module("diffvs_jax.separate", run_name="__main__", alter_sys=True)
except SystemExit as leaving:
    assert not leaving.code
print(re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""


def peak_memory(untrained, tmp_path, seconds):
    """Of the command for a song of 192 kHz, in bytes."""
    song = write_wav(tmp_path / f"{seconds}.wav", num_samples=192_000 * seconds, rate=192_000)
    command = [sys.executable, "-c", MEASURED, song, f"--checkpoint={untrained}", f"--output={tmp_path}", "--steps=1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1]) * 1024


def test_memory_does_not_grow_with_the_song(untrained, tmp_path):
    short, long = (peak_memory(untrained, tmp_path, seconds) for seconds in (8, 40))
    more = 32 * 192_000 * 2 * 4  # bytes of the longer song alone, and each of its stems takes as many
    assert long - short < more / 2, (short, long, more)


def test_what_is_no_song_is_refused(command, untrained, tmp_path):
    song, output = write_wav(tmp_path / "song.wav"), tmp_path / "out"
    flags = (f"--checkpoint={untrained}", f"--output={output}")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "other").mkdir()
    namesake = write_wav(tmp_path / "other" / "song.wav")
    assert_refused(command("separate", *flags), "no songs given")
    assert_refused(command("separate", tmp_path / "folder.wav", *flags), "folder.wav: no audio files there")
    assert_refused(command("separate", song, namesake, *flags), "would both be written to 'song.wav'")
    assert_refused(command("separate", song, tmp_path / "gone.wav", *flags), "gone.wav: no such file")
    assert_refused(command("separate", tmp_path, f"--output={tmp_path}", flags[0]), "lies in the output folder")
    assert not output.exists()


def test_flags_that_cannot_be_are_refused(command, untrained, tmp_path):
    song, other, output = write_wav(tmp_path / "song.wav"), write_wav(tmp_path / "other.wav"), tmp_path / "out"
    flags = (f"--checkpoint={untrained}", f"--output={output}")
    for bad, *words in (
        ("--seed=x", "--seed"),
        ("--outptu=x", "outptu"),
        ("--steps=0", "--steps"),
        ("--batch_size=-1", "--batch_size"),
        ("--format=wma", "wav16|wav24|wav32f|flac|ogg|mp3"),
        ("--sampler=ddim", "heun"),
        ("--overlap=1", "--overlap=1.0: give a share"),
        ("--overlap=nan", "give a share"),
        ("--stems=drums", "this model gives vocals, instrumental"),
        ("--share=3/2", "first of four"),
        ("--device=tpu", "JAX finds no device of 'tpu'"),
        (f"--json={tmp_path}", "is a folder, not a file"),
        (f"--json={song}/report.json", "song.wav"),
        (f"--output={song}", "is a file, not a folder"),
        (f"--output={song}/below", "song.wav"),
        ("--output=-", "takes one stem; give --stems=vocals"),
    ):
        if bad == "--device=tpu":  # a process's devices are chosen once
            refused = python_m("diffvs_jax.separate", song, *flags, bad)
        else:
            refused = command("separate", song, *flags, bad)
        result = Result(refused.code, "", refused.err.splitlines(keepends=True)[-1])
        assert_refused(result, *words)
    assert_refused(command("separate", song, flags[1]), "--checkpoint")
    assert_refused(command("separate", song, other, flags[0], "--output=-", "--stems=vocals"), "one song, not 2")
    assert_refused(command("separate", song, flags[0], "--output=-", "--json=-"), "takes one of them")
    assert not output.exists()
