"""Diff-VS's U-Net in PyTorch, ``[B, C, T, F]`` in channels-last memory.

Shares no code with the JAX network, which it checks; modules go by the same names, so that weights
are copied name by name. It knows what the paper has: dual-path RoFormers, resampling in frequency,
a sinusoidal noise embedding.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tests.pytorch.roformer import DualPathRoFormer


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(min(32, channels // 4), 1), channels, eps=1e-6)


class NoiseEmbedding(nn.Module):
    """c_noise ``[B]`` to ``[B, 4 * channels]``."""

    def __init__(self, channels: int):
        super().__init__()
        self.half = channels // 2
        self.linear0 = nn.Linear(channels, 4 * channels)
        self.linear1 = nn.Linear(4 * channels, 4 * channels)

    def forward(self, c_noise: Tensor) -> Tensor:
        steps = torch.arange(self.half, device=c_noise.device) / max(self.half - 1, 1)
        angles = torch.outer(c_noise, 10_000.0**-steps)
        embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
        return F.silu(self.linear1(F.silu(self.linear0(embedding))))


class ResBlock(nn.Module):
    """DDPM++ block with its embedding as a shift; "down" and "up" resample the frequency axis."""

    def __init__(self, channels: int, width: int, embedding: int, dropout: float, resample: str | None):
        super().__init__()
        self.resample, self.dropout = resample, dropout
        self.norm0 = group_norm(channels)
        self.conv0 = nn.Conv2d(channels, width, 3, padding=1)
        self.shift = nn.Linear(embedding, width)
        self.norm1 = group_norm(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.skip = nn.Conv2d(channels, width, 1) if resample or channels != width else nn.Identity()

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, (1, 2))
        return F.interpolate(x, scale_factor=(1, 2), mode="nearest") if self.resample == "up" else x

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv0(self._resampled(F.silu(self.norm0(x))))
        h = F.silu(self.norm1(h + self.shift(embedding)[:, :, None, None]))
        h = self.conv1(F.dropout(h, self.dropout, self.training))
        return (h + self.skip(self._resampled(x))) * math.sqrt(0.5)


class Block(nn.Module):
    """A residual block and, where asked, a RoFormer after it."""

    def __init__(self, model, channels: int, width: int, resample: str | None = None, attention: bool = False):
        super().__init__()
        self.remat = model.remat == "block"
        self.res = ResBlock(channels, width, 4 * model.channels, model.dropout, resample)
        self.roformer = DualPathRoFormer(width, model) if attention else nn.Identity()

    def _compute(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.roformer(self.res(x, embedding))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        if self.remat:
            return checkpoint(self._compute, x, embedding, use_reentrant=False)
        return self._compute(x, embedding)


class UNet(nn.Module):
    """Raw network: ``x [B, in_channels, T, F]`` and c_noise ``[B]`` to ``[B, out_channels, T, F]`` in float32.

    ``model``: the model section of a config; ValueError for what it has beyond the paper.
    """

    def __init__(self, model, in_channels: int, out_channels: int):
        super().__init__()
        paper = {"attention": ("dual_path",), "resampling": ("frequency",), "embedding": ("positional",)}
        for name, known in (paper | {"remat": ("none", "block")}).items():
            if model[name] not in known:
                raise ValueError(f"model.{name} {model[name]!r}: the PyTorch network knows {known}")
        widths = [model.channels * factor for factor in model.channel_mult]
        levels = range(len(widths))
        self.noise = NoiseEmbedding(model.channels)
        self.stem = nn.Conv2d(in_channels, model.channels, model.stem_size, padding="same")

        skips, width = [model.channels], model.channels
        for level in levels:
            if level:
                self.add_module(f"encoder{level}_down", Block(model, width, width, "down"))
                skips.append(width)
            for index in range(model.num_blocks):
                attention = level in model.attention_levels
                self.add_module(f"encoder{level}_{index}", Block(model, width, widths[level], attention=attention))
                skips.append(width := widths[level])
        self.middle_0 = Block(model, width, widths[-1], attention=True)
        self.middle_1 = Block(model, widths[-1], widths[-1])
        width = widths[-1]
        for level in reversed(levels):
            if level < levels[-1]:
                self.add_module(f"decoder{level}_up", Block(model, width, width, "up"))
            for index in range(model.num_blocks + 1):
                attention = level in model.attention_levels and index == model.num_blocks
                block = Block(model, width + skips.pop(), widths[level], attention=attention)
                self.add_module(f"decoder{level}_{index}", block)
                width = widths[level]
        self.head_norm = group_norm(width)
        self.head = nn.Conv2d(width, out_channels, model.stem_size, padding="same")

    def forward(self, x: Tensor, c_noise: Tensor) -> Tensor:
        embedding = self.noise(c_noise)
        skips = [x := self.stem(x)]
        for name, block in self.named_children():  # in the order that data takes
            if name.startswith("encoder"):
                skips.append(x := block(x, embedding))
            elif name.startswith("decoder") and not name.endswith("up"):
                x = block(torch.cat([x, skips.pop()], dim=1), embedding)
            elif isinstance(block, Block):
                x = block(x, embedding)
        return self.head(F.silu(self.head_norm(x))).float()
