"""The mechanism of everything that has a guarantee: a noisy sum of clipped contributions, and the canaries in it.

Every person's contribution is clipped to a length C, the contributions of a Poisson batch are summed,
and Gaussian noise of standard deviation sigma C is added to the sum. Anything may be done with the noisy sum
afterwards.

The proofs assume noise that nobody else knows. Here it comes from a seed, so that results can be repeated:
whoever knows the seed can subtract the noise.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch.nn import functional as F

from ..engine.seeding import generator

NO_CANARIES = torch.zeros(0, dtype=torch.bool)  # `is_member` where nothing is audited.


class NoiseSettings(Protocol):
    """What `noisy_sums` needs to know: `clip`, the length C, and `sigma`, the deviation of the noise in units of C."""

    @property
    def clip(self) -> float: ...

    @property
    def sigma(self) -> float: ...


# ---------------------------------------------------------------- the noisy sum, and the canaries in it


def poisson(people: int, rate: float, draw: torch.Generator) -> torch.Tensor:
    """Return who is in a batch, int64 [size]: each person is drawn by a coin of their own, so that it may be empty."""
    return torch.nonzero(torch.rand(people, generator=draw) < rate).flatten()


def batch(
    people: int, is_member: torch.Tensor, rate: float, draw: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a Poisson batch of people and canaries: the rows of the people, and the numbers of the canaries.

    Parameters
    ----------
    people : how many there are.
    is_member : bool [canaries], which canaries are members. The others are in no batch, and that changes nobody else's
        chance of being in it.
    rate, draw : as in `poisson`.
    """
    chosen = poisson(people + len(is_member), rate, draw)
    canaries = chosen[chosen >= people] - people
    return chosen[chosen < people], canaries[is_member[canaries]]


def clip(vectors: torch.Tensor, length: float) -> torch.Tensor:
    """Return vectors, float [B, n], shortened to at most `length` (Abadi et al. 2016, algorithm 1)."""
    norms = vectors.norm(dim=1, keepdim=True)
    return vectors * (length / norms.clamp(min=length))


def noise(shape: torch.Size, deviation: float, draw: torch.Generator) -> torch.Tensor:
    """Return Gaussian noise, float32 of `shape`, drawn in float64 on the CPU, whatever computes the rest.

    A device has random numbers of its own, and MPS no float64. So that a release is the same on all of them but for the
    last digits of its sums, and an audit of one device speaks for the others, its noise is not drawn there. That takes
    2 ms of a core for the 100,000 weights of a `networks.PaperCNN`, and sends them to the device.
    """
    return (deviation * torch.randn(shape, generator=draw, dtype=torch.float64)).float()


def noisy_sums(
    sums: torch.Tensor, canaries: torch.Tensor, settings: NoiseSettings, seed: int, secret: int, number: int
) -> torch.Tensor:
    """Return a release: the sums of people's clipped contributions, those of the canaries, and noise.

    Parameters
    ----------
    sums : float32 [classes, n], over the people of the batch. There is one row where classes are not summed apart.
    canaries : int64 [k], the canaries in the batch, from `batch`: artificial people for an audit. Each belongs to the
        class of its number, modulo the classes. It contributes its `direction`, twice as long as is allowed, which is
        then clipped.
    settings : see `NoiseSettings`.
    seed : of the canaries' directions, which are public.
    secret, number : the seed of the noise, and which release this is.
    """
    whole = sums.clone()
    for canary in canaries.tolist():
        contributed = 2 * settings.clip * direction(sums.shape[1], seed, number, canary)
        whole[canary % len(sums)] += clip(contributed[None], settings.clip)[0].to(sums)
    return whole + noise(sums.shape, settings.sigma * settings.clip, generator(secret, "noise", number)).to(sums)


def assert_releases(made: int, accounted: int) -> None:
    """Raise RuntimeError unless as many releases were made as were accounted for.

    Published code has gone wrong here: one drew new noise for the same sums in every step of the matching, while it
    accounted for the sums alone; another made one round more than it accounted for.
    """
    if made != accounted:
        raise RuntimeError(
            f"{made:,} noisy sums were released, but {accounted:,} are accounted for: the guarantee does "
            "not hold; delete what was made, and release as many as are accounted for"
        )


def restore(saved: Mapping[str, Any], key: str, accounted: int) -> dict[str, torch.Tensor]:
    """Return a saved state as tensors; RuntimeError if `key` in it holds more releases than are accounted for."""
    state = {name: torch.as_tensor(value) for name, value in saved.items()}
    if len(state[key]) > accounted:
        assert_releases(len(state[key]), accounted)
    return state


# ---------------------------------------------------------------- the audit


def direction(size: int, seed: int, number: int, canary: int) -> torch.Tensor:
    """Return the direction of one canary in one release, float32 [size], of length 1 and independent of all others."""
    return F.normalize(torch.randn(size, generator=generator(seed, "direction", number, canary)), dim=0)


def canary_scores(residual: torch.Tensor, canaries: int, length: float, seed: int, number: int) -> torch.Tensor:
    """Return how far a release points along the direction of each canary, float64 [canaries], in units of `length`.

    Directions drawn at random are nearly orthogonal, so that over T releases the scores of a canary add up to

        N(T q, T (sigma^2 + q (1 - q)))  for a member, and to  N(0, T sigma^2)  for any other,

    to whose variance every other canary of its class in a batch adds 1 / n (the gradient canaries of Nasr et al. 2023
    and Andrew et al. 2024, many in one run as in Steinke et al. 2023).

    Parameters
    ----------
    residual : float32 [classes, n], what was released less the sums over the people. The auditor knows the people, and
        in which batches they were: the guarantee holds against somebody who does.
    canaries : how many there are, members or not.
    length : the one to which contributions are clipped.
    seed, number : as in `noisy_sums`.
    """
    if not canaries:  # a device need not be waited for
        return torch.zeros(0, dtype=torch.float64)
    residual = residual.cpu().double() / length
    scores = [
        residual[canary % len(residual)] @ direction(residual.shape[1], seed, number, canary).double()
        for canary in range(canaries)
    ]
    return torch.stack(scores)
