"""The dual-path RoFormer in PyTorch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def rotate(x: Tensor) -> Tensor:
    """Rotary embedding of ``[..., L, heads, dim]``: neighbouring pairs turn by position / 10000^(2 i / dim)."""
    length, dim = x.shape[-3], x.shape[-1]
    rates = 10_000.0 ** (-torch.arange(0, dim, 2, device=x.device) / dim)
    angles = torch.outer(torch.arange(length, device=x.device), rates)[:, None]  # [L, 1, dim / 2]
    cos, sin = angles.cos(), angles.sin()
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Gated rotary self-attention over axis -2 of ``[N, L, C]``."""

    def __init__(self, channels: int, num_heads: int, head_dim: int):
        super().__init__()
        self.heads = (3, num_heads, head_dim)
        self.norm = nn.RMSNorm(channels, eps=1e-24)
        self.qkv = nn.Linear(channels, 3 * num_heads * head_dim, bias=False)
        self.gates = nn.Linear(channels, num_heads)
        self.out = nn.Linear(num_heads * head_dim, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = self.qkv(h).unflatten(-1, self.heads).unbind(-3)  # [N, L, heads, dim] each
        q, k, v = (part.transpose(1, 2) for part in (rotate(q), rotate(k), v))
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return self.out((out * self.gates(h).sigmoid()[..., None]).flatten(-2))


class RoFormerLayer(nn.Module):
    """x + Attention(x), then x + FeedForward(x), over axis -2 of ``[A, B, L, C]``."""

    def __init__(self, channels: int, model):
        super().__init__()
        self.attention = Attention(channels, model.num_heads, model.head_dim)
        self.ffn = nn.ModuleDict(
            {
                "norm": nn.RMSNorm(channels, eps=1e-24),
                "up": nn.Linear(channels, model.ffn_multiplier * channels),
                "down": nn.Linear(model.ffn_multiplier * channels, channels),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        rows = rows + self.attention(rows)
        hidden = F.gelu(self.ffn["up"](self.ffn["norm"](rows)), approximate="tanh")
        return (rows + self.ffn["down"](hidden)).view(x.shape)


class DualPathRoFormer(nn.Module):
    """Layers along time, then along frequency, of ``[B, C, T, F]`` in channels-last memory."""

    def __init__(self, channels: int, model):
        super().__init__()
        self.time = RoFormerLayer(channels, model)
        self.frequency = RoFormerLayer(channels, model)

    def forward(self, x: Tensor) -> Tensor:
        x = self.time(x.permute(0, 3, 2, 1))  # [B, F, T, C]
        x = self.frequency(x.transpose(1, 2))  # [B, T, F, C]
        return x.permute(0, 3, 1, 2)
