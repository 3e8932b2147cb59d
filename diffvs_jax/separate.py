"""Separates songs: ``python -m diffvs_jax.separate SONG... --checkpoint=DIR --output=DIR``.

A SONG is a file, a folder with all its subfolders, a pattern such as 'music/**/*.mp3', or "-" for
standard input. Writes ``OUTPUT/SONG/vocals.wav`` and ``instrumental.wav`` (or what else the
model's targets are) at the song's rate, channels and exact length, in the order and folders of the
input. Songs that are done are passed over, one that fails leaves the others alone; the exit code
is 1 if any did. Several processes, or tasks of a job array, each take a part of the songs.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from diffvs_jax import __version__, cli
from diffvs_jax.audio.decoding import read_header
from diffvs_jax.audio.encoding import FORMATS
from diffvs_jax.audio.reading import STANDARD_INPUT
from diffvs_jax.audio.writing import STANDARD_OUTPUT
from diffvs_jax.compilation import use_cache
from diffvs_jax.diffusion.samplers import SAMPLERS
from diffvs_jax.errors import InputError
from diffvs_jax.inference.remainder import stem_names
from diffvs_jax.inference.separator import Separator
from diffvs_jax.library import report
from diffvs_jax.library.inputs import Song, find_songs
from diffvs_jax.library.separating import FAILED, Options, Outcome, Watch, separate_songs
from diffvs_jax.library.share import my_share, part_of_process
from diffvs_jax.model import weights
from diffvs_jax.training.processes import finish_processes, start_processes
from diffvs_jax.whole import whole_file

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "A training run's workdir, an export, or a model's name.", required=True
)
_OUTPUT = flags.DEFINE_string("output", "separated", "Folder to write to; '-' writes one stem to standard output.")
_STEMS = flags.DEFINE_list("stems", ["all"], "Which to write, such as vocals or instrumental; both, or all, of them.")
_FORMAT = flags.DEFINE_enum("format", "wav32f", list(FORMATS), "Of the stems' files.")
_NORMALIZE = flags.DEFINE_bool("normalize", False, "Scale a song's stems together so that the loudest just fits.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Separate also what is done.")
_JSON = flags.DEFINE_string("json", None, "File for a report of every song; '-' is standard output.")
_SHARE = flags.DEFINE_string("share", None, "Only a part of the songs: 1/4 is the first of four.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise that sampling starts from.")
_STEPS = flags.DEFINE_integer("steps", None, "Sampling steps; the model's own by default.", lower_bound=1)
_SAMPLER = flags.DEFINE_enum("sampler", None, list(SAMPLERS), "Another sampler than the model's own.")
_OVERLAP = flags.DEFINE_float("overlap", None, "Share of a chunk that the next one overlaps, 0 to below 1.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Chunks at once on a device; 0 chooses.", lower_bound=0)
_DEVICE = flags.DEFINE_enum("device", None, ["cpu", "gpu", "tpu"], "The best there is by default.")
_PRECISION = flags.DEFINE_enum("precision", None, ["float32", "bfloat16"], "What the network computes in.")
_SET = flags.DEFINE_multi_string("set", [], "Any other setting than the model's own: --set=sampler.sigma_max=20.")
_EVERYTHING = ("all", "both")


def main(arguments: list[str]) -> None:
    """Finds the songs, loads the model, separates."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing unfinished stays behind
    if STANDARD_OUTPUT in (_OUTPUT.value, _JSON.value):
        cli.messages_to(sys.stderr)
    songs = _songs(arguments)
    if _DEVICE.value:
        cli.use_device(_DEVICE.value)
    start_processes(cli.say)
    cli.announce_device()
    index, count = part_of_process(os.environ, _SHARE.value)
    mine = my_share(songs, index, count)
    if count > 1:
        cli.say(f"part {index + 1} of {count}: {len(mine)} of {len(songs)} songs")
    model = weights.load(_CHECKPOINT.value)  # which processes do together
    if jax.process_count() > 1:
        finish_processes()  # they have nothing more to tell each other, and need not end together
    _change_settings(model.config)
    separator = Separator.from_model(model, seed=_SEED.value, log=cli.say)
    options = _options(model)
    use_cache(model.config.compilation_cache)
    json_path = _report_path(index, count)
    _make_folders(json_path)
    outcomes: list[Outcome] = []
    try:
        with cli.seconds_of_audio(_total_seconds(mine)) as advance:
            for outcome in separate_songs(separator, mine, options, Watch(cli.say, advance)):
                outcomes.append(outcome)
                for line in report.lines(outcome, options):
                    cli.say(line)
    finally:  # of what is done, also after Ctrl-C
        if json_path:
            _write_report(json_path, report.as_json(outcomes, options, _about(model.config)))
        cli.say(report.summary(outcomes))
    _name_failures(outcomes)


def _songs(arguments: list[str]) -> list[Song]:
    if not arguments:
        raise InputError("no songs given; usage: python -m diffvs_jax.separate SONG... --checkpoint=DIR --output=DIR")
    if _OUTPUT.value != STANDARD_OUTPUT:
        return find_songs(arguments, exclude=cli.output_folder("output", _OUTPUT.value))
    if _JSON.value == STANDARD_OUTPUT:
        raise InputError("--output=- and --json=-: standard output takes one of them")
    songs = find_songs(arguments)
    if len(songs) != 1:
        raise InputError(f"--output=-: standard output takes one song, not {len(songs)}")
    return songs


def _change_settings(config: Any) -> None:
    """The flags that are settings of the model, then ``--set``."""
    if _OVERLAP.value is not None:
        if not 0 <= _OVERLAP.value < 1:
            raise InputError(f"--overlap={_OVERLAP.value}: give a share of a chunk from 0 to below 1")
        whole = config.audio.num_frames - 1 - 2 * config.separation.taper_frames
        config.separation.step_frames = max(1, min(whole, round(config.audio.num_frames * (1 - _OVERLAP.value))))
    for section, key, flag in (
        ("sampler", "num_steps", _STEPS),
        ("sampler", "name", _SAMPLER),
        ("separation", "batch_size", _BATCH_SIZE),
        ("model", "dtype", _PRECISION),
    ):
        if flag.value is not None:
            config[section][key] = flag.value
    cli.change_settings(config, _SET.value)


def _options(model: weights.Model) -> Options:
    config, names = model.config.to_dict(), stem_names(model.config.data.targets)
    for name in _STEMS.value:
        if name not in (*names, *_EVERYTHING):
            raise InputError(f"--stems={','.join(_STEMS.value)}: this model gives {', '.join(names)}")
    every = not _STEMS.value or set(_STEMS.value) & set(_EVERYTHING)
    stems = names if every else tuple(name for name in names if name in _STEMS.value)
    if _OUTPUT.value == STANDARD_OUTPUT and len(stems) > 1:
        raise InputError(f"--output=-: standard output takes one stem; give --stems={names[0]} or another")
    settings = {section: config[section] for section in ("audio", "edm", "model", "sampler", "separation")}
    del settings["separation"]["batch_size"]  # what is done may stay, whatever fits into memory now
    settings |= {"seed": _SEED.value, "stems": stems, "format": _FORMAT.value, "normalize": _NORMALIZE.value}
    return Options(
        output=_OUTPUT.value,
        stems=stems,
        format=_FORMAT.value,
        normalize=_NORMALIZE.value,
        overwrite=_OVERWRITE.value,
        settings=settings,
        model=weights.fingerprint(model),
    )


def _report_path(index: int, count: int) -> str:
    """Every process's report has a name of its own, such as report-1-of-4.json."""
    if not _JSON.value or _JSON.value == STANDARD_OUTPUT or count == 1:
        return _JSON.value or ""
    path = Path(_JSON.value)
    return str(path.with_name(f"{path.stem}-{index + 1}-of-{count}{path.suffix}"))


def _make_folders(json_path: str) -> None:
    """Of the stems and the report."""
    folders = []
    if json_path not in ("", STANDARD_OUTPUT):
        if Path(json_path).is_dir():
            raise InputError(f"--json={_JSON.value}: is a folder, not a file")
        folders.append(str(Path(json_path).parent))
    if _OUTPUT.value != STANDARD_OUTPUT:
        folders.append(_OUTPUT.value)
    for folder in folders:
        cli.make_folder(folder)


def _total_seconds(songs: Sequence[Song]) -> float | None:
    """Of what the headers say; None where standard input is among the songs."""
    if any(str(song.path) == STANDARD_INPUT for song in songs):
        return None
    total = 0.0
    for song in songs:
        try:
            header = read_header(song.path)
        except (InputError, OSError):  # it is told of when its turn comes
            continue
        total += header.num_samples / header.sample_rate
    return total


def _write_report(path: str, text: str) -> None:
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        with whole_file(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def _about(config: Any) -> dict[str, Any]:
    return {
        "version": __version__,
        "checkpoint": _CHECKPOINT.value,
        "device": f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}",
        "batch_size": config.separation.batch_size,
    }


def _name_failures(outcomes: Sequence[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.status == FAILED]
    for outcome in failed:
        print(f"error: {outcome.error}", file=sys.stderr)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
