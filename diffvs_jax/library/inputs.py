"""The songs that files, folders and patterns stand for, each with a name of its own."""

import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from diffvs_jax.audio.foreign import SUFFIXES as FOREIGN_SUFFIXES
from diffvs_jax.audio.reading import STANDARD_INPUT
from diffvs_jax.errors import InputError

SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".caf", ".w64", ".rf64", ".au"),
    *FOREIGN_SUFFIXES,
)
"""Of the files that are songs where a folder or a pattern is given."""

_WILDCARDS = "*?["


@dataclasses.dataclass(frozen=True)
class Song:
    """What is to be separated.

    Attributes:
      path: of the file; "-" for standard input.
      name: the folder of its stems, relative to the output folder, with "/" between its parts.
    """

    path: Path
    name: str


def find_songs(arguments: Sequence[str], exclude: str | os.PathLike | None = None) -> list[Song]:
    """Songs in the order of the arguments, those of a folder or pattern sorted; a file that is named twice is one.

    A file's name is its stem; a folder's songs are named by their paths in it, a pattern's by their
    paths below the part before its first wildcard, all without suffix. Songs whose names would be
    the same keep their suffixes. Hidden files and folders are passed over.

    Args:
      arguments: files; folders, searched with all their subfolders; patterns such as
        ``music/**/*.mp3``, unless a file or folder is called so; "-" for standard input, named "stdin".
      exclude: a folder whose files are no songs: the output.

    Raises:
      InputError: an argument that is no such thing or stands for no songs, or two songs of one name.
    """
    hidden = Path(exclude).resolve() if exclude is not None else None
    found: dict[Path, Song] = {}
    for argument in arguments:
        for song in _songs_of(argument, hidden):
            found.setdefault(_identity(song.path), song)
    return _with_own_names(list(found.values()))


def _songs_of(argument: str, hidden: Path | None) -> list[Song]:
    path = Path(argument)
    if argument == STANDARD_INPUT:
        return [Song(path, "stdin")]
    if path.is_file():
        return [Song(path, path.stem)]
    if path.is_dir():
        root, paths, what = path, _walk(path), "holds no audio files"
    elif any(mark in argument for mark in _WILDCARDS):
        root, paths, what = _expand(argument)
    else:
        raise InputError(f"{argument}: no such file or folder")
    songs = [song for song in sorted(paths) if song.suffix.lower() in SUFFIXES and not _lies_in(song, hidden)]
    if not songs:
        raise InputError(f"{argument}: {what} ({', '.join(SUFFIXES)})")
    return [Song(song, song.relative_to(root).with_suffix("").as_posix()) for song in songs]


def _expand(pattern: str) -> tuple[Path, Iterable[Path], str]:
    """The folder before the first wildcard, the files, and what to say where there are none."""
    parts = Path(pattern).parts
    first = next(index for index, part in enumerate(parts) if any(mark in part for mark in _WILDCARDS))
    root = Path(*parts[:first])
    rest = os.path.join(*parts[first:])
    matches = (root / match for match in glob.iglob(rest, root_dir=root, recursive=True))
    return root, [match for match in matches if match.is_file()], "matches no audio files"


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder but hidden ones; each folder once, however many links lead to it."""
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        identity = os.path.realpath(here)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here, name) for name in files if not name.startswith("."))


def _lies_in(path: Path, folder: Path | None) -> bool:
    return folder is not None and folder in path.resolve().parents


def _identity(path: Path) -> Path:
    return path if str(path) == STANDARD_INPUT else path.resolve()


def _with_own_names(songs: list[Song]) -> list[Song]:
    """Songs that share a name get their suffixes; upper and lower case are one, as on some disks."""
    crowded = {name for name, group in _by_name(songs).items() if len(group) > 1}
    songs = [
        dataclasses.replace(song, name=song.name + song.path.suffix) if song.name.casefold() in crowded else song
        for song in songs
    ]
    for group in _by_name(songs).values():
        if len(group) > 1:
            raise InputError(
                f"{group[0].path} and {group[1].path} would both be written to '{group[0].name}'; "
                "rename one or separate them in two runs"
            )
    return songs


def _by_name(songs: list[Song]) -> dict[str, list[Song]]:
    groups: dict[str, list[Song]] = {}
    for song in songs:
        groups.setdefault(song.name.casefold(), []).append(song)
    return groups
