"""What `bench` measured as bars, beside the Keras example's published times."""

from pathlib import Path

from neardup.errors import BadInput
from neardup.evaluation.benchmark import Benchmark
from neardup.output.figures import write_png

# https://keras.io/examples/vision/near_dup_search/: 1,000 images and 1,000 queries on a T4, as its text says them.
PUBLISHED_IMAGES = 1000
PUBLISHED = {"without": (54.1, 54.4), "with": (13.1, 14.0)}  # seconds to build, seconds to query


def plot_benchmark(result: Benchmark, path: Path) -> None:
    """Write a PNG: a bar for each row, build on the left, queries on the right.

    Raises BadInput where the file cannot be written, or nothing was measured.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in result.rows if row.available]
    if not rows:
        raise BadInput(f"{path}: no engine could be measured, there is nothing to draw")
    figure = Figure(figsize=(11, 2.4 + 0.4 * len(rows)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    names = [
        f"{row.engine}, {row.precision}, {'one by one' if row.batch == 1 else f'{row.batch} at once'}" for row in rows
    ]
    for axes, which, title, count in (
        (left, 0, "Build", rows[0].images),
        (right, 1, "Query", rows[0].queries),
    ):
        seconds = [(row.query_seconds if which else row.build_seconds) or 0.0 for row in rows]
        gains = [row.speedup_query if which else row.speedup_build for row in rows]
        colours = ["#9A9A9A" if row.engine == "keras-example" else "#0072B2" for row in rows]
        axes.barh(range(len(rows)), seconds, color=colours, height=0.7, zorder=2)
        longest = max(*seconds, *(times[which] * count / PUBLISHED_IMAGES for times in PUBLISHED.values()))
        for place, (value, gain) in enumerate(zip(seconds, gains, strict=True)):
            text = f"{value:.1f} s" + (f", {gain:.1f}×" if gain and gain != 1 else "")
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
            axes.text(value + longest * 0.012, place, text, va="center", fontsize=8, bbox=box, zorder=4)
        for (label, times), colour in zip(PUBLISHED.items(), ("#D55E00", "#009E73"), strict=True):
            published = times[which] * count / PUBLISHED_IMAGES
            scaled = "" if count == PUBLISHED_IMAGES else f", scaled to {count:,}"
            axes.axvline(
                published, color=colour, linestyle="--", linewidth=1.2, zorder=3,
                label=f"the Keras example {label} TF-TRT on a T4: {times[which]} s for 1,000{scaled}",
            )  # fmt: skip
        axes.set_xlim(0, longest * 1.22)
        axes.set_title(f"{title}: {count:,} {'queries' if which else 'images'}", fontsize=10)
        axes.set_xlabel("seconds, shorter is better", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", color="0.88", linewidth=0.6, zorder=0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    left.set_yticks(range(len(rows)), names)
    left.invert_yaxis()
    made_up = " (noise, made up)" if result.synthetic else ""
    figure.suptitle(f"Model {result.model} on {result.device}; images: {result.source}{made_up}", fontsize=10)
    try:
        write_png(figure, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give another file for the plot") from error
