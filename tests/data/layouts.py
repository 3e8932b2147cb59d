"""Songs on disk in the layouts of the public data sets, of whatever audio a test gives, and the config to read them."""

import json

import numpy as np
import soundfile

from configs.base import get_config

RATE = 8000


def data_config(root="", **changes):
    """``config.data`` of the paper without augmentation, redrawing and read-ahead."""
    data = get_config().data
    for section in (data, data.get("augment", {})):
        for key in section:
            if key.endswith("_probability"):
                section[key] = 0.0
            elif key == "gain_range":
                section[key] = (1.0, 1.0)
    data.update({"root": str(root), "num_threads": 0, "prefetch": 0} | changes)
    return data


def level(value, num_samples=400, channels=1):
    """Audio that tells where it comes from: one value throughout."""
    return np.full((num_samples, channels), value, np.float32)


def noise(seed, num_samples=400, channels=2):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (num_samples, channels)).astype(np.float32)


def write(path, audio, rate=RATE):
    """One file in the format of its suffix; wav keeps every bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate, subtype={".wav": "FLOAT", ".flac": "PCM_24"}.get(path.suffix))
    return path


def write_stems(folder, stems, rate=RATE, suffix="wav"):
    """``folder/STEM.SUFFIX`` for each of ``stems``, a dict of audio."""
    for stem, audio in stems.items():
        write(folder / f"{stem}.{suffix}", audio, rate)
    return folder


def write_moisesdb(folder, stems, *, artist="Artist", song="Song", rate=RATE, suffix="wav"):
    """A track of MoisesDB: ``folder/data.json`` and ``folder/STEM/FILE.SUFFIX``.

    Args:
      folder: ``root/PROVIDER/ID``.
      stems: pairs of a stem's name and its files' audio; a name may come more than once.
      artist: in the description.
      song: in the description.
      rate: in Hz.
      suffix: of the files.
    """
    described = []
    for place, (stem, takes) in enumerate(stems):
        tracks = []
        for number, audio in enumerate(takes):
            name = f"{place:04x}-{number:04x}"
            write(folder / stem / f"{name}.{suffix}", audio, rate)
            tracks.append({"id": name, "trackType": f"{stem} {number}", "extension": suffix, "has_bleed": False})
        described.append({"id": f"stem-{place}", "stemName": stem, "tracks": tracks})
    folder.mkdir(parents=True, exist_ok=True)
    description = {"song": song, "artist": artist, "genre": "pop", "stems": described}
    (folder / "data.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


def config_with_everything(root):
    """A config that draws in every way there is: weights, remixing, redrawing, augmentation."""
    config = get_config()
    config.data.update({"root": str(root), "vocal_active_tries": 2, "remix_probability": 0.5})
    return config
