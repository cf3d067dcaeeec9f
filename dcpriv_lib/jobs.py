"""All that is computed once and kept: synthetic sets, trained models, releases, adversarial images.

A `Job` is one result: what it depends on, the function that computes it, and the file it is kept in. The recipes say
how a set or a model is made; `set_job` and `model_job` turn a recipe into a job. Which job serves which purpose, and
whose images it is given, is up to `study`.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from .attacks.released import released_set, suite
from .condensation import condense as condensation, method
from .data.split import Split
from .engine import devices, store
from .engine.seeding import derive
from .models import networks, published_protocol, training
from .privacy import dp_sgd, gan, noisy_embeddings, psg

COMPILER = ("torch._dynamo",)  # what the gradients of single examples import at first, seconds in every process
NO_CANARIES = np.zeros(0, bool)  # of an audit, where there is none
WIDTH = 32  # filters of a ConvNet that answers: with its authors' 128, to ask it about a whole data set takes minutes


@dataclass(frozen=True, eq=False)
class Data:
    """What a job is given of a study: the images, and where it computes and keeps.

    Attributes
    ----------
    folder : where results are kept.
    inputs : what identifies the data set, the split and whose labels are wrong; part of every job's inputs.
    seed : of the study; a job's own is derived from it.
    device : on which networks compute.
    split : the images as bytes, and how they become `images`.
    images, labels : float32 [N, C, H, W] as the networks see them, int64 [N]: the data set in file order.
    """

    folder: Path
    inputs: dict
    seed: int
    device: torch.device
    split: Split
    images: torch.Tensor
    labels: torch.Tensor

    @property
    def key(self) -> dict:
        """`inputs`, and on another device than the CPU its name: results of two devices have two names."""
        return self.inputs | devices.key(self.device)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.split.shape[2]

    def examples(self, training_set) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images and labels of rows of the data set; a pair of images and labels is returned as it is."""
        if isinstance(training_set, tuple):
            return tuple(map(torch.as_tensor, training_set))
        return self.images[training_set], self.labels[training_set]

    def unit_pixels(self, rows: np.ndarray) -> torch.Tensor:
        """Return images as pixels from 0 to 1, float32 [n, C, H, W], as attacks change them."""
        return self.split.dataset.images[rows].float() / 255

    def on_device(self, training_set) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `examples` on the device that computes."""
        images, labels = self.examples(training_set)
        return images.to(self.device), labels.to(self.device)


@dataclass(frozen=True, eq=False)
class Job:
    """One result that is computed once: inputs -> key -> compute -> keep.

    Attributes
    ----------
    place : folder and readable name, "models/shadow-3".
    inputs : all that the result depends on, as JSON can hold it; its fingerprint ends the file's name.
    make : function of a module, ``make(data, *arguments, seed=..., checkpoint=..., progress=...)`` returns the arrays.
        It may keep the state of unfinished work in the file `checkpoint`.
    arguments : of `make`; another job may be one of them.
    seed : of all that is random in it.
    grows_with : inputs that only say how far the work goes. Its state is then kept without them, so that more of the
        same goes on from there.
    by : the functions that `make` leaves the work to, for the record (see `origin`).
    imports : modules that `make` imports late and slowly.
    """

    place: str
    inputs: dict
    make: Callable[..., dict]
    arguments: tuple = ()
    seed: int = 0
    grows_with: tuple[str, ...] = ()
    by: tuple[Callable, ...] = ()
    imports: tuple[str, ...] = ()

    def path(self, folder: Path) -> Path:
        """Return the file in which the result is kept."""
        return store.cached_path(folder / self.place, self.inputs)

    def result(self, data: Data, progress: Callable = iter) -> dict:
        """Return the arrays, computed and kept unless they are there already."""

        def compute(unfinished: Path) -> dict:
            devices.use(data.device)
            state = self._state(data.folder) if self.grows_with else unfinished
            return self.make(data, *self.arguments, seed=self.seed, checkpoint=state, progress=progress)

        return store.cached(data.folder / self.place, self.inputs, compute, self.by)

    def _state(self, folder: Path) -> Path:
        """Return the file of the state that outlives the work."""
        place = folder / self.place
        rest = {name: value for name, value in self.inputs.items() if name not in self.grows_with}
        return store.cached_path(place.with_name(f"state-{place.name}"), rest)


# ---------------------------------------------------------------- recipes


@dataclass(frozen=True)
class Training:
    """How a model is trained without a guarantee.

    Attributes
    ----------
    epochs : passes over the training set.
    network : one of `networks.NETWORKS`.
    protocol : "paper" for `training.train`, "published" for `published_protocol.train`, which starts anew if it is
        interrupted.
    """

    epochs: int
    network: str = "PaperCNN"
    protocol: str = "paper"

    def inputs(self) -> dict:
        """Return the recipe as inputs of a job, without what was once the only one: models made then are found."""
        found = {"epochs": self.epochs, "network": self.network, "recipe": self.protocol}
        return {name: value for name, value in found.items() if (name, value) not in FIRST_MODELS}


FIRST_MODELS = (("network", "PaperCNN"), ("recipe", "paper"))


@dataclass(frozen=True)
class PrivateTraining:
    """How a model is trained by DP-SGD, and which one of `networks.NETWORKS` it is."""

    dp_sgd: dp_sgd.Settings
    network: str = "PaperCNN"


@dataclass(frozen=True)
class FittedRelease:
    """How noisy sums are released, and how images are fitted to them; another fit finds the releases made before."""

    query: noisy_embeddings.ReleaseSettings
    fit: noisy_embeddings.FitSettings | gan.Settings


@dataclass(frozen=True)
class StartedElsewhere:
    """How members are condensed from a start that is made of other people's images, who are not to be protected.

    Attributes
    ----------
    settings : whose `start` is not used.
    rows : of the data set, in place of the start: from each class as many as there are images of it.
    """

    settings: method.Settings
    rows: tuple[int, ...]


def each(training_sets: dict, recipe) -> dict:
    """Return key to (rows or training set, recipe), the same recipe for all, as `Study.sets` and `Study.models` want
    it."""
    return {key: (training_set, recipe) for key, training_set in training_sets.items()}


# ---------------------------------------------------------------- on a device

TOGETHER = 32  # models that are trained at once, at most
TOGETHER_BYTES = 2**31  # of their images, at most


@dataclass(eq=False)
class Population:
    """Models that a device trains at once (see `training.train_together`), when the first of them is asked for."""

    jobs: list[Job]
    networks: list[torch.nn.Module] = field(default_factory=list)

    def state(self, data: Data) -> Path:
        """Return the file of the state of the training, which outlives it: until all answers are kept."""
        members = {"trained together": [job.path(data.folder).name for job in self.jobs]}
        return store.cached_path(data.folder / "models" / f"{store.STATE}together", members)

    def train(self, data: Data, progress: Callable) -> None:
        """Train all of the networks."""
        recipe = self.jobs[0].arguments[1]
        examples = [data.on_device(job.arguments[0]) for job in self.jobs]
        self.networks = [new_network(data, recipe.network, job.seed) for job in self.jobs]
        training.train_together(
            self.networks,
            torch.stack([images for images, _ in examples]),
            torch.stack([labels for _, labels in examples]),
            epochs=recipe.epochs,
            generators=[torch.Generator().manual_seed(job.arguments[2]) for job in self.jobs],
            checkpoint=self.state(data),
            progress=progress,
        )


def populations(data: Data, wanted: list[Job]) -> list[list[Job]]:
    """Return jobs in the groups in which a device does them: trainings of one recipe on as many images, and all other
    jobs alone.

    Groups are of what is wanted, done before or not: what is made again has the same last digits.
    """
    alike: dict[tuple, list[Job]] = {}
    for number, job in enumerate(wanted):
        kind: tuple = (number,)
        if job.make is train and job.arguments[1].protocol == "paper":
            images, labels = data.examples(job.arguments[0])
            kind = (job.arguments[1], images.shape, labels.shape, labels.dtype)
        alike.setdefault(kind, []).append(job)
    found = []
    for kind, group in alike.items():
        most = 1 if len(kind) == 1 else max(1, min(TOGETHER, TOGETHER_BYTES // (4 * kind[1].numel())))
        found += [group[first : first + most] for first in range(0, len(group), most)]
    return found


def do_on_device(data: Data, wanted: list[Job], progress: Callable) -> None:
    """Do the jobs that are not done yet; ``progress(what)`` returns what wraps the steps of one or of a population."""
    for group in populations(data, wanted):
        together = Population(group)
        for number, job in enumerate(group):
            if job.path(data.folder).exists():
                continue
            if len(group) > 1:  # to the same file, whoever trains it
                job = replace(job, make=answer_together, arguments=(together, number))
            job.result(data, progress(job.place if len(group) == 1 else f"{len(group)} models as {job.place}"))
        together.state(data).unlink(missing_ok=True)


# ---------------------------------------------------------------- from recipes to jobs


def set_job(data: Data, kind: str, key: tuple, rows: np.ndarray, recipe, is_member: np.ndarray | None = None) -> Job:
    """Return the job that makes one synthetic set.

    Parameters
    ----------
    data : what it is made on.
    kind, key : what the set is for, and which of these it is.
    rows : int64 [n], the real images, as rows of the data set.
    recipe : `method.Settings`, `psg.Settings`, `gan.Settings` or `FittedRelease`.
    is_member : bool [canaries], which artificial people are members too; None for no audit.

    Raises
    ------
    ValueError
        As `method.check_ipc`, and if `is_member` is given and the recipe has no audit.
    TypeError
        If the recipe makes no sets.
    """
    return _chosen(SETS, recipe, is_member)(
        data, kind, key, np.asarray(rows), recipe, NO_CANARIES if is_member is None else is_member
    )


def model_job(data: Data, kind: str, key: tuple, training_set, recipe, is_member: np.ndarray | None = None) -> Job:
    """Return the job that trains one model; as `set_job`.

    Parameters
    ----------
    training_set : rows of the data set; of a recipe without a guarantee images and labels too, or what made them.
    recipe : `Training` or `PrivateTraining`.
    """
    if isinstance(training_set, dict):
        training_set = training_set["images"], training_set["labels"]
    return _chosen(MODELS, recipe, is_member)(
        data, kind, key, training_set, recipe, NO_CANARIES if is_member is None else is_member
    )


def _chosen(makers: dict, recipe, is_member: np.ndarray | None) -> Callable[..., Job]:
    if type(recipe) not in makers:
        known = ", ".join(f"{kind.__module__.removeprefix('dcpriv_lib.')}.{kind.__name__}" for kind in makers)
        raise TypeError(f"the recipe {recipe!r} is none of {known}: name one of these for every key")
    if is_member is not None and type(recipe) not in AUDITED:
        raise ValueError(f"is_member is given, and {recipe!r} has no audit: leave is_member out")
    return makers[type(recipe)]


def _job(data: Data, folder: str, kind: str, key: tuple, make: Callable, arguments: tuple, inputs: dict, **more) -> Job:
    name = "-".join([kind, *map(str, key)]).replace(" ", "_")
    inputs = data.key | inputs | {"kind": kind, "key": key}
    return Job(f"{folder}/{name}", inputs, make, arguments, derive(data.seed, kind, *key), **more)


def _members(data: Data, rows: np.ndarray) -> dict:
    return {"members": store.digest(rows, data.labels[rows])}


def _audited(data: Data, rows: np.ndarray, is_member: np.ndarray) -> dict:
    return _members(data, rows) | {"coins": store.digest(is_member)}


def _condensation(data, kind, key, rows, settings: method.Settings, _) -> Job:
    method.check_ipc(data.labels[rows], settings.ipc)
    inputs = settings.inputs() | {"real": store.digest(rows)}
    by = condensation.condense, *condensation.chosen(settings)
    return _job(data, "condensed", kind, key, condense, (rows, settings), inputs, grows_with=("iterations",), by=by)


def _condensation_elsewhere(data, kind, key, rows, recipe: StartedElsewhere, _) -> Job:
    started = np.array(recipe.rows)
    job = _condensation(data, kind, key, rows, recipe.settings, None)
    inputs = job.inputs | {"started_from": store.digest(started)}
    return replace(job, inputs=inputs, make=condense_from, arguments=(rows, recipe.settings, started))


def _matching(data, kind, key, rows, settings: psg.Settings, is_member) -> Job:
    inputs = asdict(settings) | _audited(data, rows, is_member)
    arguments, by = (rows, settings, is_member), (psg.condense,)
    return _job(data, "condensed", kind, key, condense_privately, arguments, inputs, by=by, imports=COMPILER)


def _drawing(data, kind, key, rows, settings: gan.Settings, _) -> Job:
    inputs, by = asdict(settings) | _members(data, rows), (gan.train,)
    return _job(data, "condensed", kind, key, draw_from_gan, (rows, settings), inputs, by=by, imports=COMPILER)


def _fitting(data, kind, key, rows, recipe: FittedRelease, is_member) -> Job:
    inputs = asdict(recipe.query) | _audited(data, rows, is_member)
    by = (noisy_embeddings.release,)
    released = _job(data, "releases", kind, key, release, (rows, recipe.query, is_member), inputs, by=by)
    return replace(
        released,
        place=released.place.replace("releases/", "condensed/", 1),
        inputs=released.inputs | asdict(recipe.fit),
        make=fit_to_release,
        arguments=(released, len(rows), recipe),
        by=(*by, _fit(recipe)),
    )


def _training(data, kind, key, training_set, recipe: Training, _) -> Job:
    inputs = recipe.inputs() | {"training_set": store.digest(*data.examples(training_set))}
    by = (published_protocol.train,) if recipe.protocol == "published" else ()
    arguments = training_set, recipe, derive(data.seed, f"{kind} order", *key)
    return _job(data, "models", kind, key, train, arguments, inputs, by=by)


def _private_training(data, kind, key, rows, recipe: PrivateTraining, is_member) -> Job:
    inputs = asdict(recipe.dp_sgd) | _audited(data, rows, is_member) | {"network": recipe.network}
    arguments, by = (rows, recipe, is_member), (dp_sgd.train,)
    return _job(data, "models", kind, key, train_privately, arguments, inputs, by=by, imports=COMPILER)


SETS = {
    method.Settings: _condensation,
    StartedElsewhere: _condensation_elsewhere,
    psg.Settings: _matching,
    gan.Settings: _drawing,
    FittedRelease: _fitting,
}
MODELS = {Training: _training, PrivateTraining: _private_training}
AUDITED = psg.Settings, FittedRelease, PrivateTraining


def attack_job(data: Data, file: str, examine: Callable[..., dict], rows: np.ndarray, settings: dict) -> Job:
    """Return the job that examines one trained model with adversarial images.

    Parameters
    ----------
    data : what it is made on.
    file : of the model, in the folder of models.
    examine : ``examine(network, images, labels, generator=..., **settings)``, of `robustness`, returns arrays.
    rows : int64 [n], the images to be changed, as rows of the data set.
    settings : what JSON can hold.
    """
    name = examine.__name__
    return Job(
        f"attacked/{name}-{Path(file).stem}",
        data.key | {"model": file, "examine": name, "rows": store.digest(rows), "how": settings},
        attack_pixels,
        (file, examine, rows, settings),
        derive(data.seed, "attacked", name, file),
        by=(examine,),
    )


def score_job(
    data: Data, kind: str, key: tuple, released: dict, people: np.ndarray, own: np.ndarray, attacks: list[str]
) -> Job:
    """Return the job that asks one released set about people.

    Parameters
    ----------
    data : what it is made on.
    kind, key : whose set it is, and which of these.
    released : "images" and "labels" of the set; for `class_means.of_the_update` "snapshots" too, the first of which is
        the start.
    people, own : int64, rows of the data set: whom the attacker asks about, and the attacker's own.
    attacks : names of `suite.SCORES`.
    """
    shown = {part: np.asarray(released[part]) for part in ("images", "labels")}
    if suite.NEEDS_START & set(attacks):
        shown["start"] = np.asarray(released["snapshots"][0])
    inputs = data.key | {
        "kind": kind,
        "key": key,
        "released": store.digest(*shown.values()),
        "people": store.digest(people, data.labels[people]),
        "own": store.digest(own),
        "attacks": attacks,
    }
    name = "-".join([kind, *map(str, key)]).replace(" ", "_")
    arguments, seed = (shown, people, own, attacks), derive(data.seed, "holds the images")
    by = tuple(suite.SCORES[attack] for attack in attacks)
    return Job(f"scores/{name}", inputs, ask_released, arguments, seed, by=by)


def function_job(data: Data, name: str, function: Callable[..., dict], arguments: tuple) -> Job:
    """Return the job that calls any function; its arguments are arrays, or what JSON can hold."""
    identity = [store.digest(value) if isinstance(value, np.ndarray) else value for value in arguments]
    inputs = data.key | {"arguments": identity}
    return Job(f"once/{name}", inputs, call, (function, *arguments), by=(function,))


# ---------------------------------------------------------------- what jobs compute


def condense(data: Data, rows: np.ndarray, settings: method.Settings, **run) -> dict:
    """Return what `condense.condense` makes of real images; "started_from" are rows of the data set."""
    made = condensation.condense(
        *data.on_device(rows),
        settings,
        make_network=lambda: networks.build(settings.network, data.split.shape, settings.width, True),
        **run,
    )
    return made | {"started_from": rows[made["started_from"].numpy()]}


def condense_from(data: Data, rows: np.ndarray, settings: method.Settings, started: np.ndarray, **run) -> dict:
    """Return what `condense` makes of members from the images of other people."""
    labels = data.labels[started].numpy()
    if condensation.METHODS[settings.method].decode or not (np.bincount(labels) == settings.ipc).all():
        raise ValueError(
            f"{len(started)} images to start {settings.method} from: expected {settings.ipc} of every class, and a "
            "method whose synthetic images are its training images"
        )
    order = np.argsort(labels, kind="stable")
    start = data.images[started[order]].unflatten(0, (data.classes, settings.ipc))
    return condense(data, rows, settings, start_images=start, **run)


def condense_privately(data: Data, rows: np.ndarray, settings: psg.Settings, is_member: np.ndarray, **run) -> dict:
    """Return what `psg.condense` makes of members."""
    return psg.condense(*data.on_device(rows), data.classes, settings, is_member=torch.as_tensor(is_member), **run)


def draw_from_gan(data: Data, rows: np.ndarray, settings: gan.Settings, **run) -> dict:
    """Return the images that a GAN of members draws (`gan.train`)."""
    return gan.train(*data.on_device(rows), data.classes, settings, **run)


def release(
    data: Data, rows: np.ndarray, query: noisy_embeddings.ReleaseSettings, is_member: np.ndarray, **run
) -> dict:
    """Return noisy sums of members, and the auditor's scores (`noisy_embeddings.release`)."""
    return noisy_embeddings.release(
        *data.on_device(rows), data.classes, query, is_member=torch.as_tensor(is_member), **run
    )


def fit_to_release(data: Data, released: Job, people: int, recipe: FittedRelease, **run) -> dict:
    """Return what was released of so many people, and images that were fitted to it."""
    found = released.result(data)
    sums = torch.as_tensor(found["sums"]).to(data.device)
    fit = _fit(recipe)
    return found | fit(sums, data.split.shape, people / data.classes, recipe.query, recipe.fit, **run)


def _fit(recipe: FittedRelease) -> Callable[..., dict]:
    return gan.fit if isinstance(recipe.fit, gan.Settings) else noisy_embeddings.fit


def train(data: Data, training_set, recipe: Training, order: int, *, seed: int, checkpoint: Path, progress) -> dict:
    """Return the `answers` of a model; `order` is the seed of the order in which it sees its examples."""
    network = new_network(data, recipe.network, seed)
    images, labels = data.on_device(training_set)
    draw = torch.Generator().manual_seed(order)
    if recipe.protocol == "published":
        published_protocol.train(network, images, labels, recipe.epochs, draw)
    else:
        how = {"epochs": recipe.epochs, "generator": draw, "checkpoint": checkpoint, "progress": progress}
        training.train(network, images, labels, **how)
    return answers(data, network)


def answer_together(data: Data, together: Population, number: int, *, progress, **_) -> dict:
    """Return the `answers` of one of the models that are trained together; the first one's seconds are those of all."""
    if not together.networks:
        together.train(data, progress)
    return answers(data, together.networks[number])


def train_privately(data: Data, rows: np.ndarray, recipe: PrivateTraining, is_member: np.ndarray, **run) -> dict:
    """Return the `answers` of a model that was trained by DP-SGD, and the auditor's scores (`dp_sgd.train`)."""
    network = new_network(data, recipe.network, run["seed"])
    scores = dp_sgd.train(network, *data.on_device(rows), recipe.dp_sgd, is_member=torch.as_tensor(is_member), **run)
    return answers(data, network) | {"scores": scores}


def attack_pixels(
    data: Data, file: str, examine: Callable, rows: np.ndarray, settings: dict, *, seed: int, **_
) -> dict:
    """Return what an attack on the pixels of some images finds of one trained model."""
    network = networks.OnPixels(trained_network(data, file), *data.split.scale)
    images = data.unit_pixels(rows).to(data.device)
    draw = torch.Generator().manual_seed(seed)
    return examine(network, images, data.labels[rows].to(data.device), generator=draw, **settings)


def ask_released(
    data: Data, released: dict, people: np.ndarray, own: np.ndarray, attacks: list[str], *, seed: int, **_
) -> dict:
    """Return what every attack says of everybody, from one released set."""
    shown = released_set.Labelled(*(torch.as_tensor(released[part]) for part in ("images", "labels")))
    start = torch.as_tensor(released["start"]) if "start" in released else None
    known = released_set.Known(_of_rows(data, own.tobytes()), *data.split.scale, seed=seed, start=start)
    asked = _of_rows(data, people.tobytes())
    return {attack: suite.SCORES[attack](shown, asked, known) for attack in attacks}


@functools.lru_cache(maxsize=4)  # the same people are asked about for every set, and what attacks keep of them is kept
def _of_rows(data: Data, rows: bytes) -> released_set.Labelled:
    chosen = np.frombuffer(rows, np.int64).copy()
    return released_set.Labelled(data.images[chosen], data.labels[chosen])


def call(data: Data, function: Callable[..., dict], *arguments, **_) -> dict:
    """Return what a function makes of its arguments alone."""
    return function(*arguments)


# ---------------------------------------------------------------- networks


def new_network(data: Data, name: str, seed: int) -> torch.nn.Module:
    """Return a new network, one of `networks.NETWORKS`, on the device; its weights are drawn from the seed."""
    network = networks.build(name, data.split.shape, width=WIDTH)
    return networks.initialise(network, torch.Generator().manual_seed(seed)).to(data.device)


def trained_network(data: Data, file: str) -> torch.nn.Module:
    """Return a network that was trained and kept, on the device; which one it is says its record.

    Raises
    ------
    ArtefactError
        If there is no such file in the folder of models.
    """
    path, made_by = data.folder / "models" / file, "the notebook that trains it"
    arrays = store.load_arrays(path, data.inputs, made_by)
    weights = {name.removeprefix("weights."): value for name, value in arrays.items() if name.startswith("weights.")}
    recorded = store.read_record(path, made_by)["inputs"]
    network = networks.build(recorded.get("network", Training.network), data.split.shape, width=WIDTH)
    network.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()})
    return network.to(data.device)


def answers(data: Data, network: torch.nn.Module) -> dict:
    """Return what is kept of a trained network: its answers for all images, and its weights."""
    test = data.split.pixels(data.split.dataset.test_images)
    found = {
        "logits": training.predict(network, data.images),
        "test_logits": training.predict(network, test) if len(test) else np.empty((0, data.classes)),
    }
    return found | {f"weights.{name}": value.cpu() for name, value in network.state_dict().items()}
