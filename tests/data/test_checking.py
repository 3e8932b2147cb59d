"""Every defect a file can have is made, found, and nothing else is found."""

import numpy as np
import pytest
import soundfile

from diffvs_jax.audio import decoding, segments
from diffvs_jax.data import listening
from diffvs_jax.data.checking import BAD, NOTES, Form, check_split, check_track
from diffvs_jax.data.datasets import open_root
from diffvs_jax.data.tracks import make_track
from diffvs_jax.errors import InputError

RATE = 8000
FORM = Form(RATE, 2)
STEMS = ("bass", "vocals")


def noise(seed, seconds=2.5, channels=2, peak=0.25):
    """Multiples of 2^-15, which 16 bits hold and 32 bits sum exactly."""
    audio = np.random.default_rng(seed).uniform(-peak, peak, (round(seconds * RATE), channels))
    return np.round(audio * 2**15) / 2**15


def write_track(folder, suffix="wav", mixture=True, **changed):
    """A track without a defect but for the audio in ``changed``, by stem; a mixture to order, or none."""
    folder.mkdir(parents=True)
    stems = {stem: noise(seed) for seed, stem in enumerate(STEMS)}
    if mixture is True:
        mixture = sum(stems.values())
    if mixture is not False:
        changed["mixture"] = mixture
    for stem, audio in {**stems, **changed}.items():
        write(folder / f"{stem}.{suffix}", audio)
    return folder


def write(path, audio, rate=RATE):
    soundfile.write(path, audio, rate, **({"subtype": "FLOAT"} if path.suffix == ".wav" else {}))


def check(root, split="train", num_workers=1):
    return check_split(open_root(str(root)), split, FORM, num_workers)


def check_one(root):
    (report,) = check(root)
    return report


def the_finding(report):
    (finding,) = report.findings
    assert finding.kind in (BAD if finding.bad else NOTES)
    assert report.bad == finding.bad
    return finding


@pytest.fixture
def song(tmp_path):
    return tmp_path / "train" / "song"


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_clean_files_give_no_findings(tmp_path, song, suffix):
    write_track(song, suffix)
    report = check_one(tmp_path)
    assert report.findings == ()
    assert (report.name, report.opens, report.bad, report.seconds) == ("song", True, False, 2.5)
    assert report.heard == {"bass": 2.5, "vocals": 2.5}
    assert report.residual_db == -200.0


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_clean_lossy_files_give_no_findings(tmp_path, song, suffix):
    write_track(song, suffix, mixture=False)
    report = check_one(tmp_path)
    assert report.findings == ()
    assert report.residual_db is None


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])


@pytest.mark.parametrize(
    "suffix, opens, words",
    [
        ("wav", False, r"vocals\.wav: ends 1\.00 s before its header says"),
        ("aiff", False, r"vocals\.aiff: ends before it should"),
        ("ogg", False, r"vocals\.ogg: ends before it should"),
        ("flac", True, r"vocals\.flac: breaks off within 8 s after 0\.00 s, its header says 2\.50 s"),
        ("mp3", True, r"vocals\.mp3: breaks off at 1\.\d\d s, its header says 2\.50 s"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_truncated_stem_is_bad(tmp_path, song, suffix, opens, words, capfd):
    write_track(song, suffix, mixture=False)
    cut(song / f"vocals.{suffix}", 0.6)
    report = check_one(tmp_path)
    finding = the_finding(report)
    assert (finding.kind, finding.bad, report.opens) == ("truncated", True, opens)
    assert_matches(words, finding.message)


def assert_matches(pattern, message):
    with pytest.raises(InputError, match=pattern):
        raise InputError(message)


def test_a_flac_that_is_damaged_inside_is_bad(tmp_path, song, monkeypatch):
    monkeypatch.setattr(listening, "BLOCK_SECONDS", 1)
    write_track(song, "flac")
    path = song / "vocals.flac"
    content = bytearray(path.read_bytes())
    middle = len(content) * 7 // 10
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    report = check_one(tmp_path)
    assert the_finding(report).kind == "truncated"
    assert report.residual_db is None


def test_an_ogg_that_is_damaged_inside_is_bad(tmp_path, song):
    write_track(song, "ogg", mixture=False)
    content = bytearray((song / "bass.ogg").read_bytes())
    content[len(content) // 2] ^= 1
    (song / "bass.ogg").write_bytes(content)
    report = check_one(tmp_path)
    finding = the_finding(report)
    assert (finding.kind, report.opens) == ("truncated", True)
    assert_matches(r"bass\.ogg: is damaged at \d\d % of the file", finding.message)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("block_seconds", [1, 8])
def test_samples_that_are_not_finite_are_counted_and_placed(tmp_path, song, monkeypatch, value, block_seconds):
    monkeypatch.setattr(listening, "BLOCK_SECONDS", block_seconds)
    audio = noise(1)
    audio[[12_000, 12_001], [0, 1]] = value
    write_track(song, vocals=audio)
    report = check_one(tmp_path)
    finding = the_finding(report)
    assert (finding.kind, finding.bad, report.opens) == ("nan", True, True)
    assert "vocals.wav: 2 samples are NaN or infinite, the first at 1.50 s" in finding.message
    assert report.residual_db is None
    assert report.heard["vocals"] == 2.5


def test_stems_of_different_lengths_are_bad(tmp_path, song):
    write_track(song, mixture=False, vocals=noise(1, seconds=2))
    report = check_one(tmp_path)
    finding = the_finding(report)
    assert (finding.kind, report.opens) == ("length", False)
    assert "vocals.wav lasts 2.00 s and bass.wav 2.50 s" in finding.message
    assert report.name == "train/song"


@pytest.mark.parametrize("seconds", [2.45, 2.55])
def test_a_tenth_of_a_second_is_no_difference(tmp_path, song, seconds):
    write_track(song, mixture=False, vocals=noise(1, seconds=seconds))
    assert check_one(tmp_path).findings == ()


def text(path):
    path.write_text("these are words, not sound")


def empty(path):
    write(path, np.zeros((0, 2)))


@pytest.mark.parametrize("spoil, words", [(text, "not an audio file that can be read"), (empty, "holds no samples")])
@pytest.mark.parametrize("stem, opens", [("vocals", False), ("mixture", True)])
def test_an_unreadable_file_is_bad_in_its_own_words(tmp_path, song, spoil, words, stem, opens):
    write_track(song)
    spoil(song / f"{stem}.wav")
    report = check_one(tmp_path)
    finding = the_finding(report)
    assert (finding.kind, report.opens) == ("unreadable", opens)
    assert f"{song / stem}.wav: {words}" in finding.message


def test_a_folder_without_stems_is_bad(tmp_path, song):
    write_track(song)
    (tmp_path / "train" / "hollow").mkdir()
    hollow, whole = check(tmp_path)
    assert the_finding(hollow).message.endswith(
        "train/hollow: holds no stems; add files such as vocals.wav or remove the folder"
    )
    assert whole.findings == ()


@pytest.mark.parametrize("seconds, kinds", [(2, ["length"]), (3, ["length"]), (2.45, [])])
def test_the_mixture_is_as_long_as_the_stems(tmp_path, song, seconds, kinds):
    total = sum(noise(seed) for seed in range(2))
    length = round(seconds * RATE)
    write_track(song, mixture=np.pad(total, ((0, max(0, length - len(total))), (0, 0)))[:length])
    report = check_one(tmp_path)
    assert [finding.kind for finding in report.findings if finding.kind != "residual"] == kinds
    assert report.bad == bool(kinds)


def test_a_mixture_that_was_cut_off_is_bad(tmp_path, song):
    write_track(song)
    cut(song / "mixture.wav", 0.6)
    finding = the_finding(check_one(tmp_path))
    assert finding.kind == "truncated"
    assert "mixture.wav: ends 1.00 s" in finding.message


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_another_rate_is_noted_once_for_all_files(tmp_path, song, suffix):
    write_track(song, suffix, mixture=False)
    for stem in STEMS:
        write(song / f"{stem}.{suffix}", noise(1), 16_000)
    finding = the_finding(check_one(tmp_path))
    assert (finding.kind, finding.bad) == ("rate", False)
    assert "bass." + suffix in finding.message and "vocals." + suffix in finding.message
    assert "16000 Hz, wanted 8000 Hz" in finding.message


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_mono_is_noted(tmp_path, song, suffix):
    write_track(song, suffix, mixture=False, vocals=noise(1, channels=1))
    finding = the_finding(check_one(tmp_path))
    assert (finding.kind, finding.bad) == ("mono", False)
    assert "vocals." in finding.message and "bass" not in finding.message


def test_mono_is_nothing_where_mono_is_wanted(song):
    write_track(song, vocals=noise(1, channels=1), mixture=noise(0) + noise(1, channels=1))
    track = make_track("song", {stem: [song / f"{stem}.wav"] for stem in STEMS}, song / "mixture.wav")
    report = check_track(track, Form(RATE, 1))
    assert report.findings == ()
    assert report.residual_db == -200.0


def test_channels_that_cannot_be_mixed_are_bad(tmp_path, song):
    write_track(song, vocals=noise(1, channels=3))
    report = check_one(tmp_path)
    finding = the_finding(report)
    assert (finding.kind, finding.bad) == ("channels", True)
    assert "vocals.wav: has 3 channels; mix it down to 1 or 2" in finding.message
    with pytest.raises(InputError, match="3 channels"):  # what training does with it
        segments.load_segment(song / "vocals.wav", 0, 10, RATE, 2)


def clipped(runs):
    """Noise with samples at full scale in runs (start, length, channel, sign)."""
    audio = noise(1)
    for start, length, channel, sign in runs:
        audio[start : start + length, channel] = sign * 0.99999
    return audio


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("block_seconds", [1, 8])
def test_clipped_runs_are_counted_also_where_blocks_meet(tmp_path, song, monkeypatch, suffix, block_seconds):
    monkeypatch.setattr(listening, "BLOCK_SECONDS", block_seconds)
    runs = [(0, 3, 0, 1), (100, 2, 0, 1), (7998, 4, 1, -1), (15_999, 1, 0, 1), (19_995, 5, 0, -1), (7999, 5, 0, 1)]
    write_track(song, suffix, mixture=False, vocals=clipped(runs))
    finding = the_finding(check_one(tmp_path))
    assert (finding.kind, finding.bad) == ("clipped", False)
    assert "4 runs of 3 or more samples at full scale" in finding.message
    assert f"{100 * (3 + 4 + 5 + 5) / 40_000:.2g} % of its samples" in finding.message


def test_two_samples_at_full_scale_are_a_loud_peak(tmp_path, song):
    write_track(song, mixture=False, vocals=clipped([(100, 2, 0, 1), (102, 2, 1, 1), (200, 2, 0, -1)]))
    assert check_one(tmp_path).findings == ()


def test_clipping_outlives_a_lossy_codec(tmp_path, song):
    audio = np.clip(8 * np.sin(np.arange(20_000) / 20), -1, 1)[:, None].repeat(2, axis=1)
    write_track(song, "ogg", mixture=False, vocals=audio)
    finding = the_finding(check_one(tmp_path))
    assert finding.kind == "clipped"
    assert "vocals.ogg" in finding.message


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_a_silent_stem_is_noted(tmp_path, song, suffix):
    write_track(song, suffix, mixture=False, vocals=np.zeros((20_000, 2)))
    report = check_one(tmp_path)
    finding = the_finding(report)
    assert (finding.kind, finding.bad) == ("silent", False)
    assert f"vocals.{suffix}: all of stem 'vocals' is silent, peak zero (limit -80 dB)" in finding.message
    assert report.heard == {"bass": 2.5, "vocals": 0}


@pytest.mark.parametrize("decibels, kinds", [(-81, ["silent"]), (-79, [])])
def test_silence_ends_at_minus_80_decibels(tmp_path, song, decibels, kinds):
    audio = np.zeros((20_000, 2))
    audio[10_000, 1] = -(10 ** (decibels / 20))
    write_track(song, mixture=False, vocals=audio)
    assert [finding.kind for finding in check_one(tmp_path).findings] == kinds


@pytest.mark.parametrize("block_seconds", [1, 8])
def test_seconds_over_minus_60_decibels_are_heard(tmp_path, song, monkeypatch, block_seconds):
    monkeypatch.setattr(listening, "BLOCK_SECONDS", block_seconds)
    audio = np.zeros((20_000, 2))
    audio[[100, 9000, 17_000], 0] = [1.1e-3, 0.9e-3, -1.1e-3]  # the first second, and the half one at the end
    write_track(song, mixture=False, vocals=audio)
    assert check_one(tmp_path).heard["vocals"] == 2


@pytest.mark.parametrize("error, kinds", [(1e-1, ["residual"]), (0.011, ["residual"]), (0.009, []), (1e-3, [])])
@pytest.mark.parametrize("block_seconds", [1, 8])
def test_the_residual_is_that_of_the_formula(tmp_path, song, monkeypatch, error, kinds, block_seconds):
    monkeypatch.setattr(listening, "BLOCK_SECONDS", block_seconds)
    write_track(song, mixture=(noise(0) + noise(1)) * (1 + error))
    report = check_one(tmp_path)
    assert report.residual_db == pytest.approx(20 * np.log10(error / (1 + error)), abs=0.01)
    assert [finding.kind for finding in report.findings] == kinds
    assert not report.bad
    if kinds:
        told = f"mixture.wav: differs from the sum of the stems by {report.residual_db:.1f} dB (limit -40 dB)"
        assert told in report.findings[0].message


def test_what_sixteen_bits_round_off_is_no_residual(tmp_path, song):
    write_track(song)
    quiet = {stem: 0.1 * noise(seed) for seed, stem in enumerate(STEMS)}  # -37 dB
    for stem, audio in {**quiet, "mixture": sum(quiet.values())}.items():
        soundfile.write(song / f"{stem}.wav", audio, RATE, subtype="PCM_16")
    report = check_one(tmp_path)
    assert report.findings == ()
    assert -70 < report.residual_db < -55


@pytest.mark.parametrize("gain, residual", [(1.0, -50.0), (0.5, 20 * np.log10(0.5))])
def test_the_residual_is_taken_at_the_mixtures_rate_and_channels(tmp_path, song, monkeypatch, gain, residual):
    monkeypatch.setattr(listening, "BLOCK_SECONDS", 1)
    write_track(song)
    sines = {rate: 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(2.5 * rate)) / rate) for rate in (RATE, 16_000)}
    write(song / "vocals.wav", sines[16_000][:, None], 16_000)
    write(song / "bass.wav", np.zeros((20_000, 2)))
    write(song / "mixture.wav", np.stack([sines[RATE]] * 2, axis=1) / (1 - gain if gain < 1 else 1))
    report = check_one(tmp_path)
    assert {"rate", "mono", "silent"} <= {finding.kind for finding in report.findings}
    if gain < 1:
        assert report.residual_db == pytest.approx(residual, abs=0.05)
    else:
        assert report.residual_db < residual


def test_silence_against_a_mixture_is_all_residual(tmp_path, song):
    write_track(song, mixture=np.zeros((20_000, 2)))
    report = check_one(tmp_path)
    assert report.residual_db == 200.0
    assert the_finding(report).kind == "residual"


def test_stems_of_several_files_may_end_early(song):
    song.mkdir(parents=True)
    parts = {"lead": noise(0, seconds=1), "choir": np.pad(noise(1, seconds=1), ((8000, 0), (0, 0)))}
    for name, audio in {**parts, "bass": noise(2)}.items():
        write(song / f"{name}.wav", audio)
    stems = {"vocals": [song / "lead.wav", song / "choir.wav"], "bass": [song / "bass.wav"]}
    report = check_track(make_track("song", stems, whole=False), FORM)
    assert report.findings == ()
    assert report.heard == {"bass": 2.5, "vocals": 2}


def test_a_mixture_may_last_longer_than_stems_that_may_end_early(song):
    write_track(song, vocals=np.zeros((8000, 2)), mixture=np.pad(noise(0), ((0, 8000), (0, 0))))
    stems = {stem: [song / f"{stem}.wav"] for stem in STEMS}
    report = check_track(make_track("song", stems, song / "mixture.wav", whole=False), FORM)
    assert [finding.kind for finding in report.findings] == ["silent"]
    assert report.residual_db == -200.0


def test_blocks_are_all_that_is_read_at_once(tmp_path, song, monkeypatch):
    monkeypatch.setattr(listening, "BLOCK_SECONDS", 1)
    lengths, stream = [], decoding.stream

    def watched(path, block_samples):
        for block in stream(path, block_samples):
            lengths.append(len(block))
            yield block

    monkeypatch.setattr(decoding, "stream", watched)
    write_track(song)
    assert check_one(tmp_path).residual_db == -200.0
    assert sorted(lengths) == [4000] * 3 + [8000] * 6


def test_workers_find_the_same_in_the_same_order(tmp_path):
    for name, vocals in {"a": noise(1), "b": np.zeros((20_000, 2)), "c": clipped([(5, 3, 0, 1)])}.items():
        write_track(tmp_path / "train" / name, mixture=False, vocals=vocals)
    text(tmp_path / "train" / "a" / "bass.wav")
    seen = []
    alone = check_split(open_root(str(tmp_path)), "train", FORM, 1, lambda *counts: seen.append(counts))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [report.findings[0].kind for report in alone] == ["unreadable", "silent", "clipped"]
    assert check(tmp_path, num_workers=2) == alone


def test_a_root_may_name_its_kind(tmp_path):
    write_track(tmp_path / "train" / "song", mixture=False)
    assert type(open_root(f"stems:{tmp_path}")).__name__ == "StemFolders"
    assert type(open_root(str(tmp_path))).__name__ == "Musdb"


def test_training_that_meets_damage_names_the_file_and_this_check(song):
    audio = noise(1)
    audio[15_000] = np.nan
    write_track(song, vocals=audio)
    track = make_track("song", {stem: [song / f"{stem}.wav"] for stem in STEMS})
    track.read_stem("vocals", 0, 8000, RATE, 2)
    with pytest.raises(InputError, match=r"vocals\.wav: holds NaN .* -m diffvs_jax\.data\.check finds all"):
        track.read_stem("vocals", 8000, 8000, RATE, 2)
    text(song / "vocals.wav")
    with pytest.raises(InputError, match=r"vocals\.wav: not an audio file .* -m diffvs_jax\.data\.check finds all"):
        track.read_stem("vocals", 0, 8000, RATE, 2)
