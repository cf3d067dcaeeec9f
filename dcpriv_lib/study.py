"""One study: whose images are whose, and what is asked for of them: synthetic sets, models, and their answers.

Notebooks speak of members, models and tables. In which file something lies, what it was made from and which seed
belongs to it is up to `jobs`; this module says for whom, on which device and in how many processes it is made.
"""

import copy
import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from . import jobs, profiles, stages
from .condensation import defaults, method
from .data import split
from .engine import ahead, checkpoint, origin, paths, stopping, store, threads, workers
from .engine.cluster import meeting
from .engine.seeding import derive, generator
from .engine.standing import Standing
from .models import networks, training
from .models.trained import Models
from .privacy import noisy_embeddings
from .results.kept import Results


class Study:
    """The data, the split and the results of one profile.

    Creating one makes this process compute with one thread: small networks gain nothing from a second, and
    results then do not depend on the number of cores. `sets` and `models` use the other cores, one process
    for each synthetic set or model.

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
        with stages.naming_all_that_is_missing(self.folder):
            self.split = split.load_split(self.folder, profile=profile, dataset=dataset, seed=seed)
        self.inputs, self.files = self.split.inputs, {}
        threads.use_one()
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

    def with_people(self, rows: np.ndarray, images: torch.Tensor, labels: torch.Tensor) -> "Study":
        """Return a copy in which other people stand in some rows of the data set.

        Parameters
        ----------
        rows : int64 [n].
        images : float32 [n, C, H, W], as networks see them.
        labels : int64 [n].
        """
        copied, rows = copy.copy(self), torch.as_tensor(rows)
        copied.images, copied.labels = self.images.clone(), self.labels.clone()
        copied.images[rows], copied.labels[rows] = images, labels
        copied.inputs = self.inputs | {"people": store.digest(rows, images, labels)}
        return copied

    def subset(self, number: int) -> "Study":
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
        purpose."""
        return jobs.new_network(self.data, network, derive(self.seed, *purpose))

    def matching_network(self, *purpose, width: int, network: str = "ConvNet") -> torch.nn.Module:
        """Return a new network for gradient matching, with weights drawn for this purpose."""
        return networks.initialise(networks.build(network, self.split.shape, width, True), self.generator(*purpose))

    def sets(self, kind: str, wanted: dict, is_member: np.ndarray | None = None) -> dict:
        """Make one synthetic set of real images a key; sets made before are loaded.

        Parameters
        ----------
        kind : what the sets are for. With the same kind and `is_member` another fit finds the releases that were
            made before.
        wanted : key (text, number, or a tuple of them) to the real images, as rows of the data set, and a recipe:
            `method.Settings` to condense them, `jobs.StartedElsewhere` to do so from other people's images,
            `psg.Settings` to do so privately, `jobs.FittedRelease` to fit images to noisy sums of them, `gan.Settings`
            to draw images from a GAN. `jobs.each` names one recipe for all.
        is_member : bool [sets, canaries], which artificial people are members too, for an audit (see
            `noisy_embeddings.release`); None for no audit.

        Returns
        -------
        dict of key to the arrays that `condense.condense`, `psg.condense`, `gan.train`, or `noisy_embeddings.release`
        and the fit return, as numpy arrays; "started_from" are rows of the data set.

        Raises
        ------
        ValueError, TypeError
            As `jobs.set_job`, before any of them is made.
        """
        return dict(zip(wanted, self._made(self._jobs(jobs.set_job, kind, wanted, is_member), f"{kind} sets")))

    def seconds(self, kind: str, wanted: dict) -> np.ndarray:
        """Return how long one core worked on each of the sets that `sets` made; the arguments are the same.

        Of a set that was interrupted it is the time after the last interruption.
        """
        paths_ = [job.path(self.folder) for job in self._jobs(jobs.set_job, kind, wanted)]
        records = [store.read_record(path).get("provenance", {}) for path in paths_]
        return np.array([record.get("seconds") for record in records], float)  # NaN where it is not on record

    def models(self, kind: str, wanted: dict, is_member: np.ndarray | None = None) -> Models:
        """Train one model a key; models trained before are loaded.

        Parameters
        ----------
        kind : what the models are for.
        wanted : key (text, number, or a tuple of them) to a training set and a recipe. With `jobs.Training` a training
            set is rows of the data set, images and labels (hard or soft, see `training.train`), or what `sets` returns
            for a key; with `jobs.PrivateTraining` it is rows. `jobs.each` names one recipe for all.
        is_member : bool [models, canaries], as in `sets`.

        Returns
        -------
        Models, in the order of `wanted`; the key's parts are the first columns of their table.

        Raises
        ------
        ValueError, TypeError
            As `jobs.model_job`, before any of them is trained.
        """
        trainings = self._jobs(jobs.model_job, kind, wanted, is_member)
        answers = self._made(trainings, f"{kind} models")
        table = pd.DataFrame([_key(key) for key in wanted])
        table.columns = {1: ["model"], 2: ["target", "run"]}.get(table.shape[1], table.columns)
        table = table.assign(
            images=[_size(training_set) for training_set, _ in wanted.values()],
            file=[job.path(self.folder).name for job in trainings],
        )
        if not answers:
            none = np.empty((0, len(self.images), len(self.classes)), np.float32)
            return Models(table, none, none[:, :0])
        return Models.of(table, answers)

    def at_once(self, calls: dict[Any, Callable[[], Any]]) -> dict:
        """Return key to what its call returns; the calls make sets or models, and none needs another's results.

        So on a cluster the workers have the jobs of all of them from the beginning. Here one comes after the other,
        each with all cores.
        """
        if len(calls) < 2 or not meeting.is_there(self.folder):
            return {key: call() for key, call in calls.items()}
        with ThreadPoolExecutor(len(calls)) as pool:
            waiting = {key: pool.submit(call) for key, call in calls.items()}
            try:
                for one in as_completed(waiting.values()):
                    one.result()
            except BaseException:  # of one of them, or Ctrl-C: the others stop waiting
                with stopping.interrupted_once():
                    checkpoint.stop_others.set()
                    try:
                        pool.shutdown(cancel_futures=True)
                    finally:
                        checkpoint.stop_others.clear()
                raise
        return {key: one.result() for key, one in waiting.items()}

    def members_in_releases(self, kind: str, wanted: dict, sets: dict) -> np.ndarray:
        """Return how much of everybody in the pool is in what was released for `sets`, float64 [sets, n].

        Parameters
        ----------
        kind, wanted : as in `sets`, with `jobs.FittedRelease`; some of its keys will do.
        sets : what it returned.
        """
        rows = torch.as_tensor(self.pool)
        return np.stack(
            [
                noisy_embeddings.members_by_least_squares(
                    torch.as_tensor(sets[key]["sums"]),
                    self.images[rows],
                    self.labels[rows],
                    recipe.query,
                    derive(self.seed, kind, *_key(key)),
                )
                for key, (_, recipe) in wanted.items()
            ]
        )

    def query(self, models: Models, shift: int = 0) -> np.ndarray:
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

    def references(self, is_member: np.ndarray, models: Models, shift: int = 0):
        """Return `attack.References`: what reference models answer for the pool and the attacker's own images.

        Parameters
        ----------
        is_member : bool [models, n], which of the pool was in which model.
        models, shift : as in `query`.
        """
        from .attacks import attack  # here, because worker processes would wait for scikit-learn

        answers = self.query(models, shift)  # [models, N, queries, classes]
        labels = self.labels.numpy()
        return attack.References(
            is_member, answers[:, self.pool], labels[self.pool], answers[:, self.attacker], labels[self.attacker]
        )

    def scores(self, released: dict, attacks: list[str]) -> dict[str, dict[str, np.ndarray]]:
        """Ask released sets about everybody in the pool; the attacker's own images are known too.

        Parameters
        ----------
        released : name to what `sets` returns, the sets of one method.
        attacks : names of `attacks.released.suite.SCORES`.

        Returns
        -------
        dict of name to attack to float64 [sets, n], higher for "member".
        """
        data, where = self.data, (self.pool, self.attacker)
        asked = [
            jobs.score_job(data, name, _key(key), one, *where, list(attacks))
            for name, sets in released.items()
            for key, one in sets.items()
        ]
        found = iter(self._made(asked, "sets asked"))
        of_sets = {name: [next(found) for _ in sets] for name, sets in released.items()}
        return {
            name: {attack: np.stack([one[attack] for one in scores]) for attack in attacks}
            for name, scores in of_sets.items()
        }

    def grey_pixels(self, rows: np.ndarray) -> torch.Tensor:
        """Return images as pixels from 0 to 1, float32 [n, C, H, W], as `attacked` changes them."""
        return self.data.unit_pixels(rows)

    def on_pixels(self, models: Models) -> list[torch.nn.Module]:
        """Return the networks of models, each taking pixels from 0 to 1 (`networks.OnPixels`)."""
        return [networks.OnPixels(network, *self.split.scale) for network in self.networks(models)]

    def attacked(self, models: Models, rows: np.ndarray, examine: Callable[..., dict], **how) -> dict[str, np.ndarray]:
        """Examine every model with adversarial images; what was examined before is loaded.

        Parameters
        ----------
        models : made by `models`, so that their weights are kept.
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
        data, rows = self.data, np.asarray(rows)
        attacks = [jobs.attack_job(data, file, examine, rows, how) for file in models.table["file"]]
        found = self._made(attacks, "attacked models")
        return {name: np.stack([one[name] for one in found]) for name in found[0]} if found else {}

    def networks(self, models: Models) -> Iterator[torch.nn.Module]:
        """Yield the trained network of every model."""
        data = self.data
        return (jobs.trained_network(data, file) for file in models.table["file"])

    # ------------------------------------------------------------------ what is kept

    @property
    def data(self) -> jobs.Data:
        """What jobs are given of this study."""
        return jobs.Data(self.folder, self.inputs, self.seed, self.device, self.split, self.images, self.labels)

    @property
    def results(self) -> Results:
        """What notebooks keep under a name for those that follow."""
        return Results(self.folder, self.inputs, self.parameters, self.files)

    def table(self, frame: pd.DataFrame, name: str, note: str = ""):
        """Keep a table of the report and return it to be shown, see `Results.table`."""
        return self.results.table(frame, name, note)

    def figure(self, figure, name: str, alt: str) -> None:
        """Keep a figure of the report and show it, see `Results.figure`."""
        self.results.figure(figure, name, alt)

    def computed_once(self, name: str, function: Callable[..., dict], *arguments) -> dict:
        """Return ``function(*arguments)``, a dict of arrays; computed once and loaded ever after.

        The arguments are arrays, or what JSON can hold.
        """
        return self._made([jobs.function_job(self.data, name, function, arguments)], name)[0]

    def made_with(self, name: str) -> dict:
        """Return the parameters of the notebook that left something under a name.

        A notebook that runs ahead of that one is told what the profile gives it.
        """
        if ahead.running() and not (self.folder / stages.file_of(name)).exists():
            return profiles.read(self.parameters["profile"])[stages.MADE_BY[name]]
        return self.results.record_of(name)["inputs"]["parameters"]

    def settings_of(self, ipc: int) -> method.Settings:
        """Return how notebook 2 condensed `ipc` images a class for its targets.

        Raises
        ------
        ArtefactError
            If notebook 2 has not been run.
        ValueError
            If it made no such targets, or took condensed sets that were made elsewhere.
        """
        made = self.made_with("targets")
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

    def _jobs(self, make: Callable[..., jobs.Job], kind: str, wanted: dict, is_member=None) -> list[jobs.Job]:
        """Return one job a key; `make` is `jobs.set_job` or `jobs.model_job`."""
        data, of_keys = self.data, [None] * len(wanted) if is_member is None else is_member
        return [
            make(data, kind, _key(key), *of_what, of_key)
            for (key, of_what), of_key in zip(wanted.items(), of_keys, strict=True)
        ]

    def _made(self, wanted: list[jobs.Job], what: str) -> list[dict]:
        """Return the arrays of every job, computing those that are missing, in as many processes as pays."""
        data, missing = self.data, [job for job in wanted if not job.path(self.folder).exists()]
        if missing and meeting.is_there(self.folder):
            from .engine.cluster import driver  # here, because it takes a second, and there mostly is no cluster

            _show(driver.run(data, missing), what, len(missing))
        elif self.device.type == "cpu" and len(missing) > 1:
            origin.code(*{maker for job in missing for maker in (job.make, *job.by)})  # once: workers take it over
            _show(workers.run(data, missing), what, len(missing))
        elif self.device.type == "cpu":
            for job in missing:
                job.result(data, partial(tqdm, desc=job.place, delay=2))
        elif missing:
            jobs.do_on_device(data, wanted, lambda what: partial(tqdm, desc=what, delay=2))
        return [job.result(data) for job in wanted]


def _show(standings: Iterator[Standing], what: str, total: int) -> None:
    """Show how far a population is, in a progress bar."""
    with tqdm(desc=what, total=total, delay=2) as bar:
        for standing in standings:
            bar.set_postfix_str(str(standing), refresh=False)
            if standing.done > bar.n:
                bar.update(standing.done - bar.n)
            else:
                bar.refresh()  # nothing was done for a while, and somebody waits


def _key(key) -> tuple:
    return key if isinstance(key, tuple) else (key,)


def _size(training_set) -> int:
    """Return how many images a training set has."""
    if isinstance(training_set, dict):
        return len(training_set["images"])
    return len(training_set[0] if isinstance(training_set, tuple) else training_set)
