"""The ``README.md`` of an export: what the model is, as far as its config and its training run know."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.inference import artifact
from diffvs_jax.model import tensor_file, weights
from diffvs_jax.model.weights import Model

NAME = "README.md"
_SCORES = {
    "csdr": "cSDR, all steps",
    "usdr": "uSDR, all steps",
    "csdr_one_step": "cSDR, one step",
    "usdr_one_step": "uSDR, one step",
    "usdr_mixture": "uSDR of the mixture taken for the estimate",
}


class Choices(NamedTuple):
    """What the command that exports was told."""

    formats: Sequence[str]  # of export_folder.FORMATS
    dtype: str  # of the parameters in the safetensors file
    license: str  # an identifier of Hugging Face's list, such as cc-by-nc-4.0
    changes: Sequence[str] = ()  # settings other than the trained ones, KEY=VALUE


def model_card(model: Model, folder: str, choices: Choices) -> str:
    """The card, in Markdown.

    Args:
      model: what is exported; ``scores`` as ``recorded_scores`` finds them.
      folder: the export's name.
      choices: see there.
    """
    targets = ", ".join(model.config.data.targets)
    parts = [
        _front_matter(choices.license),
        f"# {folder}: {targets} out of music\n",
        "Diff-VS, an EDM diffusion model on complex spectrograms, as diffvs_jax implements it.\n",
        _facts(model, choices),
        _scores(model, choices.changes),
        _licence(choices.license),
        _use(model, folder, choices),
    ]
    return "\n".join(parts)


def script(folder: str) -> str:
    """Python that separates the first chunk of ``song.wav``, at the model's rate, with an export's artifact alone."""
    return f"""\
import jax.export
import numpy as np
import soundfile

program = jax.export.deserialize(bytearray(np.fromfile("{folder}/{artifact.NAME}", np.uint8)))
_, length, channels = program.in_avals[0].shape
song, rate = soundfile.read("song.wav", dtype="float32", always_2d=True)
chunk = np.zeros((1, length, channels), np.float32)
chunk[0, : len(song)] = song[:length]
stems = jax.jit(program.call)(chunk, np.zeros(1, np.int32), np.int32(0))
soundfile.write("vocals.wav", stems[0, 0], rate, subtype="FLOAT")
"""


def recorded_scores(folder: Path, step: int) -> dict[str, float]:
    """What validation found at a step of a training run, by name in ``metrics.jsonl``; empty where nothing is known.

    Args:
      folder: the step's, ``RUN/checkpoints/STEP`` or ``RUN/best/STEP``; of any other nothing is known.
      step: its number.
    """
    path = folder.parent.parent / "metrics.jsonl"
    scores: dict[str, float] = {}
    if folder.parent.name not in (weights.CHECKPOINTS, "best") or not path.is_file():
        return {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except ValueError:  # a line that a kill left half written
            continue
        if values.get("step") == step:
            scores |= {name: value for name, value in values.items() if _kind(name) and value is not None}
    return scores


def folder_names(root: str) -> list[str]:
    """The last folder of every path of ``data.root``."""
    return [Path(part.strip().rpartition(":")[2]).name for part in root.split(",") if part.strip()]


def _front_matter(license: str) -> str:
    tags = "".join(f"\n- {tag}" for tag in ("jax", "audio", "music", "source-separation", "diffusion"))
    return f"---\nlicense: {license}\nlibrary_name: diffvs_jax\npipeline_tag: audio-to-audio\ntags:{tags}\n---\n"


def _facts(model: Model, choices: Choices) -> str:
    config, path = model.config, SignalPath.from_config(model.config)
    count = sum(leaf.size for leaf in jax.tree.leaves(model.params))
    seconds = path.chunk_samples / path.sample_rate
    changed = f" (set when it was exported: {', '.join(choices.changes)})" if choices.changes else ""
    rows = {
        "targets": ", ".join(config.data.targets),
        "parameters": f"{count:,}, averaged over training",
        "config": config.get("name", "unknown"),
        "trained for": f"{model.step:,} steps of {config.train.batch_size} examples"
        if "train" in config
        else "unknown",
        "training data": _training_data(config),
        "audio": f"{path.sample_rate:,} Hz, {('mono', 'stereo')[path.num_channels - 1]}; chunks of {seconds:.2f} s",
        "sampler": _sampler(config.sampler) + changed,
    }
    return _table(("", ""), rows)


def _sampler(sampler: Any) -> str:
    keys = ("num_steps", "sigma_max", "sigma_min", "rho", "num_samples", *(["s_churn"] if sampler.s_churn else []))
    return ", ".join([sampler.name, *(f"{key} {sampler[key]:g}" for key in keys)])


def _training_data(config: Any) -> str:
    data = config.data
    if data.get("root", None) is None:
        return "unknown"
    if data.root:
        text = f"{', '.join(folder_names(data.root))} (the folders' names; hours were not recorded)"
    else:
        songs = data.synthetic
        hours = songs.num_train_songs * songs.seconds / 3600
        text = f"{songs.num_train_songs} procedural songs, {hours:.2f} hours, rendered by diffvs_jax"
    begun = config.get("init_from", "")
    return text + (f"; began with the weights of {Path(begun).name}" if begun else "")


def _kind(score: str) -> str | None:
    """What a score such as "validation/csdr" or "validation/csdr/vocals" is; None for what is none."""
    section, _, name = score.partition("/")
    return _SCORES.get(name.partition("/")[0]) if section == "validation" else None


def _scores(model: Model, changes: Sequence[str]) -> str:
    if not model.scores:
        settings = " with these settings" if changes else ""
        return f"## Scores\n\nNot scored{settings}: no validation of step {model.step:,} is known.\n"
    rows = {}
    for name, value in model.scores.items():
        target = name.split("/")[2:]  # one of several
        rows[", ".join([_kind(name) or name, *target])] = f"{value:.2f}"
    return (
        f"## Scores\n\nOf the training run's own validation at step {model.step:,}: chunks of tracks that were not "
        f"trained on, not a test set.\n\n{_table(('score', 'dB'), rows)}"
    )


def _licence(license: str) -> str:
    text = (
        "Unknown: ask who trained it, and what the training data allow."
        if license == "unknown"
        else f"{license}, as whoever exported it says."
    )
    return f"## Licence\n\n{text} The Apache-2.0 of diffvs_jax is its code's, not that of weights.\n"


def _use(model: Model, folder: str, choices: Choices) -> str:
    parts = ["## Use\n"]
    if {"orbax", "safetensors"} & set(choices.formats):
        parts.append(
            "With diffvs_jax, songs of any length, rate and number of channels:\n\n"
            f"```bash\npython -m diffvs_jax.separate song.mp3 --checkpoint={folder} --output=separated\n```\n\n"
            "```python\nfrom diffvs_jax import Separator\n\n"
            f'separator = Separator.from_checkpoint("{folder}")\n'
            "stems = separator(audio, sample_rate)  # [samples, channels] in; a dict of arrays like it out\n```\n"
        )
    if "safetensors" in choices.formats:
        parts.append(
            f"`{tensor_file.NAME}` holds the parameters in {choices.dtype}, the band statistics, and config and step "
            "as JSON in its metadata.\n"
        )
    if "jax" in choices.formats:
        parts.append(_use_of_artifact(model, folder))
    return "\n".join(parts)


def _use_of_artifact(model: Model, folder: str) -> str:
    path, targets = SignalPath.from_config(model.config), model.config.data.targets
    shape = f"{path.chunk_samples}, {path.num_channels}]"
    return f"""\
`{artifact.NAME}` is the program itself with its parameters and noise levels, for CPU, CUDA and TPU. It needs no
diffvs_jax: `pip install jax flatbuffers soundfile`. Arguments are chunks `[b, {shape}` of float32 at
{path.sample_rate:,} Hz; `[b]` int32, which spectrogram frame of the song each begins with (one every {path.hop_length}
samples; chunks that overlap start from the same noise); and an int32 seed. It gives `[b, {len(targets)}, {shape}`:
{", ".join(targets)}. jax {jax.__version__} wrote it; that or a newer one reads it (JAX promises half a year).

```python
{script(folder)}```
"""


def _table(header: tuple[str, str], rows: dict[str, str]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (header, ("---", "---"), *rows.items())]
    return "\n".join(lines) + "\n"
