import numpy as np
import soundfile

from diffvs_jax.evaluation import excerpts
from diffvs_jax.evaluation.records import Record, load_records, save_record

RATE = 1000


def test_the_lowest_and_the_highest_are_kept():
    values = [5.0, np.nan, -3.0, 8.0, np.inf, 1.0, 2.0]
    assert excerpts.ends(values, count=1) == [2, 3]
    assert excerpts.ends(values, count=2) == [0, 2, 3, 5]
    assert excerpts.ends(values, count=50) == [0, 2, 3, 5, 6]
    assert excerpts.ends([np.nan]) == []


def test_what_others_beat_is_not_kept():
    others = [-9.0, np.nan, -8.0, 20.0, np.inf, 30.0]
    assert excerpts.ends([0.0, 5.0], others, count=2) == []
    assert excerpts.ends([-8.5, 5.0], others, count=2) == [0]
    assert excerpts.ends([0.0, 25.0], others, count=2) == [1]
    assert excerpts.ends([0.0, 5.0], others, count=3) == [0, 1]


def record(track, kept):
    frames = {"sdr_vocals": [excerpt.sdr for excerpt in kept]}
    return Record(track, "seed_0", "", "", 3.0, RATE, ["vocals"], {"estimate": {}}, frames, kept)


def test_seconds_are_kept_with_what_is_around_them_and_pruned_when_others_are_worse(tmp_path):
    ramp = np.linspace(0, 0.9, 4 * RATE, dtype=np.float32)[:, None]
    records = []
    for number in range(12):  # tracks whose only two seconds are ever better
        sdr = [float(number), np.nan, np.nan, 100.0 + number]
        sounds = {"mixture": ramp, "estimate": -ramp, "truth": ramp / 2}
        kept = excerpts.keep(tmp_path, f"seed_0/song {number}", sounds, RATE, sdr, [0, 3])
        records.append(record(f"song {number}", kept))
        save_record(tmp_path, records[-1])
    first, last = records[0].excerpts
    assert (first.second, first.start, first.sdr) == (0, 0.0, 0.0) and (last.second, last.start) == (3, 2.0)
    for excerpt, part in ((first, ramp[: 2 * RATE]), (last, ramp[2 * RATE :])):
        for kind, sign in (("mixture", 1), ("estimate", -1), ("truth", 0.5)):
            audio, rate = soundfile.read(tmp_path / excerpt.files[kind], always_2d=True)
            assert rate == RATE
            np.testing.assert_allclose(audio, sign * part, atol=1e-6)
    excerpts.prune(tmp_path, records)
    left = {(r.track, e.second) for r in load_records(tmp_path) for e in r.excerpts}
    assert left == {(f"song {n}", 0) for n in range(10)} | {(f"song {n}", 3) for n in range(2, 12)}
    assert len(list(tmp_path.glob("excerpts/seed_0/*/*.flac"))) == 20 * 3


def test_what_was_kept_of_a_track_before_is_gone(tmp_path):
    sound = {"mixture": np.zeros((3 * RATE, 1), np.float32)}
    excerpts.keep(tmp_path, "seed_0/song", sound, RATE, [1.0, 2.0, 3.0], [0, 1])
    excerpts.keep(tmp_path, "seed_0/song", sound, RATE, [1.0, 2.0, 3.0], [2])
    assert [path.name for path in (tmp_path / "excerpts" / "seed_0" / "song").iterdir()] == ["00002_mixture.flac"]
