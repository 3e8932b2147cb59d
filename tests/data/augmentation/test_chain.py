import dataclasses

import numpy as np
import pytest

from configs import base
from diffvs_jax.data.augmentation import NO_AUGMENTATION, Augmentation, augment
from diffvs_jax.data.bandwidth import find_bandwidth, limit_bandwidth
from diffvs_jax.errors import InputError

RATE = 16_000
MIX = Augmentation((0.25, 1.25), 0.5, 0.5, 0.5)
# Everything but pitch and tempo, whose tests are slow enough alone.
EFFECTS = ["mono", "equaliser", "compression", "soft_clip", "reverb", "band_limit"]


def with_effects(probability, *names, **changes):
    changes = {"band_limit_hz": (2000.0, 6000.0), **changes}
    return dataclasses.replace(MIX, **{f"{name}_probability": probability for name in names}, **changes)


def run(stems, augmentation, seed=0, num_targets=1, **options):
    return augment(stems, num_targets, augmentation, RATE, np.random.default_rng(seed), **options)


@pytest.fixture(params=[1, 2], ids=["mono", "stereo"])
def stems(request):
    """Three stems of half a second of noise, read-only."""
    values = 0.1 * np.random.default_rng(0).standard_normal((3, RATE // 2, request.param))
    values = values.astype(np.float32)
    values.flags.writeable = False
    return values


def level_above(audio, hertz):
    """Energy above a frequency relative to all, in decibels; edges faded, which leak."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio))[:, None], axis=0)) ** 2
    start = int(hertz / RATE * len(audio))
    return 10 * np.log10(power[start:].sum() / power.sum() + 1e-20)


def test_no_augmentation_changes_nothing(stems):
    np.testing.assert_array_equal(run(stems, NO_AUGMENTATION), stems)
    assert Augmentation() == NO_AUGMENTATION


@pytest.mark.parametrize("names", [[], EFFECTS, *([name] for name in EFFECTS)], ids="+".join)
def test_seeded_of_the_same_shape_and_finite(stems, names):
    augmentation = with_effects(1.0, *names)
    first, again, other = (run(stems, augmentation, seed) for seed in (1, 1, 2))
    assert first.shape == stems.shape and first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_happens_with_its_probability_and_says_so(stems, name):
    plain = dataclasses.replace(with_effects(0.3, name), gain_range=(1.0, 1.0))
    plain = dataclasses.replace(plain, channel_swap_probability=0.0, sign_flip_probability=0.0)
    plain = dataclasses.replace(plain, drop_target_probability=0.0)
    happened = []
    for seed in range(60):
        trace = []
        changed = (run(stems[:, :800], plain, seed, trace=trace) != stems[:, :800]).any(axis=(1, 2))
        for row in range(3):
            told = any(where in (row, None) for where, _ in trace)
            assert told == changed[row] or (name == "mono" and stems.shape[2] == 1)
            happened.append(told)
    assert 0.15 < np.mean(happened) < 0.45
    together = np.reshape(happened, (60, 3))
    assert (together.any(axis=1) == together.all(axis=1)).all() == (name in ("mono", "band_limit"))


def test_effects_on_a_stem_are_drawn_for_themselves(stems):
    together = set()
    for seed in range(40):
        trace = []
        run(stems[:, :800], with_effects(0.5, "equaliser", "compression", "soft_clip", "reverb"), seed, trace=trace)
        for row in range(3):
            words = [what for where, what in trace if where == row]
            together.add(tuple(any(map(str.startswith, words, [kind] * 9)) for kind in ("EQ", "comp", "clip", "rev")))
    assert len(together) > 12  # of 16


def test_silence_stays_exactly_silent(stems):
    silent = stems.copy()
    silent[1] = 0
    changed = run(silent, with_effects(1.0, *EFFECTS, drop_target_probability=0.0))
    assert not changed[1].any() and changed[[0, 2]].any(axis=(1, 2)).all()


def test_a_dropped_target_leaves_the_mixture_too(stems):
    always = Augmentation(drop_target_probability=1.0)
    augmented = run(stems, always, num_targets=2)
    np.testing.assert_array_equal(augmented.sum(axis=0), stems[2])


@pytest.mark.parametrize("name", EFFECTS)
def test_switching_an_effect_on_leaves_all_other_draws(stems, name):
    before, after = [], []
    everything = with_effects(0.5, *EFFECTS)
    run(stems, everything, 3, trace=before)
    run(stems, dataclasses.replace(everything, **{f"{name}_probability": 0.0}), 3, trace=after)
    missing = [words for words in before if words not in after]
    assert [words for words in after if words not in before] == []
    assert [words for words in before if words not in missing] == after
    kinds = {"band_limit": "up to", "soft_clip": "clipped", "compression": "compressed", "equaliser": "EQ"}
    assert all(words.startswith(kinds.get(name, name)) for _, words in missing)


def test_an_example_takes_one_draw_from_the_generator_whatever_it_does(stems):
    generators = [np.random.default_rng(5) for _ in range(2)]
    augment(stems, 1, NO_AUGMENTATION, RATE, generators[0])
    augment(stems, 1, with_effects(1.0, *EFFECTS), RATE, generators[1])
    assert generators[0].random() == generators[1].random()


def test_mono_is_of_all_stems(stems):
    mono = run(stems, with_effects(1.0, "mono"))
    np.testing.assert_array_equal(mono, np.repeat(mono[..., :1], stems.shape[2], axis=2))


def test_linear_effects_leave_the_image_of_a_centred_voice(stems):
    centred = np.repeat(stems[..., :1], stems.shape[2], axis=2)
    changed = run(centred, with_effects(1.0, "equaliser", "compression", "soft_clip", "reverb"))
    np.testing.assert_allclose(changed, np.repeat(changed[..., :1], stems.shape[2], axis=2), atol=1e-6)


@pytest.mark.parametrize("names", [[], ["soft_clip", "compression", "equaliser", "reverb"]], ids=["plain", "processed"])
def test_a_known_bandwidth_holds_for_every_stem_whatever_makes_overtones(stems, names):
    changed = run(stems, with_effects(1.0, *names, drop_target_probability=0.0), bandwidth=3000.0)
    for stem in changed:
        assert level_above(stem, 3300) < -60 < -10 < level_above(stem, 2000)


def test_a_drawn_limit_is_one_for_all_stems_and_the_lower_one_counts(stems):
    drawn = with_effects(1.0, "band_limit", drop_target_probability=0.0, band_limit_hz=(4000.0, 4000.0))
    for bandwidth, limit in ((np.inf, 4000), (6000.0, 4000), (2000.0, 2000)):
        trace = []
        changed = run(stems, drawn, bandwidth=bandwidth, trace=trace)
        assert (None, f"up to {limit / 1000} kHz") in trace
        assert all(level_above(stem, limit + 300) < -60 for stem in changed)
        assert all(level_above(stem, limit - 300) > -30 for stem in changed)


def test_a_limit_moves_with_the_pitch():
    """One of two stems ends at 7 kHz; an octave lower both end at 3.5, though the other goes up to 4."""
    stems = (0.1 * np.random.default_rng(0).standard_normal((2, RATE, 1))).astype(np.float32)
    stems[:1] = limit_bandwidth(stems[:1], 7000.0, RATE)
    octave = Augmentation(shift_probability=1.0, shift_semitones=(-12.0, -12.0), shift_tempo=(1.0, 1.0))
    changed = run(stems, octave, bandwidth=7000.0)
    assert all(find_bandwidth(stem, RATE) == pytest.approx(3500, abs=250) for stem in changed)


def test_the_paper_s_config_leaves_the_new_effects_off():
    settings = Augmentation.from_config(base.get_config().data.augment)
    on = {name for name, value in dataclasses.asdict(settings).items() if name.endswith("probability") and value}
    assert on == {"channel_swap_probability", "sign_flip_probability", "drop_target_probability"}
    assert settings.gain_range == (0.25, 1.25)


def test_every_setting_is_a_config_key():
    names = {field.name for field in dataclasses.fields(Augmentation)}
    assert names == set(base.get_config().data.augment.keys())


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("gain_range", (0.5,), r"\(lowest, highest\)"),
        ("gain_range", (1.25, 0.25), "0 <= lowest <= highest"),
        ("gain_range", (-1.0, 1.0), "0 <= lowest"),
        ("gain_range", (0.0, float("nan")), "highest"),
        ("mono_probability", 1.5, r"\[0, 1\]"),
        ("equaliser_decibels", -1.0, r"\[0, 40\]"),
        ("equaliser_decibels", float("nan"), r"\[0, 40\]"),
        ("compression_ratio", (0.5, 2.0), "1 <= lowest"),
        ("reverb_seconds", (0.0, 1.0), "0.05 <= lowest"),
        ("shift_tempo", (0.9, 1.1), "highest <= 1"),
        ("shift_semitones", (-24.0, 0.0), "-12 <= lowest"),
        ("band_limit_hz", (0.0, 8000.0), "500 <= lowest"),
    ],
)
def test_a_setting_out_of_its_limits_is_named(key, value, limit):
    section = base.get_config().data.augment
    section.update({key: value})
    with pytest.raises(InputError, match=rf"data\.augment\.{key} is .*; it must .*{limit}"):
        Augmentation.from_config(section)
