"""Diff-VS's whole training step in PyTorch: encode, EDM loss, gradient, clipping, AdamW, averages."""

import math

import torch
from torch import Tensor

from tests.pytorch.network import UNet
from tests.pytorch.representation import encode


def edm_loss(network, condition: Tensor, clean: Tensor, noise: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """Mean of EDM's weighted denoising error (Karras et al. 2022); ``sigma [B]``, everything else ``[B, C, T, F]``."""
    c_noise = sigma.log() / 4
    sigma = sigma[:, None, None, None]
    variance = sigma**2 + sigma_data**2
    noisy = clean + sigma * noise
    raw = network(torch.cat([noisy * variance.rsqrt(), condition], dim=1), c_noise)
    denoised = noisy * (sigma_data**2 / variance) + raw * (sigma * sigma_data * variance.rsqrt())
    weight = variance / (sigma * sigma_data) ** 2
    return (weight * (denoised - clean) ** 2).mean()


def make_unet(config) -> UNet:
    """The U-Net of a config, with PyTorch's own initial weights."""
    condition = config.audio.num_bands * config.audio.num_channels * 2
    targets = len(config.data.targets) * condition
    return UNet(config.model, targets + condition, targets)


class TrainStep:
    """A network with its optimiser and averages; called with stems, it takes one step.

    ``mixture_std [bands]`` and ``target_std [S, bands]`` are the training set's; ``compiled`` is
    torch.compile for loss and gradient. On CUDA products are bfloat16 under autocast unless the
    config says float32; on a CPU, as in JAX, everything is float32.
    """

    def __init__(self, config, network: UNet, mixture_std, target_std, device: str = "cpu", compiled: bool = False):
        self.config, self.device, self.steps = config, torch.device(device), 0
        self.std = [torch.as_tensor(std, device=device) for std in (mixture_std, target_std)]
        self.network = network.to(device, memory_format=torch.channels_last)
        self.half = self.device.type == "cuda" and config.model.dtype != "float32"
        self.loss = torch.compile(self._loss) if compiled else self._loss
        self.params = list(self.network.parameters())
        self.averages = [[param.detach().clone() for param in self.params] for _ in config.train.ema_rates]
        train = config.train
        self.optimizer = torch.optim.AdamW(
            self.params, betas=(train.beta1, train.beta2), weight_decay=train.weight_decay, fused=True
        )

    def _loss(self, condition: Tensor, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return edm_loss(self.network, condition, clean, noise, sigma, self.config.edm.sigma_data)

    def __call__(self, stems: Tensor) -> Tensor:
        """The loss; draws noise for every example of ``stems [B, S + 1, samples, channels]``."""
        edm = self.config.edm
        condition, clean = encode(stems, *self.std, self.config.audio, edm.sigma_data)
        sigma = (edm.p_mean + edm.p_std * torch.randn(len(stems), device=self.device)).exp()
        return self.update(condition, clean, torch.randn_like(clean), sigma)

    def update(self, condition: Tensor, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """One step of the optimiser on given noise; the loss before it."""
        loss = self.loss(condition, clean, noise, sigma)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, self.config.train.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config.train, self.steps)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1
        for average, rate in zip(self.averages, self.config.train.ema_rates, strict=True):
            weight = 1 - ema_decay(rate, self.config.train.ema_rampup, self.steps)
            torch._foreach_lerp_(average, [param.detach() for param in self.params], weight)
        return loss.detach()


def learning_rate(train, step: int) -> float:
    """Linear warm-up, then constant or a cosine to zero."""
    if step < train.warmup_steps:
        return train.learning_rate * step / train.warmup_steps
    if train.schedule == "constant":
        return train.learning_rate
    done = (step - train.warmup_steps) / (train.num_steps - train.warmup_steps)
    return train.learning_rate * (1 + math.cos(math.pi * min(done, 1))) / 2


def ema_decay(rate: float, rampup: float, steps: int) -> float:
    """EDM's ramp-up: a half-life of at most ``rampup`` times the steps taken."""
    half_life = math.log(0.5) / math.log(rate)
    return 0.5 ** (1 / (min(half_life, rampup * steps) if rampup > 0 else half_life))
