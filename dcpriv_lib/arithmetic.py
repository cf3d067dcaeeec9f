"""Checksums that show whether two machines compute the same bits.

``python -m dcpriv_lib.arithmetic`` prints those of this one, with a file's name it writes them there, and with
the word ``kernel`` it makes this environment's Jupyter kernel set the `switches` before anything else.
"""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path


def checksums() -> dict[str, str]:
    """Return 8 hexadecimal digits for each kind of arithmetic that the report rests on, of results in the shapes of the
    report.

    Machines that agree in all of them are expected to write the same tables, to the byte. One thread, a second.
    """
    import torch  # here, because the switches have to be set before
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            results = _of_torch() | _of_networks() | _of_released_sets() | _of_numpy() | _of_fits()
            return {name: _checksum(*values) for name, values in results.items()}
    finally:
        torch.set_num_threads(threads)


def _of_torch() -> dict[str, list]:
    import torch
    from torch.nn import functional as F

    from .engine.seeding import generator

    made = generator(0, "arithmetic")
    a, b = torch.randn(200, 700, generator=made), torch.randn(700, 128, generator=made)
    stack, vector = torch.randn(24, 28, 75, generator=made), torch.rand(700, generator=made)
    image, kernel = torch.randn(16, 28, 12, 12, generator=made), torch.randn(28, 28, 3, 3, generator=made)
    gram = a @ a.T / 700 + torch.eye(200)
    return {
        "random numbers": [a, b, vector, torch.randperm(1000, generator=made)],
        "products, 32 bits": [a @ b, b.T @ a.T, a @ vector, stack @ stack.transpose(1, 2)],
        "products, 64 bits": [a.double() @ b.double(), a.double() @ vector.double()],
        "functions of torch": [f(x) for x in (a, a.double()) for f in (torch.tanh, torch.exp, torch.sin, torch.cos)]
        + [a.abs().rsqrt(), torch.atan2(a[1:], a[:-1])],  # not sqrt, acos and log: see `kernel`
        "sums of torch": [
            a.sum(),
            a.mean(0),
            a.std(1),
            a.norm(dim=1),
            a.double().sum(1),
            a.softmax(1),
            F.cross_entropy(a, torch.arange(200)),
        ],
        "linear equations": [torch.linalg.solve(gram, a[:, :10])],
        "convolutions of torch": [
            F.conv2d(image, kernel, padding=1),
            F.avg_pool2d(image, 2),
            F.interpolate(image, scale_factor=2, mode="bilinear"),
        ],
    }


def _of_networks() -> dict[str, list]:
    import torch

    from .condensation import condense
    from .condensation.method import Settings
    from .engine.seeding import generator
    from .models import training
    from .models.networks import ConvNet, PaperCNN, initialise
    from .privacy import dp_sgd

    made = generator(0, "networks")
    images, labels = torch.randn(80, 1, 16, 16, generator=made), torch.randint(0, 2, (80,), generator=made)
    found = {}
    for network in (PaperCNN(1, 16, 2), ConvNet(1, 16, 2, width=128)):
        initialise(network, made)
        training.train(network, images, labels, epochs=2, generator=made, batch_size=32)
        found[f"training of {type(network).__name__}"] = [*network.parameters(), training.predict(network, images)]
    found["gradients of every example"] = [
        dp_sgd.gradients(initialise(PaperCNN(1, 16, 2), made), images[:8], labels[:8])
    ]
    settings = Settings(ipc=2, iterations=1, outer=2, inner=1, real_batch=16)
    for method, made_anew in (
        ("DC", lambda: ConvNet(1, 16, 2, width=32)),
        ("KIP", lambda: ConvNet(1, 16, 2, width=32)),
        ("IDM", lambda: PaperCNN(1, 16, 2, twice_differentiable=True)),
    ):
        made_by = condense.condense(images, labels, replace(settings, method=method), make_network=made_anew, seed=0)
        found[f"condensation by {method}"] = [made_by["images"], made_by["loss"]]
    return found


def _of_released_sets() -> dict[str, list]:
    import torch

    from .attacks.released import suite
    from .attacks.released.released_set import Known, Labelled
    from .engine.seeding import generator

    images = torch.randn(100, 1, 16, 16, generator=generator(0, "released sets"))
    shown, people, own = (Labelled(part, torch.arange(len(part)) % 2) for part in images.split_with_sizes([10, 50, 40]))
    known = Known(own, torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), start=shown.images.flip(0))
    scores = [suite.SCORES[name] for name in suite.SCORES if name not in suite.SLOW]
    return {"attacks on released sets": [score(shown, people, known) for score in scores]}


def _of_numpy() -> dict[str, list]:
    import numpy as np
    from scipy import special

    a, b = np.random.default_rng(0).normal(size=(300, 200)), np.random.default_rng(1).normal(size=(200, 100))
    return {
        "products of numpy": [a @ b, a.astype(np.float32) @ b.astype(np.float32), a @ b[:, 0]],
        "functions of numpy": [f(x) for x in (a, a.astype(np.float32)) for f in (np.exp, np.tanh, np.sin)]
        + [np.log(np.abs(a)), np.log1p(np.abs(a)), np.abs(a) ** 1.7],
        "sums of numpy": [a.sum(), a.mean(0), a.std(1), a.astype(np.float32).sum(0), np.cumsum(a[0])],
        "singular values": [np.linalg.svd(a, compute_uv=False)],
        "functions of scipy": [
            special.ndtr(a),
            special.ndtri(special.ndtr(a)),
            special.log_ndtr(a),
            special.gammaln(np.abs(a)),
            special.logsumexp(a, axis=1),
            special.betaincinv(2.5, 3.5, np.linspace(0.01, 0.99, 50)),
        ],
    }


def _of_fits() -> dict[str, list]:
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    features = np.random.default_rng(2).normal(size=(300, 10))
    labels = (features[:, 0] + features[:, 1] ** 2 > 1).astype(int)
    return {
        "logistic regression": [LogisticRegression(max_iter=200).fit(features, labels).coef_],
        "support vectors": [SVC(C=1.0, gamma=0.1).fit(features, labels).decision_function(features)],
    }


def _checksum(*values) -> str:
    """Return 8 digits of the SHA-256 of tensors, arrays or numbers."""
    import numpy as np

    state = hashlib.sha256()
    for value in values:
        state.update(np.ascontiguousarray(value.detach() if hasattr(value, "detach") else value).tobytes())
    return state.hexdigest()[:8]


def install_kernel(prefix=sys.prefix) -> None:
    """Make the Jupyter kernel "python3" of the environment at `prefix` import `dcpriv_lib` before anything else."""
    from ipykernel.kernelspec import write_kernel_spec
    from jupyter_client.kernelspec import KernelSpecManager

    # not by ipykernel's --env, which would overrule what the user has set
    start = "import dcpriv_lib, runpy; runpy.run_module('ipykernel_launcher', run_name='__main__', alter_sys=True)"
    folder = write_kernel_spec(overrides={"argv": [sys.executable, "-c", start, "-f", "{connection_file}"]})
    KernelSpecManager().install_kernel_spec(folder, "python3", prefix=str(prefix))


def main(arguments: list[str]) -> None:
    """Do what the command line asks for, see above."""
    if arguments == ["kernel"]:
        install_kernel()
    else:
        from .engine import store

        text = json.dumps(checksums(), indent=1) + "\n"
        try:
            store.write(Path(arguments[0]), text.encode()) if arguments else print(text, end="")
        except OSError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
