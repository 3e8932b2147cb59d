import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from diffvs_jax.data import datasets, examples, pipeline
from diffvs_jax.data.augmentation import NO_AUGMENTATION
from diffvs_jax.errors import InputError

RATE = 8000
STEMS = ("bass", "drums", "other", "vocals")
CHUNK = 100


def settings(**changes):
    plain = {
        "targets": ("vocals",),
        "remix_probability": 0.0,
        "match_bandwidth": True,
        "vocal_active_tries": 0,
        "num_workers": 0,
        "num_threads": 0,
        "prefetch": 0,
    }
    augment = dataclasses.asdict(NO_AUGMENTATION)
    for name in augment.keys() & changes.keys():
        augment[name] = changes.pop(name)
    return SimpleNamespace(**(plain | changes), augment=SimpleNamespace(**augment))


EVERYTHING = {
    "remix_probability": 0.5,
    "gain_range": (0.25, 1.25),
    "channel_swap_probability": 0.5,
    "sign_flip_probability": 0.5,
    "drop_target_probability": 0.2,
    "mono_probability": 0.3,
    "compression_probability": 0.5,
    "soft_clip_probability": 0.5,
    "vocal_active_tries": 2,
}


def write_tracks(root, num_tracks, audio, stems=STEMS):
    """Tracks whose stem s holds ``audio(track, s)``, ``[samples, channels]``."""
    for index in range(num_tracks):
        folder = root / "train" / f"track{index}"
        folder.mkdir(parents=True)
        for place, stem in enumerate(stems):
            soundfile.write(folder / f"{stem}.wav", audio(index, place), RATE, subtype="FLOAT")
    return datasets.open_split(root, "train")


@pytest.fixture
def constants(tmp_path):
    """Four tracks; stem s of track t is 4 ** -s * (t + 1) / 8, so any chunk tells its origin."""
    return write_tracks(tmp_path, 4, lambda track, stem: np.full((400, 1), constant(track, stem)))


def constant(track, stem):
    return 4.0**-stem * (track + 1) / 8


@pytest.fixture
def ramps(tmp_path):
    """Three tracks; stem s at sample n is (n + 1) * (s + 1) + 10 ** 4 * t: it tells its offset."""
    n = np.arange(1, 1001)[:, None]
    return write_tracks(tmp_path, 3, lambda track, stem: (n * (stem + 1.0) + 1e4 * track).astype(np.float32))


@pytest.fixture
def noise(tmp_path):
    rng = np.random.default_rng(0)
    return write_tracks(tmp_path, 5, lambda *_: rng.uniform(-1, 1, (500, 2)).astype(np.float32))


def batches(tracks, config, **changes):
    sizes = {"batch_size": 4, "chunk_samples": CHUNK, "sample_rate": RATE, "num_channels": 1, "seed": 3}
    return pipeline.training_batches(tracks, config, **(sizes | changes))


def take(iterator, count):
    return np.stack([next(iterator) for _ in range(count)])


def drawn_tracks(examples):
    """Index of the track that each example's vocals come from, for the constants."""
    return np.rint(examples[..., 0, 0, 0] / constant(0, 3) - 1).astype(int)


def test_rows_are_targets_then_the_sum_of_the_rest(constants):
    batch = next(batches(constants, settings(targets=("vocals", "bass")), num_channels=2))
    assert batch.shape == (4, 3, CHUNK, 2) and batch.dtype == np.float32
    for example, track in zip(batch, drawn_tracks(batch), strict=True):
        vocals, bass, rest = (constant(track, 3), constant(track, 0), constant(track, 1) + constant(track, 2))
        np.testing.assert_array_equal(
            example, np.broadcast_to(np.reshape([vocals, bass, rest], (3, 1, 1)), (3, CHUNK, 2))
        )


def test_four_targets_leave_no_rest(constants):
    batch = next(batches(constants, settings(targets=("vocals", "drums", "bass", "other"))))
    assert batch.shape == (4, 5, CHUNK, 1)
    np.testing.assert_allclose(batch[0, :4, 0, 0] / batch[0, 0, 0, 0], [1, 16, 64, 4])
    assert not batch[:, 4].any()


def test_without_remixing_all_rows_share_track_and_offset(ramps):
    for example in next(batches(ramps, settings(targets=("bass", "drums")), batch_size=30)):
        bass, drums, rest = np.round(example[:, :, 0])
        track, offset = divmod(bass[0], 1e4)
        steps = offset + np.arange(CHUNK)
        np.testing.assert_array_equal(bass, steps + 1e4 * track)
        np.testing.assert_array_equal(drums, 2 * steps + 1e4 * track)
        np.testing.assert_array_equal(rest, 7 * steps + 2e4 * track)


def test_offsets_cover_the_track(ramps):
    starts = next(batches(ramps, settings(targets=("bass",)), batch_size=300))[:, 0, 0, 0] % 1e4
    assert starts.min() < 20 and 880 < starts.max() <= 901


def test_remixing_draws_track_and_offset_row_by_row(ramps):
    batch = next(batches(ramps, settings(targets=("bass", "drums"), remix_probability=1.0), batch_size=90))
    bass_track, bass_offset = np.divmod(batch[:, 0, 0, 0], 1e4)
    drums_track, drums_offset = np.divmod(batch[:, 1, 0, 0], 1e4)
    rest_track, rest_offset = np.divmod(batch[:, 2, 0, 0], 2e4)
    pairs = set(zip(bass_track, drums_track, rest_track, strict=True))
    assert len(pairs) > 20  # of 27
    assert np.mean(drums_offset == 2 * bass_offset) < 0.1
    assert np.mean(rest_offset == 7 * bass_offset) < 0.1


def test_remixing_happens_with_its_probability(ramps):
    batch = next(batches(ramps, settings(targets=("bass",), remix_probability=0.25), batch_size=400))
    together = (batch[:, 1, 0, 0] % 3e4) == 9 * (batch[:, 0, 0, 0] % 1e4)
    assert 0.68 < together.mean() < 0.82


@pytest.mark.parametrize(
    "changes, augmented",
    [
        ({"gain_range": (0.5, 0.5)}, lambda stems: 0.5 * stems),
        ({"channel_swap_probability": 1.0}, lambda stems: stems[..., ::-1]),
        ({"sign_flip_probability": 1.0}, lambda stems: -stems),
        ({"mono_probability": 1.0}, lambda stems: np.repeat(stems.mean(axis=-1, keepdims=True), 2, axis=-1)),
    ],
)
def test_settings_reach_the_augmentation(noise, changes, augmented):
    plain = next(batches(noise, settings(), num_channels=2))
    batch = next(batches(noise, settings(**changes), num_channels=2))
    np.testing.assert_array_equal(batch, augmented(plain))


def test_dropped_targets_are_exactly_zero(noise):
    batch = next(batches(noise, settings(targets=("vocals", "bass"), drop_target_probability=1.0)))
    assert not batch[:, :2].any()
    assert batch[:, 2].any(axis=(1, 2)).all()


@pytest.mark.parametrize("remix_probability", [0.0, 1.0])
def test_silent_targets_are_drawn_anew(tmp_path, remix_probability):
    quarter = np.zeros((1000, 1), np.float32)
    quarter[:250] = 0.5
    tracks = write_tracks(tmp_path, 2, lambda *_: quarter)

    def share_of_silence(tries):
        config = settings(vocal_active_tries=tries, remix_probability=remix_probability)
        return 1 - next(batches(tracks, config, batch_size=100))[:, 0].any(axis=(1, 2)).mean()

    assert share_of_silence(0) > 0.5
    assert share_of_silence(1) == pytest.approx(share_of_silence(0) ** 2, abs=0.15)
    assert share_of_silence(40) == 0


def test_silence_throughout_still_gives_an_example(tmp_path):
    tracks = write_tracks(tmp_path, 1, lambda *_: np.zeros((300, 1), np.float32))
    assert not next(batches(tracks, settings(vocal_active_tries=3))).any()


def test_tracks_shorter_than_a_chunk_end_in_zeros(tmp_path):
    tracks = write_tracks(tmp_path, 1, lambda *_: np.full((60, 1), 0.5, np.float32))
    batch = next(batches(tracks, settings(vocal_active_tries=2)))
    assert (batch[:, 0, :60] == 0.5).all() and not batch[:, :, 60:].any()


def test_seed_decides_the_batches(noise):
    config = settings(**EVERYTHING)
    first, again, other = (take(batches(noise, config, seed=seed), 3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(2, 3, 4)).all()
    assert (first[0] != first[1]).any()


def test_an_epoch_visits_each_track_once_in_its_own_order(constants):
    epochs = drawn_tracks(take(batches(constants, settings()), 8))
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(4), (8, 1)))
    assert len({tuple(epoch) for epoch in epochs}) > 3


@pytest.mark.parametrize("process_count", [2, 3, 8])
def test_processes_share_one_sequence(constants, process_count):
    common = take(batches(constants, settings(**EVERYTHING), batch_size=1), 24)[:, 0]
    for process in range(process_count):
        own = batches(
            constants,
            settings(**EVERYTHING),
            batch_size=1,
            process_index=process,
            process_count=process_count,
        )
        np.testing.assert_array_equal(take(own, 24 // process_count)[:, 0], common[process::process_count])


def test_global_batches_are_the_same_for_any_number_of_processes(noise):
    config = settings(**EVERYTHING)
    shares = [take(batches(noise, config, batch_size=2, process_index=p, process_count=3), 3) for p in range(3)]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), take(batches(noise, config, batch_size=6), 3))


def test_processes_draw_disjoint_tracks_in_an_epoch(constants):
    shards = [
        drawn_tracks(take(batches(constants, settings(), batch_size=2, process_index=p, process_count=2), 6))
        for p in range(2)
    ]
    epochs = np.concatenate(shards, axis=1)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(4), (6, 1)))


@pytest.mark.parametrize("parallel", [{}, {"num_threads": 2, "prefetch": 3}, {"num_workers": 2, "prefetch": 2}])
def test_threads_and_workers_give_the_same_batches_from_any_example_on(noise, parallel):
    wanted = take(batches(noise, settings(**EVERYTHING)), 7).reshape(28, 2, CHUNK, 1)
    later = batches(noise, settings(**EVERYTHING, **parallel), first_example=6)
    np.testing.assert_array_equal(take(later, 5).reshape(20, 2, CHUNK, 1), wanted[6:26])


def test_a_batch_is_described_as_it_is_drawn(noise):
    config = settings(**EVERYTHING)
    pool = examples.Pool(noise, pipeline.example_spec(config, CHUNK, RATE, 1))
    sequence = pipeline.visits(pool, 3)
    described = examples.describe_batch(pool, [sequence[place] for place in range(40)])
    for example, words in zip(take(batches(noise, config), 10).reshape(40, 2, CHUNK, 1), described, strict=True):
        assert list(words["peaks"].values()) == np.abs(example).max(axis=(1, 2)).tolist()
        assert words["finite"]
    names = {track.name for track in noise}
    assert {words["track"] for words in described} == names
    remixed = [words for words in described if any(text.startswith("of ") for text in words["rows"]["rest"])]
    assert 8 < len(remixed) < 32  # half of them
    assert {words["rows"]["rest"][0].removeprefix("of ") for words in remixed} == names


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"gain_range": (1.0, 0.5)}, r"gain_range is \(1\.0, 0\.5\)"),
        ({"remix_probability": 1.5}, r"remix_probability is 1\.5; it must lie in \[0, 1\]"),
        ({"channel_swap_probability": -1}, "channel_swap_probability is -1"),
        ({"sign_flip_probability": 2}, "sign_flip_probability is 2"),
        ({"drop_target_probability": float("nan")}, "drop_target_probability is nan"),
        ({"vocal_active_tries": -1}, "vocal_active_tries is -1; 0 switches it off"),
        ({"num_workers": -1}, "num_workers is -1"),
        ({"num_threads": -2}, "num_threads is -2"),
        ({"prefetch": -3}, "prefetch is -3"),
        ({"targets": ("choir",)}, "no track has stem 'choir'"),
    ],
)
def test_settings_out_of_range_are_named(constants, changes, message):
    with pytest.raises(InputError, match=message):
        batches(constants, settings(**changes))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296; choose it from 0 to 4294967295"),
        ({"process_index": 2, "process_count": 2}, r"process_index is 2; it must lie in \[0, 2\)"),
    ],
)
def test_arguments_out_of_range_are_named(constants, changes, message):
    with pytest.raises(InputError, match=message):
        batches(constants, settings(), **changes)


def test_no_tracks_is_an_error():
    with pytest.raises(InputError, match="no tracks to train on"):
        batches([], settings())


def evaluation(tracks, targets=("bass",), per_track=3):
    return examples.evaluation_chunks(
        tracks, targets, chunk_samples=CHUNK, sample_rate=RATE, num_channels=1, per_track=per_track
    )


def test_evaluation_chunks_are_evenly_spaced_and_unchanged(ramps):
    chunks = evaluation(ramps)
    assert chunks.shape == (9, 2, CHUNK, 1) and chunks.dtype == np.float32
    starts = np.array([1 + round(900 * (i + 0.5) / 3) for i in range(3)])
    wanted = np.concatenate([starts + 1e4 * track for track in range(3)])
    np.testing.assert_array_equal(chunks[:, 0, 0, 0], wanted)
    np.testing.assert_array_equal(chunks[:3, 1, 0, 0], 9 * starts)
    np.testing.assert_array_equal(chunks, evaluation(ramps))


def test_one_evaluation_chunk_is_the_middle_of_the_track(ramps):
    np.testing.assert_array_equal(evaluation(ramps[:1], per_track=1)[0, 0, [0, -1], 0], [451, 550])


def test_evaluation_keeps_its_count_on_short_tracks(tmp_path):
    tracks = write_tracks(tmp_path, 1, lambda *_: np.full((60, 1), 0.5, np.float32))
    chunks = evaluation(tracks)
    assert chunks.shape == (3, 2, CHUNK, 1) and not chunks[:, :, 60:].any()


def test_evaluation_names_what_is_missing(ramps):
    with pytest.raises(InputError, match="has no stem 'choir'"):
        evaluation(ramps, targets=("choir",))
    with pytest.raises(InputError, match="0 chunks of each of 3 tracks"):
        evaluation(ramps, per_track=0)
    with pytest.raises(InputError, match="3 chunks of each of 0 tracks"):
        evaluation([])
