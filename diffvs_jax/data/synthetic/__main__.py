"""``python -m diffvs_jax.data.synthetic --output=DIR --num_songs=8`` writes a corpus, a line per song."""

import argparse
import time

from diffvs_jax.data.synthetic.corpus import write_corpus
from diffvs_jax.errors import InputError


def _print_song(done: int, total: int) -> None:
    print(f"song {done}/{total}", flush=True)


def main() -> None:
    """Command line: writes a corpus, a line per song."""
    parser = argparse.ArgumentParser(description="Writes procedural songs in MUSDB18's layout.")
    parser.add_argument("--output", required=True)
    parser.add_argument("--num_songs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--sample_rate", type=int, default=44_100)
    parser.add_argument("--num_channels", type=int, default=2)
    parser.add_argument("--split", default="train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--soundfont", default="", help="a General MIDI .sf2 for some instruments; needs fluidsynth")
    args = parser.parse_args()
    start = time.monotonic()
    shape = (args.num_songs, args.seconds, args.sample_rate, args.num_channels)
    try:
        write_corpus(args.output, args.split, *shape, args.seed, 1, _print_song, args.soundfont)
    except InputError as error:
        parser.error(str(error))
    print(f"{args.num_songs} songs of {args.seconds:g} s in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
