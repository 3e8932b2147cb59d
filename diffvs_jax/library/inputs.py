"""The songs that files, folders and patterns stand for, each with a name of its own."""

import dataclasses
import glob
import os
from collections.abc import Iterator, Sequence
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
    root, pattern = (path, ("**",)) if path.is_dir() else _split_pattern(path)
    if hidden is not None and (root.resolve() == hidden or _lies_in(root, hidden)):
        raise InputError(f"{argument}: lies in the output folder, whose files are no songs; choose another to write to")
    songs = sorted(
        song
        for song in set(_matches(root, pattern))
        if song.suffix.lower() in SUFFIXES and song.is_file() and not _lies_in(song, hidden)
    )
    if not songs:
        raise InputError(f"{argument}: no audio files there ({' '.join(SUFFIXES)})")
    return [Song(song, song.relative_to(root).with_suffix("").as_posix()) for song in songs]


def _split_pattern(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder before the first wildcard, and the parts from there on; "[" in the name of what is there is none."""
    for index, part in enumerate(path.parts):
        so_far = Path(*path.parts[: index + 1])
        if any(mark in part for mark in _WILDCARDS) and not so_far.exists():
            return so_far.parent, path.parts[index:]
    raise InputError(f"{path}: no such file or folder")


def _matches(folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
    """What a pattern stands for below a folder, hidden entries apart; glob's own ``**`` runs in circles of links."""
    if "**" not in pattern:
        yield from (folder / match for match in glob.iglob(os.path.join(*pattern), root_dir=folder))
        return
    at = list(pattern).index("**")
    for start in _matches(folder, pattern[:at]) if at else [folder]:
        for below in _folders(start):
            yield from _matches(below, pattern[at + 1 :] or ["*"])


def _folders(folder: Path) -> Iterator[Path]:
    """A folder and all below it but hidden ones; each once, however many links lead to it."""
    seen = set()
    for here, folders, _ in os.walk(folder, followlinks=True):
        if (identity := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(here)


def _lies_in(path: Path, folder: Path | None) -> bool:
    return folder is not None and folder in path.resolve().parents


def _identity(path: Path) -> Path:
    return path if str(path) == STANDARD_INPUT else Path(os.path.abspath(path))


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
