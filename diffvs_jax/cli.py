"""What all commands share: one clear line for bad input, progress, and the device named at start."""

import contextlib
import ctypes
import importlib.util
import io
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import absl.logging
from absl import app, flags
from tqdm import tqdm

from diffvs_jax.errors import InputError

# M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD of glibc's malloc.h: one arena, grown in
# large pieces, never shrunk.
_MALLOC_SETTINGS = ((-8, 1), (-4, 0), (-1, 2**31 - 1), (-2, 2**28))
_LINE_SECONDS = 30  # between lines of progress, where no bar is drawn
_messages: TextIO | None = None
_FREE_SETTINGS = ("compilation_cache", "model.dtype", "model.attention_backend")  # of use after training, too


def run(main: Callable[[list[str]], None]) -> None:
    """Parses flags and runs ``main(arguments)``; a user's mistake prints one line and exits with 2, Ctrl-C with 130."""

    def guarded(argv: list[str]) -> None:
        messages_to(sys.stdout)
        # orbax tells of every save, and of one that fails in hundreds of lines; the exception says it, too.
        absl.logging.set_verbosity(absl.logging.FATAL)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        keep_freed_memory()
        try:
            main(argv[1:])
        except (InputError, FloatingPointError) as error:  # the second: a learning rate that was too high
            _fail(str(error))
        except OSError as error:  # a folder that cannot be written, a full disk
            _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except KeyboardInterrupt:
            interrupted = True
        else:
            interrupted = False
        finally:
            _flush()
        if interrupted:  # not above: an exception that is being handled keeps open files and their folders alive
            print("interrupted", file=sys.stderr)
            os._exit(130)  # Python's own end would wait until the device has done all that it was given

    app.run(guarded, flags_parser=_parse_flags)


def say(line: str) -> None:
    """Prints a line at once, also into a pipe, above a progress bar where one is drawn."""
    file = _messages or sys.stdout
    tqdm.write(line, file=file)
    file.flush()


def messages_to(file: TextIO) -> None:
    """Has ``say`` print to another file than standard output, which is wanted for something else."""
    global _messages
    _messages = file
    if isinstance(file, io.TextIOWrapper):  # names of files need not be text
        file.reconfigure(errors="backslashreplace")


def announce_device(say: Callable[[str], None] = say) -> None:
    """Says which devices run the program.

    Raises:
      InputError: there is none of those that ``use_device`` or JAX_PLATFORMS asks for.
    """
    import jax  # imported here: commands that only read songs never start it

    try:
        devices = jax.devices()
    except (RuntimeError, AssertionError) as error:  # the second where JAX lacks the platform's plugin
        platforms = jax.config.jax_platforms  # type: ignore[attr-defined]
        raise InputError(f"JAX finds no device of '{platforms}' here ({str(error) or 'no plugin for it'})") from error
    say(f"device: {len(devices)} x {devices[0].device_kind} ({devices[0].platform})")


def use_device(platform: str) -> None:
    """Runs everything on the CPU, the GPUs or the TPUs; before anything asks for devices."""
    import jax

    jax.config.update("jax_platforms", {"gpu": "cuda"}.get(platform, platform))


def keep_freed_memory() -> None:
    """Asks glibc not to return freed memory to the kernel, where only a CPU can run the program.

    XLA allocates hundreds of megabytes per call on a CPU. Returned and fetched anew each time,
    clearing their pages takes a fifth of a training step. Arenas are settled when threads start,
    so this comes before JAX's backend does.
    """
    if any(importlib.util.find_spec(plugin) for plugin in ("jax_plugins", "libtpu")):
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for parameter, value in _MALLOC_SETTINGS:
            libc.mallopt(parameter, value)


def no_arguments(arguments: list[str]) -> None:
    """Raises ``InputError`` for arguments that are no flags."""
    if arguments:
        raise InputError(f"argument '{arguments[0]}' is not a flag; flags start with --")


def positive_numbers(flag: str, values: Sequence[str], kind: type = int) -> list:
    """The numbers of a flag that lists them, ``--flag=1,2,4``."""
    try:
        numbers = [kind(value) for value in values]
    except ValueError:
        numbers = []
    if not numbers or not all(number > 0 and math.isfinite(number) for number in numbers):
        raise InputError(f"--{flag}={','.join(values)}: give numbers above zero, such as --{flag}=1,2,4")
    return numbers


def change_settings(config: Any, changes: Sequence[str]) -> None:
    """Applies ``--set=sampler.num_samples=4`` and its like to a trained model's config.

    Raises:
      InputError: not KEY=VALUE, a key that belongs to training, or a value of another type.
    """
    for change in changes:
        name, _, text = change.partition("=")
        section, _, key = name.rpartition(".")
        free = section in ("sampler", "separation") or name in _FREE_SETTINGS
        if not free or key not in (config[section] if section else config):
            raise InputError(
                f"--set={change}: give KEY=VALUE with a key of sampler or separation, or {', '.join(_FREE_SETTINGS)}"
            )
        owner = config[section] if section else config
        kind = type(owner[key])
        values = {"True": True, "False": False, "true": True, "false": False} if kind is bool else None
        try:
            owner[key] = values[text] if values else kind(text)
        except (KeyError, ValueError):
            raise InputError(f"--set={change}: {name} is {kind.__name__}, such as {owner[key]}") from None


def positive_seconds(flag: str, seconds: float, least: float = 0.0) -> float:
    """A flag's finite number of seconds, at least ``least``."""
    if not (math.isfinite(seconds) and seconds >= least):
        raise InputError(f"--{flag}={seconds}: give a number of seconds, at least {least:g}")
    return seconds


def output_folder(flag: str, path: str | os.PathLike) -> Path:
    """The folder a flag names, which need not exist yet; ``InputError`` when it is a file."""
    if Path(path).exists() and not Path(path).is_dir():
        raise InputError(f"--{flag}={path}: is a file, not a folder")
    return Path(path)


def make_folder(path: str | os.PathLike) -> None:
    """Makes a folder to write to. What cannot be written to is told before hours of work."""
    Path(path).mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written to")


@contextlib.contextmanager
def progress(description: str, unit: str) -> Iterator[Callable[[float, float], None]]:
    """A callback (done, total) that draws a bar on a terminal and stays quiet elsewhere."""
    with tqdm(desc=description, unit=unit, disable=None, leave=False) as bar:

        def update(done: float, total: float) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update


@contextlib.contextmanager
def seconds_of_audio(total: float | None) -> Iterator[Callable[[float, float], None]]:
    """A callback (done, left out) for seconds of audio: a bar with the time left and the real-time factor.

    Where no bar is drawn, it says the same in a line now and then. What is left out counts as not to be done.
    """
    start = last = time.monotonic()
    done = 0.0
    form = "{percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}{postfix}]"
    with tqdm(total=total, disable=None, leave=False, bar_format=form if total else None) as bar:

        def advance(seconds: float, left_out: float) -> None:
            nonlocal done, last, total
            if total is not None:
                bar.total = total = max(0.0, total - left_out)
            now, done = time.monotonic(), done + seconds
            factor = (now - start) / done if done else 0.0
            bar.set_postfix_str(f"real-time factor {factor:.2f}", refresh=False)
            bar.update(seconds)
            if bar.disable and now - last > _LINE_SECONDS:
                last = now
                left = f" of {total:.0f}" if total else ""
                eta = f", {tqdm.format_interval(factor * max(0.0, total - done))} left" if total else ""
                say(f"{done:.0f}{left} s of audio, real-time factor {factor:.3f}{eta}")

        yield advance


def _parse_flags(argv: list[str]) -> list[str]:
    for argument in argv:
        if argument.startswith("--config="):  # configs import each other as configs.NAME, from wherever they are
            path = Path(argument.removeprefix("--config=").split(":")[0]).resolve()
            above = [folder.parent for folder in path.parents if folder.name == "configs"]
            sys.path += map(str, above or [path.parent.parent])
    try:
        arguments = flags.FLAGS(argv)
        if "config" in flags.FLAGS:
            _ = flags.FLAGS.config.name  # a missing file is told of on first use
        return arguments
    except flags.Error as error:
        _fail(f"{error} (--help lists the flags)")
    except (AttributeError, KeyError, TypeError, ValueError, OSError, ImportError, SyntaxError) as error:
        reason = error.args[0] if isinstance(error, KeyError) else error
        plain = str(reason).replace("\\n", " ").replace("\\", "").replace("'", "").strip('"')  # it is quoted twice
        _fail(f"config: {plain}")  # a config file or an override that is wrong


def _flush() -> None:
    """Ends standard output; where nobody reads it any more (``| head``), without Python's complaint at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> NoReturn:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)
