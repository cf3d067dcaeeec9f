"""What the committed tables say, for the front page: an answer in five sentences, and a card a claim.

Every number is read from its table when the page is made. What a card says of its claim follows from the numbers by the
rule that is written beside it; where it no longer does, the card says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...engine import paths, store
from .. import tables

VERIFIED, REFUTED, TOY, INCONCLUSIVE = "verified", "refuted", "toy", "inconclusive"
MEANING = {
    VERIFIED: "the interval excludes chance, or the other side",
    REFUTED: "the numbers say otherwise",
    TOY: "found, but on small digits only",
    INCONCLUSIVE: "no difference detected; the card says which one would have been",
}
ONE_MODEL = "may ask one model for its outputs"
IMAGES = "is handed the released images, and condenses as their owner did"


@dataclass(frozen=True)
class Number:
    """A cell of a committed table: its row by some columns' values, and its column."""

    table: str  # "paper/claims"
    column: str
    row: dict[str, str]

    def cell(self):
        """Return the cell; a ValueError unless there is one such row."""
        frame = tables.read(paths.FIGURES / f"{self.table}.csv")
        shown = tables.words(frame).astype(str)
        rows = shown[[all(one[name] == value for name, value in self.row.items()) for _, one in shown.iterrows()]]
        if len(rows) != 1 or self.column not in frame:
            raise ValueError(f"figures/{self.table}.csv has {len(rows)} rows of {self.row}, columns {list(frame)}")
        return frame.loc[rows.index[0], self.column]

    def words(self) -> str:
        """Return it with its interval: "3.9 % [3.5, 4.4]"."""
        return str(self.cell())

    def short(self) -> str:
        """Return it without its interval: "3.9 %"."""
        return self.words().partition(" [")[0]

    def interval(self) -> tuple[float, float]:
        """Return the ends of its interval."""
        low, high = self.cell().numbers[1:3]
        return float(low), float(high)


def number(table: str, column: str, **row: str) -> Number:
    """Return the number of a row whose columns are named as Python names, "trained_on" for "trained on"."""
    return Number(table, column, {name.replace("_", " "): value for name, value in row.items()})


@dataclass(frozen=True)
class Chance:
    """How often a member canary scores by luck above all that were left out, by a table's record of how many there
    are.

    Half of the canaries are left out, on average: of the n of them and one member, each is the highest as often.
    """

    table: str

    def share(self) -> float:
        """Return it as a fraction."""
        _, record = store.read_exported(paths.FIGURES / f"{self.table}.csv")
        return 1 / (record["inputs"]["parameters"]["n_canaries"] / 2 + 1)

    def words(self) -> str:
        """Return it as it is shown: "3.2 %"."""
        return f"{100 * self.share():.1f} %"


LIRA = number("authors/authors_models", "AUC", target="original", attack="LiRA")
FOUND = number("authors/authors_models", "TPR at 1 % FPR", target="original", attack="LiRA")
IDM = number("mnist-small/methods", "average person: AUC", method="IDM")
RANDOM = number("mnist-small/methods", "average person: AUC", method="random")
SHOWN = number("mnist-small/methods_shown", "AUC", method="KIP", whose="shown")
EQUAL = number("mnist-small/methods_at_equal_accuracy", "AUC above that of as accurate real images", method="IDM")
EQUAL_LEAST = number("mnist-small/methods_at_equal_accuracy", "would have been told", method="IDM")
KIP_IMAGES, KIP_MODEL, KIP_MORE = (
    number("mnist-released/two_doors", column, released="KIP")
    for column in ("the images: AUC", "one model: AUC", "images less model")
)
CHILDREN, CHILDREN_MODEL = (
    number("xrays-released/two_doors", column, released="KIP") for column in ("the images: AUC", "one model: AUC")
)
DIGITS, DIGITS_MODEL, DIGITS_MORE = (
    number("digits/two_doors", column, released="DC from means")
    for column in ("the images: AUC", "one model: AUC", "images less model")
)
RECALL = number(
    "authors/authors_claims",
    "its own models say",
    the_paper_concludes="Very few members are identified after condensation (recall)",
    about="condensed-10",
)
PRIVATE_MODEL = number("mnist-small/formal_privacy", "accuracy", way="DP-SGD, epsilon 1")
PRIVATE_SET = number("mnist-small/formal_privacy", "accuracy", way="DM, epsilon 1")
NO_GUARANTEE = number("mnist-small/methods", "accuracy", method="IDM")
CANARIES = number("digits/canaries", "TPR at 0 % FPR", trained_on="condensed from means")
CANARIES_CHANCE = Chance("digits/canaries")
CANARIES_ALL = number("digits/canaries", "TPR at 0 % FPR", trained_on="all members")
CANARIES_SHOWN = number("digits/real_start", "AUC", start="means", whose="it started from", people="canaries")
CANARIES_VERDICT = number("digits/canaries", "answer", trained_on="condensed from means")


@dataclass(frozen=True)
class Sentence:
    """A sentence of the answer: `text` has a field for each number, and links to the first one's table."""

    begins: str
    text: str
    numbers: tuple[Number, ...]


ANSWER = (
    Sentence(
        "Ordinary training gives people away.",
        "A strong attack finds {} of the members of the paper's own model while it accuses 1 % of the others.",
        (FOUND,),
    ),
    Sentence(
        "A model of condensed images tells little about the average member. So does one of a hundred real images.",
        "On MNIST the best attack has an AUC of {} on condensed images (IDM) and of {} on random real ones; guessing "
        "has 50 %.",
        (IDM, RANDOM),
    ),
    Sentence(
        "Whom the condensed images started from stays visible on average,",
        "with an AUC of {} in a model of images by KIP.",
        (SHOWN,),
    ),
    Sentence(
        "Whoever is handed the images can see more.",
        "A hundred images by KIP tell their 15,000 members from as many others with an AUC of {}, and a model of these "
        "images with {}.",
        (KIP_IMAGES, KIP_MODEL),
    ),
    Sentence(
        "A guarantee takes noise.",
        "With one (epsilon 1) a model is right on {} and a data set gives {}; the best set of ten images a class "
        "without one gives {}.",
        (PRIVATE_MODEL, PRIVATE_SET, NO_GUARANTEE),
    ),
)


@dataclass(frozen=True)
class Claim:
    """A claim and what became of it.

    Attributes
    ----------
    claim : one sentence.
    state : one of `MEANING`.
    found : the numbers, a field for each of `numbers`.
    rule : whether the numbers still say so.
    scale : of what data it holds.
    attacker : what they hold.
    detectable : the smallest difference that would have been found; "" where one was found.
    cost : the command that computes it anew, and about how long that takes on two cores.
    page : the notebook that has it.
    """

    claim: str
    state: str
    found: str
    numbers: tuple[Number | Chance, ...]
    rule: Callable[[], bool]
    scale: str
    attacker: str
    cost: str
    page: str
    detectable: str = ""
    told: tuple[Number, ...] = field(default=())

    def holds(self) -> bool:
        """Return whether its state still follows from the numbers."""
        return self.rule()


def _above(one: Number, chance: float) -> Callable[[], bool]:
    return lambda: one.interval()[0] > chance


def _holds_zero(one: Number) -> Callable[[], bool]:
    return lambda: one.interval()[0] <= 0 <= one.interval()[1]


def _blind() -> bool:
    """Return whether the SVM says "member" to about as many non-members as members: within a point."""
    _, _, members, others = RECALL.cell().numbers
    return bool(abs(members - others) < 0.01)


CLAIMS = (
    Claim(
        "The paper's own model gives its members away.",
        VERIFIED,
        "LiRA has an AUC of {}, and finds {} of the members at 1 % false alarms",
        (LIRA, FOUND),
        _above(LIRA, 0.5),
        "MNIST, 15,000 members",
        f"{ONE_MODEL}, and has the authors' shadow models",
        "`make authors`, minutes",
        "08_the_authors_models",
    ),
    Claim(
        "The paper's falling recall shows that condensing protects.",
        REFUTED,
        "{}",
        (RECALL,),
        _blind,
        "MNIST, 15,000 members",
        ONE_MODEL,
        "`make authors`, minutes",
        "08_the_authors_models",
    ),
    Claim(
        "Condensed images hide the average person better than real ones at equal accuracy.",
        INCONCLUSIVE,
        "IDM leaks {} of AUC more than real images at equal accuracy",
        (EQUAL,),
        _holds_zero(EQUAL),
        "MNIST, 15,000 members, ten images a class",
        f"{ONE_MODEL}, and condenses too",
        "`make mnist-small`, hours",
        "09_methods",
        "{}",
        (EQUAL_LEAST,),
    ),
    Claim(
        "The people whom the images started from stay visible.",
        VERIFIED,
        "AUC {} in a model of KIP's images",
        (SHOWN,),
        _above(SHOWN, 0.5),
        "MNIST, 100 people of 15,000",
        f"{ONE_MODEL}, and condenses too",
        "`make mnist-small`, hours",
        "09_methods",
    ),
    Claim(
        "The released images say more than a model of them.",
        VERIFIED,
        "KIP: AUC {} by the images, {} by a model",
        (KIP_IMAGES, KIP_MODEL),
        _above(KIP_MORE, 0),
        "MNIST, 15,000 members, 150 people an image",
        IMAGES,
        "profile `mnist-released`, an hour and a half",
        "12_released_images",
    ),
    Claim(
        "Children are recognised in condensed chest X-rays.",
        VERIFIED,
        "KIP: AUC {} by the images, {} by a model",
        (CHILDREN, CHILDREN_MODEL),
        _above(CHILDREN, 0.5),
        "PneumoniaMNIST, 1,301 members in twenty images",
        IMAGES,
        "profile `xrays-released`, twenty minutes",
        "12_released_images",
    ),
    Claim(
        "Where few people share an image, the images say far more.",
        TOY,
        "condensed from means: AUC {} by the images, {} by a model",
        (DIGITS, DIGITS_MODEL),
        _above(DIGITS_MORE, 0),
        "small digits, 599 members, six people an image",
        IMAGES,
        "profile `digits`, a quarter of an hour",
        "12_released_images",
    ),
    Claim(
        "A model of images condensed from means protects the worst-off: people with a wrong label.",
        INCONCLUSIVE,
        "{} of them score above every one left out, where chance gives {}; a model of all members exposes {}. Those "
        "whom the means were made of are recognised (AUC {})",
        (CANARIES, CANARIES_CHANCE, CANARIES_ALL, CANARIES_SHOWN),
        lambda: CANARIES.interval()[0] <= CANARIES_CHANCE.share(),
        "small digits, sixty people",
        f"{ONE_MODEL}, and condenses too",
        "profile `digits`, a quarter of an hour",
        "07_controls",
        "{}",
        (CANARIES_VERDICT,),
    ),
    Claim(
        "A guarantee costs accuracy, and a data set with one costs more than a model.",
        VERIFIED,
        "epsilon 1: a model {}, a data set {}; without one the best of eight sets {}",
        (PRIVATE_MODEL, PRIVATE_SET, NO_GUARANTEE),
        lambda: (
            PRIVATE_SET.interval()[1]
            < PRIVATE_MODEL.interval()[0]
            < PRIVATE_MODEL.interval()[1]
            < NO_GUARANTEE.interval()[0]
        ),
        "MNIST; sets of ten images a class; delta 1e-5",
        "every noisy sum, and not the seed",
        "`make mnist-small`, hours",
        "11_formal_privacy",
    ),
)
