"""What the CPU computes has the bits that it had before there was anything for other devices."""

import dataclasses

import pytest
import torch

from dcpriv_lib import arithmetic
from dcpriv_lib.condensation import condense, defaults
from dcpriv_lib.engine.seeding import generator
from dcpriv_lib.models import networks, published_protocol, training
from dcpriv_lib.privacy import dp_sgd, gan, noisy_embeddings, psg

# Of commit f5799ac, on an AMD EPYC; what networks leave to OpenBLAS (PaperCNN, KIP, generators) of the commit that did
# so, on an Intel Xeon. Processors that agree in these kinds of arithmetic are expected to agree in all.
ARITHMETIC = {
    "random numbers": "4c48e3aa",
    "products, 32 bits": "a8266d77",
    "products, 64 bits": "91759266",
    "convolutions of torch": "de11ee43",
    "products of numpy": "f68fce5a",
}
RECORDED = {
    "DC real": "0f928d05",
    "DC noise": "bf9787f2",
    "DSA real": "7e4d8037",
    "DM real": "c0b3d28d",
    "DM-DSA real": "c91b9b5c",
    "MTT real": "fa005858",
    "IDC real": "128db172",
    "IDM real": "a97bd791",
    "KIP real": "07abb515",
    "KIP-labels real": "6f1bbc50",
    "train ConvNet": "927a34ba",
    "train PaperCNN": "e7d81965",
    "train linear": "5362ce1f",
    "published": "39746e4e",
    "dp-sgd": "86d6a741",
    "psg": "5b7d57cb",
    "gan": "bd8d5acd",
    "embeddings network": "95a7f522",
    "embeddings fourier": "652cba3f",
}
LABELS, COINS, SHAPE = torch.arange(50) % 3, torch.tensor([True, False, True]), (1, 16, 3)


def condensed(name, start="real"):
    usual = defaults.settings_of(name, 2, width=8, real_batch=8)
    short = {"iterations": 2, "outer": min(3, usual.outer), "inner": min(2, usual.inner), "start": start}
    settings = dataclasses.replace(usual, **short)
    made = condense.condense(
        pictures(), LABELS, settings, seed=3, make_network=lambda: networks.build(settings.network, SHAPE, 8, True)
    )
    return [made[part] for part in ("images", "loss", "labels", "started_from")]


def pictures():
    return torch.randn(50, 1, 16, 16, generator=generator(1))


def new(name, width=8):
    return networks.initialise(networks.build(name, SHAPE, width), generator(2))


def trained(name):
    network = new(name)
    history = training.train(network, pictures(), LABELS, epochs=3, generator=generator(4), batch_size=16)
    return [*network.parameters(), torch.tensor(history)]


def as_published(_):
    network = new("ConvNet")
    published_protocol.train(network, pictures(), LABELS, 2, generator(5))
    return list(network.parameters())


def privately(_):
    network = new("PaperCNN", 128)
    settings = dp_sgd.Settings(steps=3, batch=16, clip=0.5, sigma=1.0, lr=0.1)
    scores = dp_sgd.train(network, pictures(), LABELS, settings, seed=7, is_member=COINS)
    return [scores, *network.parameters()]


def by_psg(_):
    settings = psg.Settings(2, 2, 2, batch=16, clip=0.5, sigma=1.0, image_lr=0.5, size=8, network_steps=2)
    return list(psg.condense(pictures(), LABELS, 3, settings, seed=7, is_member=COINS).values())


def by_gan(_):
    return list(gan.train(pictures(), LABELS, 3, gan.Settings(2, 3, 1e-3, 8, 16), seed=3).values())


def embedded(name):
    query = noisy_embeddings.ReleaseSettings(3, 0.5, 1.0, name, 8)
    made = noisy_embeddings.release(pictures(), LABELS, 3, query, seed=5, is_member=COINS)
    fit = noisy_embeddings.FitSettings(2, 4, 0.1)
    fitted = noisy_embeddings.fit(made["sums"], SHAPE, 16.7, query, fit, seed=5)
    drawn = gan.fit(made["sums"], SHAPE, 16.7, query, gan.Settings(2, 3, 1e-3, 8, 16), seed=5)
    return [*made.values(), *fitted.values(), *drawn.values()]


@pytest.fixture(scope="module")
def one_thread():
    """Skip where arithmetic is another one; one thread, as jobs have."""
    here = arithmetic.checksums()
    if others := [kind for kind, value in ARITHMETIC.items() if here[kind] != value]:
        pytest.skip(f"other last digits than where these were recorded, in: {', '.join(others)}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


KINDS = {
    "train": trained,
    "published": as_published,
    "dp-sgd": privately,
    "psg": by_psg,
    "gan": by_gan,
    "embeddings": embedded,
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_cpu_computes_the_recorded_bits(name, one_thread):
    kind, _, which = name.partition(" ")
    found = KINDS[kind](which) if kind in KINDS else condensed(kind, which)
    assert arithmetic._checksum(*found) == RECORDED[name]
