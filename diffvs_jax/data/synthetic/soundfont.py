"""Instruments of a General MIDI soundfont, played by fluidsynth in place of the synthesised ones."""

import dataclasses
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from diffvs_jax.data.synthetic.frame import Note, Studio
from diffvs_jax.data.synthetic.sound import CONTROL_RATE
from diffvs_jax.errors import InputError

# What may stand in for a player, counted from 0. None of those that soundfonts make of voices (52 to 54, 78, 85, 91,
# 94, 101, 102): what is labelled as accompaniment must hold no singing.
_PROGRAMS = {
    "bass": (*range(32, 40),),
    "pad": (*range(48, 52), 16, 19, 20, *range(88, 91), 92, 93, 95),
    "guitar": (*range(24, 32), 15, 104, 105),
    "keys": (*range(24), 80),
    "supersaw": (50, 51, 62, 63, 81, 84, 87, 90),
    "arpeggio": (0, 4, *range(6, 15), 24, 45, 46, 80, 81, 98, 108),
    "ensemble": (44, *range(48, 52), 61, 62, 63),
    "synthesiser": (*range(80, 85), 86, 87),
    "soloist": (22, 29, 30, 40, 41, 42, 56, 57, 59, *range(64, 78), 79, 110),
}
_CHANCE = 0.6
_TICKS = 1000  # per second
_WHEEL_SEMITONES = 12
# Rendered at the rate of most soundfonts and resampled: fluidsynth's interpolation has no low-pass against aliases.
_RATE = 44_100
_OPTIONS = f"-ni -q -R 0 -C 0 -r {_RATE} -g 0.5 -T wav -O float -f {os.devnull}".split()
_OPTIONS += ["-o", "synth.cpu-cores=1", "-o", "synth.dynamic-sample-loading=1"]


def check_soundfont(soundfont: str | os.PathLike) -> None:
    """Raises ``InputError`` for a path (not "") that is no soundfont, or where fluidsynth is not installed."""
    if not os.fspath(soundfont):
        return
    if not Path(soundfont).is_file():
        raise InputError(f"{soundfont}: no such soundfont; give the path of a General MIDI .sf2 file, or none")
    with open(soundfont, "rb") as file:
        if file.read(12)[8:] != b"sfbk":
            raise InputError(f"{soundfont}: not a soundfont; give the path of a General MIDI .sf2 file, or none")
    if not shutil.which("fluidsynth"):
        raise InputError(f"{soundfont}: playing it needs the program fluidsynth; install it, or give no soundfont")


def cast(rng: np.random.Generator, studio: Studio, soundfont: str | os.PathLike) -> dict[str, Studio]:
    """Studios of the players (by name) whose notes the soundfont plays, a random part of them; "": of none."""
    if not os.fspath(soundfont):
        return {}
    path = str(Path(soundfont).resolve())
    return {
        player: dataclasses.replace(studio, soundfont=path, program=int(rng.choice(programs)))
        for player, programs in _PROGRAMS.items()
        if rng.random() < _CHANCE
    }


def play(notes: list[Note], studio: Studio, position: float = 0.0, wheel: np.ndarray | None = None) -> np.ndarray:
    """All notes of an instrument on the studio's program of its soundfont, ``[samples, channels]``.

    Args:
      notes: those that begin before time 0 are cut there.
      studio: has a soundfont and a program.
      position: -1 (left) to 1.
      wheel: semitones by which the pitch wheel moves all notes, at ``CONTROL_RATE`` from time 0.

    Raises:
      InputError: fluidsynth failed.
    """
    # Notes that sound already when the song begins are played from their start, before it.
    early = max(0.0, *(-note.start for note in notes)) if notes else 0.0
    seconds = studio.num_samples / studio.sample_rate
    content = midi_file(notes, studio.program or 0, early, seconds, position if studio.num_channels > 1 else 0, wheel)
    audio = _run_fluidsynth(content, studio.soundfont)[round(early * _RATE) :]
    if studio.num_channels == 1:
        audio = audio.mean(axis=1, keepdims=True)
    audio = soxr.resample(audio, _RATE, studio.sample_rate)[: studio.num_samples]
    return np.pad(audio, ((0, studio.num_samples - len(audio)), (0, 0))).astype(np.float32)


def midi_file(
    notes: list[Note], program: int, early: float, seconds: float, position: float, wheel: np.ndarray | None
) -> bytes:
    """A standard MIDI file of one track: ``seconds`` of a song on one channel, ``early`` seconds into the file.

    Args:
      notes: of any order; those that begin after the end are left out.
      program: General MIDI program, 0..127.
      early: seconds before the song begins.
      seconds: of the song.
      position: -1 (left) to 1.
      wheel: semitones, at ``CONTROL_RATE`` from the song's begin; None: the wheel rests.
    """
    # Position, and the wheel's range, which is parameter 0 of those that controllers 101 and 100 number.
    controls = ((10, round(64 + 63 * position)), (101, 0), (100, 0), (6, _WHEEL_SEMITONES))
    # (tick, order within the tick, message): what ends comes before what begins.
    events = [(0, number - 9, bytes([0xB0, *control])) for number, control in enumerate(controls)]
    events.append((0, -10, bytes([0xC0, program])))
    next_start: dict[int, float] = {}
    for note in sorted(notes, key=lambda note: -note.start):
        key = min(max(round(note.pitch), 0), 127)
        # A channel has each key once: it is let go when it is struck again.
        end = min(note.start + note.length, next_start.get(key, np.inf))
        next_start[key] = note.start
        on, off = (round((early + time) * _TICKS) for time in (note.start, end))
        if note.start < seconds and off > on:
            events.append((on, 3, bytes([0x90, key, min(max(round(110 * note.level), 1), 127)])))
            events.append((off, 1, bytes([0x80, key, 0])))
    if wheel is not None:
        values = np.clip(np.round(8192 + 8192 / _WHEEL_SEMITONES * wheel), 0, 16_383).astype(int)
        for frame in np.flatnonzero(np.diff(values, prepend=8192)):
            tick = round((early + frame / CONTROL_RATE) * _TICKS)
            events.append((tick, 2, bytes([0xE0, values[frame] & 127, values[frame] >> 7])))
    last = max([round((early + seconds) * _TICKS), *(tick for tick, _, _ in events)])
    track = bytes([0, 0xFF, 0x51, 3]) + (1_000_000).to_bytes(3, "big")  # microseconds of a quarter of _TICKS ticks
    now = 0
    for tick, _, message in [*sorted(events), (last, 4, b"\xff\x2f\x00")]:
        track += _variable_length(tick - now) + message
        now = tick
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(number: int) -> bytes:
    """Seven bits a byte, the highest first, all but the last marked."""
    digits = [number & 127]
    while number := number >> 7:
        digits.append(128 | number & 127)
    return bytes(reversed(digits))


def _run_fluidsynth(content: bytes, soundfont: str) -> np.ndarray:
    """A MIDI file as it sounds, float32 ``[samples, 2]`` at ``_RATE``."""
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder, "notes.mid"), Path(folder, "out.wav")
        midi.write_bytes(content)
        command = ["fluidsynth", *_OPTIONS, "-F", str(wave), soundfont, str(midi)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if done.returncode or "fluidsynth: error" in done.stderr or not wave.is_file():
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[0]
            raise InputError(f"{soundfont}: fluidsynth cannot play it ({said}); give another .sf2 file, or none")
        return soundfile.read(str(wave), dtype="float32", always_2d=True)[0]
