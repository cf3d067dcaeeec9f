"""One study: whose images are whose, the models trained on them, and what is kept of both.

Notebooks speak of members, models and tables. This module alone knows in which file something
lies, what it was made from, which seed belongs to it, on which device and in how many processes
it is computed, and how an interrupted computation goes on.
"""

import copy
import inspect
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from .condensation import defaults, method
from .data import split
from .engine import paths, store, workers
from .engine.seeding import derive, generator
from .jobs import (
    _Attacked,
    _coins,
    _condensations,
    _Condensed,
    _key,
    _PrivateSet,
    _PrivateTraining,
    _rows_or_pair,
    _Training,
)
from .models import networks, training
from .models.trained import Models
from .privacy import noisy_embeddings
from .results import tables

MADE_BY = {
    "split": "01_data_split",
    "targets": "02_condensation",
    "condensed_sets": "02_condensation",
    "shadows": "03_shadow_training",
    "attacks": "04_attack",
    "references": "06_stronger_attacks",
    "every_model": "06_stronger_attacks",
    "controls": "07_controls",
    "methods": "09_methods",
    "leaks": "09_methods",
    "properties": "10_robustness_and_fairness",
    "formal_privacy": "11_formal_privacy",
}


class Study:
    """The data, the split and the results of one profile.

    Creating one makes torch compute with one thread: small networks gain nothing from a second, and
    results then do not depend on the number of cores. `population` and `condense` use the other
    cores, one process for each model or synthetic set.

    Parameters
    ----------
    profile, dataset, seed, device : the notebooks' parameters of these names.
    others : the notebook's other parameters, to be recorded with every table.

    Attributes
    ----------
    members, non_members, attacker : int64 [n], whose images are whose, as rows of the data set.
    pool : int64 [n], the members and then the non-members.
    is_member : bool [n], which of the pool are members.
    images, labels : float32 [N, C, H, W] as the networks see them, int64 [N]: the data set in file order.
    classes : the names of the classes.
    files : name to SHA-256 of every file made elsewhere that was read, to be recorded with what is saved.

    Raises
    ------
    ArtefactError
        If notebook 1 has not divided this data set for this profile and seed.
    ValueError
        If the device is not there.
    """

    def __init__(self, profile: str, dataset: str, seed: int, device: str = "auto", **others):
        self.parameters = {"profile": profile, "dataset": dataset, "seed": seed, "device": device} | others
        self.device, self.seed, self.folder = training.device(device), seed, paths.results(profile)
        self.split = split.load_split(self.folder, profile=profile, dataset=dataset, seed=seed)
        self.inputs, self.files = self.split.inputs, {}
        torch.set_num_threads(1)
        self.members, self.non_members, self.attacker = (self.split.indices[part] for part in split.PARTS)
        self.pool = np.concatenate([self.members, self.non_members])
        self.is_member = np.repeat([True, False], [len(self.members), len(self.non_members)])
        dataset_ = self.split.dataset
        self.images, self.labels = self.split.pixels(dataset_.images), dataset_.labels
        self.classes = self.split.dataset.classes

    @classmethod
    def divide(cls, profile: str, dataset: str, seed: int, pixels: str, n_images: int = 0, **others) -> "Study":
        """Divide a data set into members, non-members and the attacker's (see `split.make_split`)."""
        split.make_split(
            paths.results(profile), profile=profile, dataset=dataset, seed=seed, pixels=pixels, n_images=n_images
        )
        return cls(profile, dataset, seed, pixels=pixels, n_images=n_images, **others)

    def with_canaries(self, number: int) -> "Study":
        """Return a copy in which so many images of the pool, the canaries, have a wrong label.

        Whoever trains or condenses in this copy believes the wrong labels. A model can know one only
        by heart, so canaries show what happens to the worst-off person.

        Attributes
        ----------
        canaries : bool [n], which of the pool they are.
        """
        copied, rng = copy.copy(self), self.rng("canaries")
        chosen = rng.permutation(len(self.pool))[:number]
        rows = torch.as_tensor(self.pool[chosen])
        shifts = torch.as_tensor(rng.integers(1, len(self.classes), number))
        copied.canaries = np.isin(np.arange(len(self.pool)), chosen)
        copied.labels = self.labels.clone()
        copied.labels[rows] = (self.labels[rows] + shifts) % len(self.classes)
        copied.inputs = self.inputs | {"canaries": store.digest(rows, copied.labels[rows])}
        return copied

    def among(self, number: int) -> "Study":
        """Return a copy whose pool is so many of the pool, chosen at random."""
        copied, chosen = copy.copy(self), np.sort(self.rng("among", number).permutation(len(self.pool))[:number])
        copied.pool, copied.is_member = self.pool[chosen], self.is_member[chosen]
        return copied

    def of_classes(self, number: int) -> "Study":
        """Return a copy whose pool is those of the first `number` classes."""
        copied, own = copy.copy(self), self.labels[self.pool].numpy() < number
        copied.pool, copied.is_member = self.pool[own], self.is_member[own]
        return copied

    # ------------------------------------------------------------------ randomness

    def rng(self, *purpose) -> np.random.Generator:
        """Return numpy's generator for one purpose; unrelated purposes have unrelated streams."""
        return np.random.default_rng(derive(self.seed, *purpose))

    def generator(self, *purpose) -> torch.Generator:
        """Return torch's generator for one purpose."""
        return generator(self.seed, *purpose)

    def choose(self, rows: np.ndarray, size: int, *purpose) -> np.ndarray:
        """Return a random choice of `size` of the `rows`."""
        return self.rng("some of", *purpose).permutation(rows)[:size]

    def choose_balanced(self, rows: np.ndarray, ipc: int, *purpose) -> np.ndarray:
        """Return a random choice of `ipc` of the `rows` of every class."""
        labels = self.labels[rows].numpy()
        return np.concatenate([self.choose(rows[labels == c], ipc, *purpose) for c in range(len(self.classes))])

    # ------------------------------------------------------------------ synthetic sets and models

    def network(self, *purpose, network: str = "PaperCNN") -> torch.nn.Module:
        """Return a new network, of the paper unless another of `networks.NETWORKS` is named, with weights for this
        purpose.

        A ConvNet has 32 filters here: to answer for a whole data set with the 128 of its authors takes minutes.
        """
        return networks.initialise(networks.build(network, self.split.shape, width=32), self.generator(*purpose))

    def matching_network(self, *purpose, width: int, network: str = "ConvNet") -> torch.nn.Module:
        """Return a new network for gradient matching, with weights drawn for this purpose."""
        return networks.initialise(networks.build(network, self.split.shape, width, True), self.generator(*purpose))

    def condense(self, kind: str, wanted: dict) -> dict:
        """Condense real images into one synthetic set a key; sets made before are loaded.

        Parameters
        ----------
        kind : what the sets are for.
        wanted : key (text, number, or a tuple of them) to the real images, as rows of the data set, and
            `method.Settings`.

        Returns
        -------
        dict of key to what `condense.condense` returns, as numpy arrays; "started_from" are rows of
        the data set.

        Raises
        ------
        ValueError
            As `method.check_ipc`, before any of them is condensed.
        """
        for rows, settings in wanted.values():
            method.check_ipc(self.labels[rows], settings.ipc)
        return dict(zip(wanted, self._made(_condensations(kind, wanted), "condensed sets")))

    def seconds(self, kind: str, wanted: dict) -> np.ndarray:
        """Return how long one core worked on each of the sets that `condense` made; the arguments are the same.

        Of a set that was interrupted it is the time after the last interruption.
        """
        return np.array(
            [store.read_sidecar(job.path(self))["provenance"]["seconds"] for job in _condensations(kind, wanted)]
        )

    def population(
        self, kind: str, training_sets: dict, epochs: int, network: str = "PaperCNN", recipe: str = "paper"
    ) -> Models:
        """Train one model a training set; models trained before are loaded.

        Parameters
        ----------
        kind : what the models are for.
        training_sets : key (text, number, or a tuple of them) to rows of the data set, to images
            and labels (hard or soft, see `training.train`), or to what `condense` returns for a key.
        epochs : passes over a training set.
        network : one of `networks.NETWORKS`; only the paper's can be asked again by `ask`.
        recipe : "paper" for `training.train`, "published" for `published_protocol.train`, which starts anew if it is
            interrupted.

        Returns
        -------
        Models, in the order of `training_sets`; the key's parts are the first columns of their table.
        """
        jobs = [
            _Training(kind, _key(key), _rows_or_pair(training_set), epochs, network, recipe)
            for key, training_set in training_sets.items()
        ]
        answers = self._made(jobs, f"{kind} models")
        table = pd.DataFrame([job.key for job in jobs])
        table.columns = {1: ["model"], 2: ["target", "run"]}.get(table.shape[1], table.columns)
        table = table.assign(images=[job.size for job in jobs], file=[job.path(self).name for job in jobs])
        return self._models(table, answers)

    def private_sets(self, kind: str, wanted: dict, coins: np.ndarray | None = None) -> dict:
        """Release noisy sums of real images, and fit one synthetic set a key to them; what was made before is loaded.

        Parameters
        ----------
        kind : what the sets are for. With the same kind and coins another fit finds the releases that were made before.
        wanted : key to the real images, as rows of the data set, `noisy_embeddings.Query`, and how images are fitted to
            the releases: `noisy_embeddings.Fit`, or `gan.Settings` for images of a generator. Or key to the
            real images and `psg.Settings`.
        coins : bool [sets, canaries], which artificial people are members too, for an audit (see
            `noisy_embeddings.release`); None for no audit.

        Returns
        -------
        dict of key to what `noisy_embeddings.release` and the fit, or `psg.condense`, return, as
        numpy arrays.
        """
        jobs = [
            (_PrivateSet if isinstance(how[0], noisy_embeddings.Query) else _Condensed)(
                kind, _key(key), np.asarray(rows), *how, of_key
            )
            for (key, (rows, *how)), of_key in zip(wanted.items(), _coins(coins, wanted))
        ]
        return dict(zip(wanted, self._made(jobs, "private sets")))

    def generated_sets(self, kind: str, wanted: dict) -> dict:
        """Train one GAN a key on real images, and return images drawn from it; what was made before is loaded.

        Parameters
        ----------
        kind : what the sets are for.
        wanted : key to the real images, as rows of the data set, and `gan.Settings`.

        Returns
        -------
        dict of key to what `gan.train` returns, as numpy arrays.
        """
        jobs = [_Condensed(kind, _key(key), np.asarray(rows), how) for key, (rows, how) in wanted.items()]
        return dict(zip(wanted, self._made(jobs, "generated sets")))

    def members_in_releases(self, kind: str, wanted: dict, sets: dict) -> np.ndarray:
        """Return how much of everybody in the pool is in what `private_sets` released, float64 [sets, n].

        Parameters
        ----------
        kind, wanted : as in `private_sets`; some of its keys will do.
        sets : what it returned.
        """
        rows = torch.as_tensor(self.pool)
        return np.stack(
            [
                noisy_embeddings.members_by_least_squares(
                    torch.as_tensor(sets[key]["sums"]),
                    self.images[rows],
                    self.labels[rows],
                    query,
                    derive(self.seed, kind, *_key(key)),
                )
                for key, (_, query, _) in wanted.items()
            ]
        )

    def private_population(
        self, kind: str, wanted: dict, coins: np.ndarray | None = None, network: str = "PaperCNN"
    ) -> tuple[Models, np.ndarray]:
        """Train one model a key by DP-SGD; models trained before are loaded.

        Parameters
        ----------
        kind : what the models are for.
        wanted : key to the members, as rows of the data set, and `dp_sgd.Settings`.
        coins : bool [models, canaries], as in `private_sets`.
        network : as in `population`.

        Returns
        -------
        Models as from `population`, and the auditor's scores, float64 [models, canaries] (see `dp_sgd.train`).
        """
        jobs = [
            _PrivateTraining(kind, _key(key), np.asarray(rows), settings, of_key, network)
            for (key, (rows, settings)), of_key in zip(wanted.items(), _coins(coins, wanted))
        ]
        answers = self._made(jobs, f"{kind} models")
        table = pd.DataFrame(
            {
                "model": list(wanted),
                "images": [len(job.rows) for job in jobs],
                "file": [job.path(self).name for job in jobs],
            }
        )
        return self._models(table, answers), np.stack([one["scores"] for one in answers])

    def ask(self, models: Models, shift: int = 0) -> np.ndarray:
        """Return logits [models, N, queries, classes] for every image and its copies, shifted by `shift` pixels.

        With ``shift = 0`` there is one query, the image itself; otherwise there are five.
        """
        if shift == 0:
            return models.logits[:, :, None]
        moves = [(0, 0), (shift, 0), (-shift, 0), (0, shift), (0, -shift)]
        return np.stack(
            [
                np.stack([training.predict(network, self.images.roll(move, (2, 3))).numpy() for move in moves], axis=1)
                for network in self.networks(models)
            ]
        )

    def references(self, keep: np.ndarray, models: Models, shift: int = 0):
        """Return `attack.References`: what reference models answer for the pool and the attacker's own images.

        Parameters
        ----------
        keep : bool [models, n], which of the pool was in which model.
        models, shift : as in `ask`.
        """
        from .attacks import attack  # here, because worker processes would wait for scikit-learn

        answers = self.ask(models, shift)  # [models, N, queries, classes]
        labels = self.labels.numpy()
        return attack.References(
            keep, answers[:, self.pool], labels[self.pool], answers[:, self.attacker], labels[self.attacker]
        )

    def grey_pixels(self, rows: np.ndarray) -> torch.Tensor:
        """Return images as pixels from 0 to 1, float32 [n, C, H, W], as `attacked` changes them."""
        return self.split.dataset.images[rows].float() / 255

    def on_pixels(self, models: Models) -> list[torch.nn.Module]:
        """Return the networks of models, each taking pixels from 0 to 1 (`networks.OnPixels`)."""
        from .models import networks  # here, because most worker processes would wait for scipy

        return [networks.OnPixels(network, *self.split.scale) for network in self.networks(models)]

    def attacked(self, models: Models, rows: np.ndarray, examine: Callable[..., dict], **how) -> dict[str, np.ndarray]:
        """Examine every model with adversarial images; what was examined before is loaded.

        Parameters
        ----------
        models : made by `population`, so that their weights are kept.
        rows : the images to be changed, as rows of the data set.
        examine : ``examine(network, images, labels, generator=..., **how)``, of `robustness`, returns arrays.
        how : what JSON can hold.

        Returns
        -------
        dict of the arrays' names to one array, the models first.

        Raises
        ------
        ValueError
            If a model has no weights, only answers.
        """
        if "file" not in models.table or models.table["file"].isna().any():
            raise ValueError(
                f"{models.table.iloc[0, 0]} has answers and no weights: nobody can tell how far its images must be "
                "changed: leave it out here, or name a file of its weights in extra_targets"
            )
        jobs = [_Attacked(file, examine, np.asarray(rows), tuple(how.items())) for file in models.table["file"]]
        found = self._made(jobs, "attacked models")
        return {name: np.stack([one[name] for one in found]) for name in found[0]} if found else {}

    def networks(self, models: Models):
        """Yield the trained network of every model."""
        for file in models.table["file"]:
            arrays = store.load_arrays(self.folder / "models" / file, self.inputs, "the notebook that trains it")
            network = networks.PaperCNN(*self.split.shape)
            network.load_state_dict(
                {
                    name.removeprefix("weights."): torch.as_tensor(value)
                    for name, value in arrays.items()
                    if name.startswith("weights.")
                }
            )
            yield network.to(self.device)

    def _made(self, jobs: list, what: str) -> list[dict]:
        """Return the arrays of every job, computing those that are missing, in as many processes as pays."""
        missing = [job for job in jobs if not job.path(self).exists()]
        if self.device.type == "cpu" and len(missing) > 1:
            for _ in tqdm(workers.run(self, missing), desc=what, total=len(missing), delay=2):
                pass
        else:
            for job in missing:
                job.arrays(
                    self, lambda steps, job=job: tqdm(steps, desc=" ".join(map(str, (job.kind, *job.key))), delay=2)
                )
        return [job.arrays(self) for job in jobs]

    def _models(self, table: pd.DataFrame, answers: list[dict], settings: dict | None = None) -> Models:
        none = np.empty((0, len(self.images), len(self.classes)), np.float32)
        return Models(
            table,
            np.stack([one["logits"] for one in answers]) if answers else none,
            np.stack([one["test_logits"] for one in answers]) if answers else none[:, :0],
            settings or {},
        )

    # ------------------------------------------------------------------ what the next notebook finds

    def once(self, name: str, function: Callable[..., dict], *arguments) -> dict:
        """Return ``function(*arguments)``, a dict of arrays; computed once and loaded ever after.

        The arguments are arrays, or what JSON can hold.
        """
        identity = [store.digest(value) if isinstance(value, np.ndarray) else value for value in arguments]
        return store.cached(
            self.folder / "once" / name,
            self.inputs | {"arguments": identity},
            lambda _: function(*arguments),
            by=(function,),
        )

    def save(self, name: str, content, **settings) -> None:
        """Keep `Models`, a DataFrame or a dict of arrays under a name for the notebooks that follow."""
        inputs = self._recorded(settings)
        if isinstance(content, dict):
            store.save_arrays(self.folder / f"{name}.npz", content, inputs)
        else:
            table = content.table if isinstance(content, Models) else content
            store.save_table(self.folder / f"{name}.csv", table, inputs)

    def _recorded(self, settings: dict) -> dict:
        """Return the inputs that are recorded with what is kept."""
        return self.inputs | {"parameters": self.parameters} | settings | ({"files": self.files} if self.files else {})

    def load(self, name: str):
        """Return what `save` kept under this name: `Models`, a dict of arrays, or a table.

        Raises
        ------
        ArtefactError
            If it does not exist yet, naming the notebook that makes it.
        """
        made_by = f"notebooks/{MADE_BY[name]}.ipynb"
        if (self.folder / f"{name}.npz").exists():
            return store.load_arrays(self.folder / f"{name}.npz", self.inputs, made_by)
        table = store.load_table(self.folder / f"{name}.csv", self.inputs, made_by)
        if "file" not in table:
            return table
        answers = [store.load_arrays(self.folder / "models" / file, self.inputs, made_by) for file in table["file"]]
        return self._models(table, answers, self.made(name)["inputs"])

    def made(self, name: str) -> dict:
        """Return the inputs and the provenance of a table that `save` kept."""
        return store.read_sidecar(self.folder / f"{name}.csv", f"notebooks/{MADE_BY[name]}.ipynb")

    def settings_of(self, ipc: int) -> method.Settings:
        """Return how notebook 2 condensed `ipc` images a class for its targets.

        Raises
        ------
        ArtefactError
            If notebook 2 has not been run.
        ValueError
            If it made no such targets, or took condensed sets that were made elsewhere.
        """
        made = self.made("targets")["inputs"]["parameters"]
        if made.get("synthetic_sets"):
            raise ValueError(
                "notebook 2 took the synthetic_sets of a file, and nobody here can condense as their maker did: "
                "this notebook needs sets of its own; run notebook 2 with synthetic_sets = [] first"
            )
        names = inspect.signature(defaults.settings).parameters.keys() & made.keys()
        found = defaults.settings(self.labels[self.members], **{name: made[name] for name in names})
        if ipc not in found:
            raise ValueError(
                f"control_ipc = {ipc}: notebook 2 made no such targets, only for ipc = "
                f"{', '.join(map(str, found))}: choose one of these, or run it with this ipc"
            )
        return found[ipc]

    def table(self, frame: pd.DataFrame, name: str, note: str = ""):
        """Keep the numbers of a report's table, and return it in words, with a note below it, to be shown."""
        tables.keep(self.folder / "tables" / f"{name}.csv", frame, self._recorded({}), note)
        return tables.shown(frame, note)

    def figure(self, figure, name: str) -> None:
        """Keep a figure of the report as .svg and .png."""
        from .results import plots  # here, because worker processes would wait for matplotlib

        plots.save(figure, self.folder, name)


def committed(profile: str, name: str) -> tuple[pd.DataFrame, dict]:
    """Return a table of a run whose results are committed with this report, and its provenance."""
    path = paths.FIGURES / profile / f"{name}.csv"
    store.load_table(path, {"profile": profile}, f"make {profile} figures")
    return tables.read(path), store.read_sidecar(path)["provenance"]
