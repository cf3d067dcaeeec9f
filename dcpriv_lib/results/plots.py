"""The figures' common parts. Functions draw on an `ax` and return it.

A name that they are given is drawn as it is. Whoever puts one into a title or a legend passes it through `in_figure`,
for a "$" in it would begin a formula.
"""

import io
import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from .. import metrics
from ..engine import store
from ..engine.foreign_text import in_figure, plain

plt.style.use(Path(__file__).with_name("report.mplstyle"))

MEMBER, NON_MEMBER, ATTACKER, SYNTHETIC = "#0072B2", "#D55E00", "#7F7F7F", "#009E73"
COLOURS = 128  # of a figure's palette


def save(figure, folder: Path, name: str) -> None:
    """Save a figure as ``folder/figures/<name>.png`` (see `palette`), atomically."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    with Image.open(content) as drawn:
        store.write(Path(folder) / "figures" / f"{name}.png", palette(drawn))


def check_alt(name: str, alt: str) -> None:
    """Raise ValueError unless `alt` says something."""
    if not (isinstance(alt, str) and alt.strip()):
        raise ValueError(
            f"figure(figure, {name!r}, alt): alt is {alt!r}: write what is seen in the figure as one sentence, for "
            "readers who do not see it; it is the caption too"
        )


def show(figure, name: str, alt: str) -> None:
    """Show a figure below its cell, once, with its name and alternative text in the output's metadata.

    The report's pages read these there (see `pages.sources`), and so does nbconvert's template "classic". Outside of a
    notebook nothing is shown.
    """
    from IPython.core.interactiveshell import InteractiveShell  # here, because only notebooks show anything
    from IPython.display import display

    if InteractiveShell.initialized():
        display(figure, metadata={"image/png": {"alt": plain(alt, None), "name": name}})
    plt.close(figure)  # else the notebook would show it again at the end of the cell


def palette(picture: Image.Image) -> bytes:
    """Return a picture as a png of at most `COLOURS` colours: a third of the size, and the same to the eye.

    Nothing but the pixels is kept, so that the bytes tell whether two figures are the same. There is no dithering: it
    would look like noise in pictures of digits.
    """
    content = io.BytesIO()
    flat = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    flat.info.clear()
    flat.save(content, "png", optimize=True)
    return content.getvalue()


def images(ax, pictures, columns: int, title: str = ""):
    """Draw pictures, float [n, C, H, W] from 0 to 1, as one grid of `columns` columns."""
    pictures = np.pad(np.asarray(pictures), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1)
    rows = -(-len(pictures) // columns)
    blank = np.ones((rows * columns - len(pictures), *pictures.shape[1:]))
    channels, height, width = pictures.shape[1:]
    grid = np.concatenate([pictures, blank]).reshape(rows, columns, channels, height, width)
    grid = grid.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    ax.imshow(grid.squeeze(), vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def shares(ax, counts: dict[str, int], colours: list[str]):
    """Draw how many images each party holds as one horizontal bar."""
    left = 0
    for (name, count), colour in zip(counts.items(), colours):
        ax.barh(0, count, left=left, color=colour, edgecolor="white", height=0.6)
        ax.text(left + count / 2, 0, f"{name}\n{count:,}", ha="center", va="center", color="white")
        left += count
    ax.set(xlim=(0, left), ylim=(-0.4, 0.4), yticks=[], xlabel="images")
    ax.spines["left"].set_visible(False)
    return ax


def probabilities(ax, values, label: int, colour: str, title: str):
    """Draw one softmax vector, float [classes]; the true class is hatched."""
    bars = ax.bar(np.arange(len(values)), values, color=colour)
    bars[label].set(hatch="///", edgecolor="white")
    ax.set(title=title, xlabel="class", xticks=range(len(values)), ylim=(0, 1.05))
    return ax


def loss_histogram(ax, member_losses, non_member_losses, title: str = ""):
    """Draw the distributions of members' and non-members' losses (nats, log scale)."""
    both = np.concatenate([member_losses, non_member_losses])
    floor = max(np.quantile(both, 0.001), 1e-12)  # below it, float64 sums of logits are noise
    bins = np.geomspace(floor, max(both.max(), 10 * floor), 50)
    for values, name, colour, style_ in (
        (member_losses, "members", MEMBER, "-"),
        (non_member_losses, "non-members", NON_MEMBER, "--"),
    ):
        ax.hist(
            np.clip(values, floor, None),
            bins,
            histtype="step",
            linewidth=1.8,
            weights=np.full(len(values), 100 / len(values)),
            label=name,
            color=colour,
            linestyle=style_,
        )
    ax.set(xscale="log", xlabel="loss (nats)", ylabel="% of examples", title=title)
    ax.legend()
    return ax


def with_and_without(ax, inside, outside):
    """Draw histograms of phi over the models with (blue) and without (orange) one image."""
    bins = np.histogram_bin_edges(np.concatenate([inside, outside]), 16)
    for values, colour in ((inside, MEMBER), (outside, NON_MEMBER)):
        ax.hist(values, bins, color=colour, alpha=0.6)
    ax.set(xlabel=r"$\phi$", yticks=[])
    return ax


def panels(count: int, columns: int = 3):
    """Return a figure with `count` panels of equal axes, row by row, and these as a list."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.4 * columns, 3.4 * rows), sharex=True, sharey=True, squeeze=False
    )
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    for ax in axes.flat[max(0, count - columns) : count]:  # the last of each column, whatever is below it
        ax.tick_params(labelbottom=True)
    return figure, list(axes.flat[:count])


def roc(ax, scores, is_member, label: str):
    """Add one ROC curve (linear axes) to `ax`; the first call draws the chance line."""
    from sklearn.metrics import roc_curve  # here, because most figures do without it

    if not ax.lines:
        ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
        ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal", xlim=(0, 1), ylim=(0, 1))
        ax.set_prop_cycle(plt.rcParams["axes.prop_cycle"])
    false_positive, true_positive, _ = roc_curve(is_member, scores)
    ax.plot(false_positive, true_positive, label=in_figure(label))
    return ax


def above_chance(ax, scores, is_member, label: str):
    """Add a ROC curve less its diagonal, in points; the first call draws the band of 95 % of guessers.

    The band is pointwise: at a false positive rate f, 1.96 deviations of the difference of two shares
    near f, of as many members and non-members.
    """
    from sklearn.metrics import roc_curve  # here, because most figures do without it

    if not ax.lines:
        f = np.linspace(0, 1, 200)
        members = np.count_nonzero(is_member)
        band = 196 * np.sqrt(f * (1 - f) * (1 / members + 1 / (len(is_member) - members)))
        ax.fill_between(f, -band, band, color="0.9", linewidth=0)
        ax.axhline(0, color="0.6", linestyle=":", linewidth=1)
        ax.set(xlabel="false positive rate", xlim=(0, 1))
        ax.set_prop_cycle(plt.rcParams["axes.prop_cycle"])
    false_positive, true_positive, _ = roc_curve(is_member, scores)
    ax.plot(false_positive, 100 * (true_positive - false_positive), label=in_figure(label))
    return ax


def roc_log(ax, scores, is_member, label: str):
    """Add one ROC curve with its pointwise 95 % band (`metrics.roc_band`) to log-log axes.

    The horizontal axis begins at the smallest false positive rate that the examples can resolve, the vertical
    one at one in the number of members; a rate of 0 is drawn on that edge. The first call draws
    the chance line and sets the limits.
    """
    fpr, tpr, low, high = metrics.roc_band(scores, is_member, np.random.default_rng(0))
    floor = 1 / np.count_nonzero(is_member)
    if not ax.lines:
        ax.plot([1e-9, 1], [1e-9, 1], color="0.6", linestyle=":", linewidth=1)
        ax.set(
            xscale="log",
            yscale="log",
            xlim=(fpr[0], 1),
            ylim=(floor, 1),
            xlabel="false positive rate",
            ylabel="true positive rate",
        )
        ax.set_prop_cycle(plt.rcParams["axes.prop_cycle"])
    (line,) = ax.plot(fpr, np.maximum(tpr, floor), label=in_figure(label))
    ax.fill_between(
        fpr, np.maximum(low, floor), np.maximum(high, floor), color=line.get_color(), alpha=0.15, linewidth=0
    )
    return ax


def intervals(ax, values, low, high, names, colour: str, offset: float = 0.0, **point):
    """Draw one point with its interval a row, the first name on top."""
    rows = np.arange(len(names))[::-1] + offset
    error = np.clip([np.subtract(values, low), np.subtract(high, values)], 0, None)
    ax.errorbar(values, rows, xerr=error, linestyle="none", capsize=3, color=colour, **{"marker": "o"} | point)
    ax.set(yticks=np.arange(len(names))[::-1], yticklabels=list(map(in_figure, names)))
    return ax


def name_points(ax, points, names, colours):
    """Write a name beside each of some points, float [n, 2] in data coordinates; none covers a point or another name.

    Each name takes the nearest free place around its point, never straight above, below or beside it, where intervals
    are drawn, and a thin line leads to it. The limits of the axes must not change afterwards.
    """
    ax.figure.draw_without_rendering()
    places = ax.transData.transform(np.asarray(points, dtype=float))
    dot = ax.figure.dpi / 72 * 3.5  # half the width of a mark, in pixels
    taken = [Bbox([place - dot, place + dot]) for place in places]
    for point, name, colour in zip(points, names, colours):
        text = ax.annotate(
            in_figure(name),
            point,
            (0, 0),
            textcoords="offset points",
            fontsize=7,
            color=colour,
            va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6, "shrinkA": 0, "shrinkB": 2},
        )
        for distance, angle in itertools.product((7, 12, 18, 26, 36, 48, 62, 80), np.radians(np.arange(45, 405, 30))):
            text.set(
                position=(distance * np.cos(angle), distance * np.sin(angle)),
                ha="left" if np.cos(angle) > -1e-9 else "right",
            )
            text.update_positions(ax.figure.canvas.get_renderer())
            box_ = Text.get_window_extent(text)  # without the line
            inside = ax.bbox.contains(*box_.min) and ax.bbox.contains(*box_.max)
            if inside and not any(box_.overlaps(one) for one in taken):
                break
        taken.append(box_)
    return ax


def sign(name: str) -> str:
    """Return a mark that shows the first two letters or digits of a name; "?" if it has none that formulas can hold."""
    shown = "".join(one for one in name if one == "-" or (one.isalnum() and ord(one) < 0x10000))
    return f"${shown[:2] or '?'}$"


def box(ax, centre, text: str, colour: str = "0.35", size=(2.2, 0.9)):
    """Draw a rounded box with a text, for diagrams (data coordinates)."""
    (x, y), (width, height) = centre, size
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            facecolor=colour + "22" if colour.startswith("#") else "0.95",
            edgecolor=colour,
            boxstyle="round,pad=0.04,rounding_size=0.12",
            linewidth=1.4,
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=9)
    return ax


def arrow(ax, start, end, text: str = ""):
    """Draw an arrow from left to right between two points of a diagram, with an optional label above it."""
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color="0.25", shrinkA=2, shrinkB=2))
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.08
    beside = {-1: "left", 0: "center", 1: "right"}[np.sign(end[1] - start[1])]  # a slope would cross its label
    ax.text(*middle, text, ha=beside, va="bottom", fontsize=8, color="0.25")
    return ax


def diagram(width: float, height: float):
    """Return a figure and an axis without frame, one unit an inch or so, for boxes and arrows."""
    figure, ax = plt.subplots(figsize=(width, height))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    return figure, ax


def two_directions(ax, degrees: float, names: tuple[str, str]):
    """Draw two arrows from one point with an angle between them: a real gradient and a synthetic one."""
    for angle, name, colour in ((0, names[0], MEMBER), (np.radians(degrees), names[1], SYNTHETIC)):
        end = np.cos(angle), np.sin(angle)
        ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2.2})
        ax.text(end[0] + 0.04, end[1], name, color=colour, va="center")
    turn = np.linspace(0, np.radians(degrees), 40)
    ax.plot(0.3 * np.cos(turn), 0.3 * np.sin(turn), color="0.5", linewidth=1)
    ax.set(xlim=(-0.05, 2.6), ylim=(-0.2, 1.15), aspect="equal")
    ax.set_axis_off()
    return ax


def name_rows(ax, names):
    """Write the names of the rows to the left of a grid that `images` drew, from top to bottom."""
    bottom, top = ax.get_ylim()
    for row, name in enumerate(names):
        y = top + (bottom - top) * (row + 0.5) / len(names)
        ax.text(-0.02, y, in_figure(name), transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=7)
    return ax


def two_gaussians(ax, out: tuple[float, float], inside: tuple[float, float], phi: float):
    """Draw the bell curves of models without and with an image, each (mean, std), and the target's phi as a line."""
    low = min(mean - 3.5 * std for mean, std in (out, inside))
    high = max(mean + 3.5 * std for mean, std in (out, inside))
    grid = np.linspace(min(low, phi - 1), max(high, phi + 1), 300)
    for (mean, std), name, colour in ((out, "models without it", NON_MEMBER), (inside, "models with it", MEMBER)):
        height = np.exp(-(((grid - mean) / std) ** 2) / 2) / std
        ax.plot(grid, height, color=colour, label=name, linestyle="-")
        ax.fill_between(grid, height, color=colour, alpha=0.12, linewidth=0)
    ax.axvline(phi, color="0.2", linestyle="--", linewidth=1.4, label="the target")
    ax.set(xlabel=r"$\phi$", yticks=[], ylim=(0, None))
    return ax


def inset(ax, picture):
    """Draw one picture, float [1, C, H, W] from 0 to 1, small into a plot's upper left corner, above its curves."""
    ax.set_ylim(top=1.7 * ax.get_ylim()[1])
    return images(ax.inset_axes((0.02, 0.62, 0.25, 0.36)), picture, 1)


def ticks_and_crosses(ax, right):
    """Mark the pictures of a row that `images` drew: a green tick where `right` (bool [n]), else a red cross."""
    left, end = ax.get_xlim()
    for place, one in enumerate(right):
        ax.text(
            left + (end - left) * (place + 0.5) / len(right),
            1.02,
            "\u2713" if one else "\u2717",
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=11,
            color=SYNTHETIC if one else NON_MEMBER,
            clip_on=False,
        )
    return ax


def epsilon_walls(ax, epsilons):
    """Draw for every epsilon the highest ROC curve that an epsilon-differentially private training allows."""
    fpr = np.linspace(0, 1, 500)
    for epsilon in epsilons:
        wall = np.minimum(np.exp(epsilon) * fpr, 1 - np.exp(-epsilon) * (1 - fpr))
        ax.plot(fpr, wall, color="0.6", linestyle="-", linewidth=1)
        corner = 1 / (1 + np.exp(epsilon))
        ax.annotate(
            rf"$\varepsilon = {epsilon}$",
            (corner, 1 - corner),
            textcoords="offset points",
            xytext=(4, -9),
            fontsize=8,
            color="0.4",
        )
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    ax.set_prop_cycle(plt.rcParams["axes.prop_cycle"])
    return ax
