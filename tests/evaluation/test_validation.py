import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.datasets import open_split
from diffvs_jax.data.examples import evaluation_chunks
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation import validation
from diffvs_jax.evaluation.validation import Validator, validation_tracks
from diffvs_jax.inference.separator import Separator
from diffvs_jax.training.sharding import state_sharding
from tests.helpers import RATE, random_params, write_song
from tests.nano import get_config

PER_TRACK, SAMPLES = 9, 960  # the nano model's: chunks of a track, which last just above a second, and of a chunk


def config_of(**changes):
    """A network of three blocks, which compiles in a second, and two tracks in five batches of four chunks."""
    config = get_config()
    config.model.channel_mult = (1,)
    config.validation.num_tracks = 2
    config.update_from_flattened_dict(changes)
    return config


def stats_of(config):
    return BandStats.ones(len(config.data.targets), config.audio.num_bands)


def mesh_of(data, fsdp):
    if jax.device_count() < data * fsdp:
        pytest.skip(f"needs {data * fsdp} devices")
    devices = jax.devices()[: data * fsdp]
    return jax.make_mesh((data, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def without_clock(scalars):
    return {name: value for name, value in scalars.items() if name != "validation/seconds"}


@pytest.fixture(scope="module")
def tracks(musdb_folder):
    return open_split(musdb_folder, "test")


def chunks_of(config, tracks):
    """``[tracks * chunks, stems, samples, channels]``."""
    form = {"chunk_samples": SAMPLES, "sample_rate": RATE, "num_channels": 2}
    return evaluation_chunks(tracks, config.data.targets, per_track=config.validation.chunks_per_track, **form)


@pytest.fixture(scope="module")
def validated(tracks):
    """A validator on one device, what it found in two calls, and programs compiled in the second."""
    config, compiled = config_of(), []
    validator = Validator(config, tracks, mesh_of(1, 1))
    first = validator(random_params(config), stats_of(config))

    def count(event, *_, **__):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        second = validator(random_params(config, 1), stats_of(config))
        again = validator(random_params(config), stats_of(config))
        compiled_again = len(compiled)
        jax.jit(lambda x: x + 12.345)(1.0)  # the listener hears compilers
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert len(compiled) == compiled_again + 1
    return config, first, second, again, compiled_again


def decibels(truth, estimate):
    return 10 * np.log10(np.sum(truth**2) / np.sum((truth - estimate) ** 2))


@pytest.mark.parametrize(("suffix", "part"), [("", slice(None)), ("_one_step", [0, -1])])
def test_scores_are_those_of_the_separators_chunks(validated, tracks, suffix, part):
    config, found = validated[:2]
    chunks = chunks_of(config, tracks)
    separator = Separator(random_params(config), stats_of(config), config)
    frames = np.arange(len(chunks)) * config.audio.num_frames
    estimates = separator.chunks(chunks.sum(axis=1), frames, separator.sigmas[part])[:, 0]
    csdr, usdr, untouched = [], [], []
    for track in range(2):
        of_track = slice(track * PER_TRACK, (track + 1) * PER_TRACK)
        truth, mixture, estimate = (
            array[of_track].reshape(-1, 2).astype(np.float64) for array in (chunks[:, 0], chunks.sum(axis=1), estimates)
        )
        csdr.append(decibels(truth[:RATE], estimate[:RATE]))
        usdr.append(decibels(truth, estimate))
        untouched.append(decibels(truth, mixture))
    assert found.scalars[f"validation/csdr{suffix}"] == pytest.approx(np.median(csdr), abs=1e-3)
    assert found.scalars[f"validation/usdr{suffix}"] == pytest.approx(np.mean(usdr), abs=1e-3)
    assert found.scalars["validation/usdr_mixture"] == pytest.approx(np.mean(untouched), abs=1e-3)


def test_what_is_found_has_names_and_forms(validated):
    _, found, second, _, _ = validated
    assert found.csdr == found.scalars["validation/csdr"]
    names = {"csdr", "csdr_one_step", "usdr", "usdr_one_step", "usdr_mixture", "seconds"}
    assert found.scalars.keys() == {f"validation/{name}" for name in names}
    ((name, picture),) = found.images.items()
    assert name == "validation/example_0"
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert picture.std() > 20
    parts = [f"{name}/{part}" for part in ("vocals", "mixture", "vocals_truth")]
    assert list(found.audio) == parts
    assert {(sound.shape, rate) for sound, rate in found.audio.values()} == {((SAMPLES, 2), RATE)}
    assert list(second.audio) == parts[:1]  # the others stay the same


def test_it_compiles_once_and_repeats_itself(validated):
    _, first, second, again, compiled = validated
    assert compiled == 0
    assert without_clock(again.scalars) == without_clock(first.scalars)
    assert second.csdr != first.csdr
    np.testing.assert_array_equal(again.images["validation/example_0"], first.images["validation/example_0"])
    assert (second.images["validation/example_0"] != first.images["validation/example_0"]).any()


def test_two_devices_find_what_one_finds(validated, tracks):
    """Chunks are split over both, and so are the parameters."""
    config, found = validated[0].copy_and_resolve_references(), validated[1]
    config.separation.batch_size = 3  # four, on two devices
    mesh = mesh_of(1, 2)
    params = random_params(config)
    params = jax.device_put(params, state_sharding(params, mesh))
    other = Validator(config, tracks, mesh)(params, stats_of(config))
    assert without_clock(other.scalars) == pytest.approx(without_clock(found.scalars), abs=1e-3)


def shares_of_the_truth(monkeypatch, config, tracks, shares):
    """Lets the model answer with that share of each true target, found by the chunk's frame number."""
    truth, shards = jnp.asarray(chunks_of(config, tracks)[:, :-1]), []

    def make_program(_):
        def program(params, stats, mixture, first_frames, sigmas, key):
            jax.debug.inspect_array_sharding(
                mixture, callback=lambda sharding: shards.append(sharding.shard_shape(mixture.shape))
            )
            own = truth[first_frames // config.audio.num_frames]
            return own * jnp.asarray(shares)[None, :, None, None]

        return program

    monkeypatch.setattr(validation, "make_program", make_program)
    found = Validator(config, tracks, mesh_of(2, 1))(None, stats_of(config))
    assert set(shards) == {(2, SAMPLES, 2)}, "half of the batch on each device"
    return found


def test_a_model_that_is_nearly_right_scores_high(monkeypatch, tracks):
    found = shares_of_the_truth(monkeypatch, config_of(), tracks, [0.9])
    assert found.csdr == pytest.approx(20, abs=1e-3)
    assert found.scalars["validation/usdr"] == pytest.approx(20, abs=1e-3)
    assert found.scalars["validation/usdr_mixture"] < 5
    assert shares_of_the_truth(monkeypatch, config_of(), tracks, [1.0]).csdr == np.inf


def test_several_targets_have_scores_of_their_own_and_their_mean(monkeypatch, tracks):
    config = config_of(**{"data.targets": ("vocals", "drums")})
    found = shares_of_the_truth(monkeypatch, config, tracks, [0.9, 0.5])
    for kind in ("csdr", "csdr_one_step", "usdr", "usdr_one_step"):
        assert found.scalars[f"validation/{kind}/vocals"] == pytest.approx(20, abs=1e-3)
        assert found.scalars[f"validation/{kind}/drums"] == pytest.approx(20 * np.log10(2), abs=1e-3)
        assert found.scalars[f"validation/{kind}"] == pytest.approx(10 + 10 * np.log10(2), abs=1e-3)
    assert found.csdr == found.scalars["validation/csdr"]
    assert "validation/example_0/drums" in found.audio


def test_targets_that_are_the_whole_music_sum_to_it_where_they_shall(monkeypatch, tracks):
    config = config_of(**{"data.targets": ("vocals", "drums", "other"), "separation.sum_to_mixture": True})
    found = shares_of_the_truth(monkeypatch, config, tracks, [0.9, 0.5, 0.2])
    sounds = {name.rpartition("/")[2]: sound for name, (sound, _) in found.audio.items()}
    np.testing.assert_allclose(sum(sounds[name] for name in config.data.targets), sounds["mixture"], atol=1e-5)


def test_the_loudest_chunk_of_a_track_is_the_example(monkeypatch, tracks):
    config = config_of(**{"validation.num_examples": 5})  # there are two tracks
    found = shares_of_the_truth(monkeypatch, config, tracks, [0.9])
    assert list(found.images) == ["validation/example_0", "validation/example_1"]
    for number in range(2):
        chunks = chunks_of(config, tracks[number : number + 1])
        loudest = chunks[np.square(chunks[:, 0]).sum(axis=(1, 2)).argmax()]
        name = f"validation/example_{number}"
        np.testing.assert_array_equal(found.audio[f"{name}/vocals_truth"][0], loudest[0])
        np.testing.assert_allclose(found.audio[f"{name}/vocals"][0], 0.9 * loudest[0], atol=1e-6)
        np.testing.assert_allclose(found.audio[f"{name}/mixture"][0], loudest.sum(axis=0), atol=1e-6)


def test_less_than_a_second_has_no_csdr(monkeypatch, tracks):
    config = config_of(**{"validation.chunks_per_track": PER_TRACK - 1, "validation.num_examples": 0})
    found = shares_of_the_truth(monkeypatch, config, tracks, [0.9])
    assert np.isnan(found.csdr)
    assert found.scalars["validation/usdr"] == pytest.approx(20, abs=1e-3)
    assert (found.images, found.audio) == ({}, {})


def test_a_model_that_has_gone_astray_is_told_by_its_scores(monkeypatch, tracks):
    found = shares_of_the_truth(monkeypatch, config_of(), tracks, [np.nan])
    assert np.isnan(found.csdr) and np.isnan(found.scalars["validation/usdr"])
    assert found.images["validation/example_0"].std() > 20  # the mixture and the truth are there


def test_tracks_that_cannot_be_scored_are_bad_input(tracks):
    with pytest.raises(InputError, match="has no stem 'bass'"):
        Validator(config_of(**{"data.targets": ("bass",)}), tracks, mesh_of(1, 1))
    with pytest.raises(InputError, match="of 0 tracks"):
        Validator(config_of(), [], mesh_of(1, 1))


@pytest.fixture
def stems_folder(tmp_path):
    """Three songs without splits, one of which lacks a voice."""
    for index, stems in enumerate((("vocals", "drums"), ("vocals", "drums"), ("bass", "drums"))):
        write_song(tmp_path / f"song {index}", index, stems=stems)
    return tmp_path


def test_without_tracks_to_hold_out_a_line_says_how_to_name_them(stems_folder):
    config, log = config_of(**{"data.root": str(stems_folder)}), []
    assert validation_tracks(config, stems_folder, log.append) == []
    assert len(log) == 1 and "has no split 'valid'" in log[0] and "data.valid_tracks" in log[0]


def test_named_tracks_are_held_out_if_they_can_be_scored(stems_folder):
    config, log = config_of(**{"data.root": str(stems_folder), "data.valid_tracks": ("song 1",)}), []
    assert [track.name for track in validation_tracks(config, stems_folder, log.append)] == ["song 1"]
    assert log == []
    config.data.valid_tracks = ("song 2",)
    assert validation_tracks(config, stems_folder, log.append) == []
    assert "vocals" in log[-1]


def test_procedural_songs_to_validate_with_are_neither_trained_on_nor_tested(tmp_path):
    config = config_of()
    (track,) = validation_tracks(config, tmp_path)
    assert [path.name for path in (tmp_path / "songs").iterdir()] == ["valid"]
    assert track.name.startswith("Procedural valid")
    config.data.synthetic.num_valid_songs = 0
    log = []
    assert validation_tracks(config, tmp_path, log.append) == []
    assert "num_valid_songs is 0" in log[0]
