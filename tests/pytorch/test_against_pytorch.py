"""Loss, gradients and training steps of the JAX package and of an independent PyTorch version are equal."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import quickstart, small
from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.diffusion import edm
from diffvs_jax.model.denoiser import build_network, make_denoiser
from diffvs_jax.training.gradient import encode_stems
from diffvs_jax.training.optimizer import descend, learning_rate, make_optimizer
from diffvs_jax.training.state import update_ema
from tests import nano
from tests.helpers import random_params

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[torch]'")

from tests.pytorch.representation import encode  # noqa: E402
from tests.pytorch.step import TrainStep, make_unet  # noqa: E402
from tests.pytorch.weights import load, to_torch  # noqa: E402

BATCH = 2
SIGMA = np.float32([0.07, 1.3])


def small_structure():
    """Levels, blocks, attention and 1x1 stem of configs/small.py, a few channels and bins wide."""
    config = small.get_config()
    config.audio.n_fft, config.audio.hop_length, config.audio.num_frames, config.audio.num_bands = 256, 64, 8, 4
    config.model.channels, config.model.head_dim = 16, 8
    return config


def quickstart_like():
    """Mono, two resamplings, alpha 1, another width at the last level; three targets and a block per level more."""
    config = quickstart.get_config()
    config.audio.n_fft, config.audio.hop_length, config.audio.num_frames = 128, 64, 8
    config.model.channels, config.model.num_heads, config.model.head_dim = 8, 2, 4
    config.model.attention_levels = (1,)
    config.data.targets = ("vocals", "bass", "drums")
    return config


CONFIGS = {"nano": nano.get_config, "small": small_structure, "quickstart": quickstart_like}


class Case:
    """One config's weights, stems and noise, and what JAX makes of them."""

    def __init__(self, name):
        self.config = CONFIGS[name]()
        self.path = SignalPath.from_config(self.config)
        targets, bands = len(self.config.data.targets), self.config.audio.num_bands
        std = np.linspace(0.8, 0.3, targets * bands, dtype=np.float32).reshape(targets, bands)
        self.stats = BandStats(np.linspace(1.0, 0.5, bands, dtype=np.float32), std)
        rng = np.random.default_rng(0)
        samples = (BATCH, targets + 1, self.path.chunk_samples, self.path.num_channels)
        self.stems = rng.standard_normal(samples).astype(np.float32)
        self.params = random_params(self.config)
        self.condition, self.clean = jax.jit(lambda stems: encode_stems(stems, self.stats, self.path))(self.stems)
        self.noise = rng.standard_normal(self.clean.shape).astype(np.float32)
        self.loss_and_gradient = jax.jit(jax.value_and_grad(self._mean_loss))

    def _mean_loss(self, params):
        sigma_data = self.config.edm.sigma_data
        denoise = make_denoiser(build_network(self.config), params, self.condition, sigma_data)
        return edm.loss(denoise, self.clean, self.noise, SIGMA, sigma_data).mean()

    def in_torch(self):
        """A PyTorch step with the same weights, and what its loss takes: condition, clean, noise and sigma."""
        network = make_unet(self.config)
        load(network, self.params)
        step = TrainStep(self.config, network, self.stats.mixture, self.stats.targets)
        condition, clean = encode(torch.from_numpy(self.stems), *step.std, self.config.audio, self.path.sigma_data)
        noise = torch.from_numpy(self.noise).permute(0, 3, 1, 2)
        return step, (condition, clean, noise, torch.from_numpy(SIGMA))


@pytest.fixture(scope="module", params=CONFIGS)
def case(request):
    return Case(request.param)


def assert_equal_leaves(got: dict, expected: dict, share: float):
    """Every leaf differs by at most ``share`` of the expected leaf's norm."""
    assert got.keys() == expected.keys()
    for name, leaf in expected.items():
        assert (got[name] - leaf).norm() <= share * leaf.norm(), name
        assert leaf.norm() > 0, f"nothing reaches {name}"


@pytest.mark.parametrize("alpha", [1.0, 0.667])
def test_the_signal_paths_are_equal(case, alpha):
    audio = case.config.copy_and_resolve_references().audio
    audio.alpha = alpha
    path = SignalPath(**audio, sigma_data=case.path.sigma_data)
    stems = np.concatenate([case.stems, 1e-6 * case.stems[:1]])  # the last example is too quiet to be normalised
    ours = jax.jit(lambda stems: encode_stems(stems, case.stats, path))(stems)
    std = [torch.from_numpy(part) for part in case.stats]
    for expected, got in zip(ours, encode(torch.from_numpy(stems), *std, audio, path.sigma_data), strict=True):
        for one, other in zip(expected, got.permute(0, 2, 3, 1).numpy(), strict=True):
            assert np.linalg.norm(other - one) <= 1e-5 * np.linalg.norm(one)


def test_loss_and_every_gradient_are_equal(case):
    loss, gradient = case.loss_and_gradient(case.params)
    step, batch = case.in_torch()
    got = step.loss(*batch)
    got.backward()
    assert got.item() == pytest.approx(float(loss), rel=1e-5)
    gradients = {name: param.grad for name, param in step.network.named_parameters()}
    assert_equal_leaves(gradients, to_torch(gradient), share=1e-4)


def test_three_training_steps_are_equal():
    case = Case("nano")
    train = case.config.train
    train.schedule, train.warmup_steps, train.num_steps = "cosine", 1, 4
    train.weight_decay, train.clip_norm, train.ema_rampup = 0.1, 0.5, 0.3
    optimizer = make_optimizer(train)

    @jax.jit
    def follow(gradient, params, opt_state, averages, step):
        directions, opt_state = optimizer.update(gradient, opt_state, params)
        params = descend(params, directions, learning_rate(train)(step - 1))
        rates = zip(averages, train.ema_rates, strict=True)
        return params, opt_state, [update_ema(a, params, step, rate, train.ema_rampup) for a, rate in rates]

    step, batch = case.in_torch()
    params, opt_state, averages = case.params, optimizer.init(case.params), [case.params] * len(train.ema_rates)
    for number in range(1, 4):
        loss, gradient = case.loss_and_gradient(params)
        assert optax.tree.norm(gradient) > train.clip_norm
        params, opt_state, averages = follow(gradient, params, opt_state, averages, jnp.asarray(number))
        assert step.update(*batch).item() == pytest.approx(float(loss), rel=1e-4)

    start, names = to_torch(case.params), [name for name, _ in step.network.named_parameters()]
    for got, expected in zip([step.params, *step.averages], [params, *averages], strict=True):
        moved = {name: (leaf - start[name]).detach() for name, leaf in zip(names, got, strict=True)}
        assert_equal_leaves(moved, {n: leaf - start[n] for n, leaf in to_torch(expected).items()}, share=1e-3)
