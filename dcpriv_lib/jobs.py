"""Everything that a study computes once and keeps: synthetic sets, trained models, releases, adversarial images."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .condensation import condense, method
from .engine import store
from .engine.seeding import derive
from .models import networks, published_protocol, training
from .models.trained import Models
from .privacy import dp_sgd, gan, noisy_embeddings, psg

COMPILER = ("torch._dynamo",)  # what the gradients of single examples import at first, seconds in every process


def _key(key) -> tuple:
    return key if isinstance(key, tuple) else (key,)


def _condensations(kind: str, wanted: dict) -> list["_Condensation"]:
    return [_Condensation(kind, _key(key), settings, np.asarray(rows)) for key, (rows, settings) in wanted.items()]


def _place(study, folder: str, kind: str, key: tuple) -> Path:
    """Return where the result of one job lies, less what tells its inputs (`store.cached_path`)."""
    return study.folder / folder / "-".join([kind, *map(str, key)]).replace(" ", "_")


def _coins(coins: np.ndarray | None, wanted: dict) -> np.ndarray:
    return np.zeros((len(wanted), 0), bool) if coins is None else coins


def _rows_or_pair(training_set) -> np.ndarray | tuple:
    return (training_set["images"], training_set["labels"]) if isinstance(training_set, dict) else training_set


@dataclass(frozen=True, eq=False)
class _Condensation:
    """One synthetic set to be made: the real images it is made of, and how."""

    kind: str
    key: tuple
    settings: method.Settings
    rows: np.ndarray

    def _inputs(self, study, iterations: bool = True) -> dict:
        inputs = (
            study.inputs
            | self.settings.inputs()
            | {"kind": self.kind, "key": self.key, "real": store.digest(self.rows)}
        )
        return inputs if iterations else {name: value for name, value in inputs.items() if name != "iterations"}

    def _at(self, study, prefix: str) -> Path:
        return _place(study, "condensed", prefix + self.kind, self.key)

    def path(self, study) -> Path:
        return store.cached_path(self._at(study, ""), self._inputs(study))

    def arrays(self, study, progress: Callable = iter) -> dict:
        """Return the arrays, computed and kept unless they are there already.

        The state of the work outlives it: more iterations go on from there.
        """
        state = store.cached_path(self._at(study, "state-"), self._inputs(study, iterations=False))

        def compute(_) -> dict:
            made = condense.condense(
                study.images[self.rows].to(study.device),
                study.labels[self.rows].to(study.device),
                self.settings,
                make_network=lambda: networks.build(
                    self.settings.network, study.split.shape, self.settings.width, True
                ),
                seed=derive(study.seed, self.kind, *self.key),
                checkpoint=state,
                progress=progress,
            )
            return made | {"started_from": self.rows[made["started_from"].numpy()]}

        by = condense.condense, *condense.chosen(self.settings)
        return store.cached(self._at(study, ""), self._inputs(study), compute, by)


@dataclass(frozen=True, eq=False)
class _Training:
    """One model to be trained: on which images, condensed first or not."""

    kind: str
    key: tuple
    training_set: np.ndarray | tuple
    epochs: int
    network: str
    recipe: str

    @property
    def size(self) -> int:
        """Images that the model is trained on."""
        return len(self.training_set[0] if isinstance(self.training_set, tuple) else self.training_set)

    def _examples(self, study) -> tuple[torch.Tensor, torch.Tensor]:
        if isinstance(self.training_set, tuple):
            return tuple(map(torch.as_tensor, self.training_set))
        return study.images[self.training_set], study.labels[self.training_set]

    def _inputs(self, study) -> dict:
        usual = {"network": "PaperCNN", "recipe": "paper"}  # once the only ones: their models are found
        other = {name: getattr(self, name) for name, value in usual.items() if getattr(self, name) != value}
        return (
            study.inputs
            | other
            | {
                "kind": self.kind,
                "key": self.key,
                "epochs": self.epochs,
                "training_set": store.digest(*self._examples(study)),
            }
        )

    def _at(self, study) -> Path:
        return _place(study, "models", self.kind, self.key)

    def path(self, study) -> Path:
        return store.cached_path(self._at(study), self._inputs(study))

    def arrays(self, study, progress: Callable = iter) -> dict:
        """Return the arrays, computed and kept unless they are there already."""
        by = (published_protocol.train,) if self.recipe == "published" else ()
        return store.cached(
            self._at(study), self._inputs(study), lambda unfinished: self._train(study, unfinished, progress), by
        )

    def _train(self, study, unfinished: Path, progress: Callable) -> dict:
        images, labels = self._examples(study)
        network = study.network(self.kind, *self.key, network=self.network).to(study.device)
        draw = study.generator(f"{self.kind} order", *self.key)
        if self.recipe == "published":
            published_protocol.train(network, images.to(study.device), labels.to(study.device), self.epochs, draw)
        else:
            training.train(
                network,
                images.to(study.device),
                labels.to(study.device),
                epochs=self.epochs,
                generator=draw,
                checkpoint=unfinished,
                progress=progress,
            )
        return _answers(study, network)


def _answers(study, network: torch.nn.Module) -> dict:
    """Return what is kept of a trained network: its answers for all images, and its weights."""
    test = study.split.pixels(study.split.dataset.test_images)
    answers = {
        "logits": training.predict(network, study.images),
        "test_logits": training.predict(network, test) if len(test) else np.empty((0, len(study.classes))),
    }
    return answers | {f"weights.{name}": value.cpu() for name, value in network.state_dict().items()}


@dataclass(frozen=True, eq=False)
class _PrivateTraining:
    """One model to be trained by DP-SGD: on whom, how, and with which canaries of an audit."""

    kind: str
    key: tuple
    rows: np.ndarray
    settings: dp_sgd.Settings
    coins: np.ndarray
    network: str

    imports = COMPILER

    def _inputs(self, study) -> dict:
        return (
            study.inputs
            | asdict(self.settings)
            | {
                "kind": self.kind,
                "key": self.key,
                "members": store.digest(self.rows, study.labels[self.rows]),
                "coins": store.digest(self.coins),
                "network": self.network,
            }
        )

    def _at(self, study) -> Path:
        return _place(study, "models", self.kind, self.key)

    def path(self, study) -> Path:
        return store.cached_path(self._at(study), self._inputs(study))

    def arrays(self, study, progress: Callable = iter) -> dict:
        """Return the arrays, computed and kept unless they are there already."""

        def compute(unfinished: Path) -> dict:
            network = study.network(self.kind, *self.key, network=self.network).to(study.device)
            members = study.images[self.rows].to(study.device), study.labels[self.rows].to(study.device)
            scores = dp_sgd.train(
                network,
                *members,
                self.settings,
                seed=derive(study.seed, self.kind, *self.key),
                is_member=torch.as_tensor(self.coins),
                checkpoint=unfinished,
                progress=progress,
            )
            return _answers(study, network) | {"scores": scores}

        return store.cached(self._at(study), self._inputs(study), compute, by=(dp_sgd.train,))


@dataclass(frozen=True, eq=False)
class _PrivateSet:
    """One synthetic set to be fitted to noisy sums, and these: kept apart, since another fit needs no new ones."""

    kind: str
    key: tuple
    rows: np.ndarray
    query: noisy_embeddings.ReleaseSettings
    fit: noisy_embeddings.FitSettings | gan.Settings
    coins: np.ndarray

    def _inputs(self, study) -> dict:
        return (
            study.inputs
            | asdict(self.query)
            | {
                "kind": self.kind,
                "key": self.key,
                "members": store.digest(self.rows, study.labels[self.rows]),
                "coins": store.digest(self.coins),
            }
        )

    def _at(self, study, folder: str) -> Path:
        return _place(study, folder, self.kind, self.key)

    def path(self, study) -> Path:
        return store.cached_path(self._at(study, "condensed"), self._inputs(study) | asdict(self.fit))

    def arrays(self, study, progress: Callable = iter) -> dict:
        """Return the arrays, computed and kept unless they are there already."""
        seed, classes = derive(study.seed, self.kind, *self.key), len(study.classes)
        images, labels = study.images[self.rows].to(study.device), study.labels[self.rows].to(study.device)

        def released(unfinished: Path) -> dict:
            return noisy_embeddings.release(
                images,
                labels,
                classes,
                self.query,
                seed=seed,
                is_member=torch.as_tensor(self.coins),
                checkpoint=unfinished,
            )

        fit = gan.fit if isinstance(self.fit, gan.Settings) else noisy_embeddings.fit

        def fitted(unfinished: Path) -> dict:
            found = store.cached(
                self._at(study, "releases"), self._inputs(study), released, by=(noisy_embeddings.release,)
            )
            return found | fit(
                torch.as_tensor(found["sums"]).to(study.device),
                study.split.shape,
                len(self.rows) / classes,
                self.query,
                self.fit,
                seed=seed,
                checkpoint=unfinished,
                progress=progress,
            )

        return store.cached(
            self._at(study, "condensed"),
            self._inputs(study) | asdict(self.fit),
            fitted,
            by=(noisy_embeddings.release, fit),
        )


@dataclass(frozen=True, eq=False)
class _Condensed:
    """One synthetic set to be made by private gradient matching, or by a GAN, which has no canaries."""

    kind: str
    key: tuple
    rows: np.ndarray
    settings: psg.Settings | gan.Settings
    coins: np.ndarray | None = None

    imports = COMPILER

    def _inputs(self, study) -> dict:
        audited = {} if self.coins is None else {"coins": store.digest(self.coins)}
        return (
            study.inputs
            | asdict(self.settings)
            | audited
            | {"kind": self.kind, "key": self.key, "members": store.digest(self.rows, study.labels[self.rows])}
        )

    def _at(self, study) -> Path:
        return _place(study, "condensed", self.kind, self.key)

    def path(self, study) -> Path:
        return store.cached_path(self._at(study), self._inputs(study))

    def arrays(self, study, progress: Callable = iter) -> dict:
        """Return the arrays, computed and kept unless they are there already."""
        make = gan.train if isinstance(self.settings, gan.Settings) else psg.condense
        audited = {} if self.coins is None else {"is_member": torch.as_tensor(self.coins)}

        def compute(unfinished: Path) -> dict:
            members = study.images[self.rows].to(study.device), study.labels[self.rows].to(study.device)
            return make(
                *members,
                len(study.classes),
                self.settings,
                seed=derive(study.seed, self.kind, *self.key),
                checkpoint=unfinished,
                progress=progress,
                **audited,
            )

        return store.cached(self._at(study), self._inputs(study), compute, by=(make,))


@dataclass(frozen=True, eq=False)
class _Attacked:
    """One trained model to be attacked with adversarial images of some rows of the data set."""

    file: str
    examine: Callable[..., dict]
    rows: np.ndarray
    how: tuple

    kind = "attacked"

    @property
    def key(self) -> tuple:
        """What a progress bar calls it."""
        return (Path(self.file).stem,)

    def _inputs(self, study) -> dict:
        return study.inputs | {
            "model": self.file,
            "examine": self.examine.__name__,
            "rows": store.digest(self.rows),
            "how": dict(self.how),
        }

    def _at(self, study) -> Path:
        return study.folder / "attacked" / f"{self.examine.__name__}-{Path(self.file).stem}"

    def path(self, study) -> Path:
        return store.cached_path(self._at(study), self._inputs(study))

    def arrays(self, study, progress: Callable = iter) -> dict:
        """Return the arrays, computed and kept unless they are there already."""

        def compute(_) -> dict:
            (network,) = study.on_pixels(Models(pd.DataFrame({"file": [self.file]}), np.empty(0), np.empty(0)))
            return self.examine(
                network,
                study.grey_pixels(self.rows).to(study.device),
                study.labels[self.rows].to(study.device),
                generator=study.generator("attacked", self.examine.__name__, self.file),
                **dict(self.how),
            )

        return store.cached(self._at(study), self._inputs(study), compute, by=(self.examine,))
