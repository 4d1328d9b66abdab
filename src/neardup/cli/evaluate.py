"""neardup evaluate"""

from __future__ import annotations

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@click.argument("path")
@click.option("--photos", type=click.IntRange(min=20), metavar="N", help="Use at most N photos, drawn by the seed.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Draws the photos and edits.")
@options.model
@options.engine
@click.option("--no-baselines", is_flag=True, help="Leave out pHash, dHash and PDQ.")
@click.option("--calibrate", is_flag=True, help="Also find the thresholds that suit these photos.")
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.99,
    show_default=True,
    help="With --calibrate: the share of answers that are to be right.",
)
@click.option(
    "--same",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Known near-duplicates, two paths a line, from PATH on: only the first takes part.",
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.png", help="Draw the recall per attack."
)
@click.option(
    "--lookalikes", is_flag=True, help="Instead, draw pictures that look alike and count what dedup would take."
)
@click.option(
    "--labelled", is_flag=True,
    help="Instead, do neighbours share a class? Classes are the folders that photos lie in, or labels of tfds:.",
)  # fmt: skip
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="With --labelled: draw classes, embeddings, right and wrong queries and the confusion into this folder.",
)  # fmt: skip
@click.option(
    "--judgements", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.json",
    help="Instead, how high is what was ticked in 'neardup review --queries --export FILE' among the images of PATH?",
)  # fmt: skip
@click.option("--kinds", metavar="A,B", help="With --lookalikes: only these kinds.  [default: all]")
@options.output_format
def evaluate(
    path: str,
    photos: int | None,
    seed: int,
    model: str,
    engine: str,
    no_baselines: bool,
    calibrate: bool,
    precision: float,
    same: Path | None,
    plot: Path | None,
    lookalikes: bool,
    labelled: bool,
    plots: Path | None,
    judgements: Path | None,
    kinds: str | None,
    format: str,
) -> None:
    """Attack the photos under PATH, or of tfds:NAME[:SPLIT], and report how many are found again.

    Photos are recompressed, cropped, turned, written over, put into screenshots and more, then searched for among
    the other photos. pHash, dHash and PDQ answer the same queries beside the model. Nothing is written under PATH.

    With --lookalikes, 200 different pictures of each kind are drawn in a temporary folder (pages of one book, icons,
    slides, bursts and dark versions of your photos ...) and grouped as dedup does it: how many would it throw away, and
    how many genuine copies of them does it find?

    With --labelled, every photo is searched for among the others, exactly and through hash tables: how often is the
    nearest, or one of five, of its class, and what do five neighbours vote for?

    With --judgements, the judged queries are searched for among all photos of PATH: recall@1, 5 and 10 and mAP of what
    was ticked.
    """
    if judgements is not None:
        _refuse_beside(
            "judgements", "labelled", "plots", "lookalikes", "kinds", "no_baselines", "calibrate", "precision", "same",
            "plot", "photos", "seed",
        )  # fmt: skip
        _evaluate_judgements(path, judgements, model, engine, format)
        return
    if plots is not None and not labelled:
        raise click.UsageError("--plots draws what --labelled finds: give both")
    if labelled:
        _refuse_beside("labelled", "lookalikes", "kinds", "no_baselines", "calibrate", "precision", "same", "plot")
        _evaluate_labelled(path, photos, seed, model, engine, plots, format)
        return
    if lookalikes:
        _refuse_beside("lookalikes", "no_baselines", "calibrate", "precision", "same", "plot")
        _evaluate_lookalikes(path, photos, seed, model, engine, kinds, format)
        return
    if kinds is not None:
        raise click.UsageError("--kinds says which kinds of --lookalikes: give both")
    from neardup.embedding import load_embedder
    from neardup.errors import BadInput
    from neardup.evaluation import suite
    from neardup.evaluation.baselines import load_baselines
    from neardup.evaluation.calibration import calibrate_false_matches, precision_threshold
    from neardup.output import emit, note
    from neardup.output.evaluation import render_evaluation
    from neardup.output.progress import Bar
    from neardup.sources.datasets import find_stored

    if plot and not plot.parent.is_dir():  # said now, not after minutes of work
        raise BadInput(f"{plot}: no such folder; make it, or give another file for the plot")
    known = suite.read_pairs(same, Path(path)) if same else ()
    found = find_stored(_resolved(path), on_error=lambda where, error: note(f"{where}: {error}"))
    drawn = suite.draw(found, seed, limit=photos, same=known)
    embedder = load_embedder(model, engine)
    baselines, missing = ({}, []) if no_baselines else load_baselines()
    for reason in missing:
        note(f"Left out: {reason}")

    with Bar() as bar:
        bar.begin("Attacking photos")
        report = suite.evaluate(
            drawn,
            embedder.embed,
            baselines=baselines,
            seed=seed,
            on_progress=bar.update,
        )
        chosen = rates = None
        if calibrate:
            try:
                chosen = precision_threshold(report, precision)
            except BadInput as error:
                note(str(error))
            bar.begin("Calibrating")
            rates = calibrate_false_matches(
                drawn,
                embedder.embed,
                seed=seed,
                on_progress=bar.update,
            )
    for file, reason in report.failed:
        note(f"{file}: {reason}")
    if plot:
        from neardup.output.figures.evaluation import plot_report

        plot_report(report, plot, title=f"Copies found by {embedder.model.name}")

    emit(render_evaluation(report, embedder.model.name, chosen, rates), format)


def _resolved(path: str) -> str:
    from neardup.sources.datasets import is_dataset

    return path if is_dataset(path) else str(Path(path).resolve())


def _refuse_beside(chosen: str, *names: str) -> None:
    if given := options.typed(*names):
        shown = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"--{chosen} is another evaluation: leave out {shown}")


def _evaluate_lookalikes(
    path: str, photos: int | None, seed: int, model: str, engine: str, kinds: str | None, format: str
) -> None:
    from neardup.embedding import cores, load_embedder
    from neardup.evaluation import suite
    from neardup.evaluation.lookalikes import KINDS
    from neardup.evaluation.lookalikes.measure import PICTURES, measure_lookalikes
    from neardup.output import emit, note
    from neardup.output.evaluation import render_lookalikes
    from neardup.output.progress import Bar
    from neardup.scratch import temporary_folder
    from neardup.sources.datasets import find_stored

    found = find_stored(_resolved(path), on_error=lambda where, error: note(f"{where}: {error}"))
    different, failed, _ = suite.without_lookalikes(suite.draw(found, seed, limit=photos), PICTURES)
    for file, reason in failed:
        note(f"{file}: {reason}")
    if not different:
        note(f"{path}: no photos that can be read; drawn scenes stand in for them")
    embedder = load_embedder(model, engine, threads=cores())
    with Bar() as bar, temporary_folder("neardup-lookalikes-") as folder:
        bar.begin("Drawing look-alikes")
        report = measure_lookalikes(
            folder,
            embedder,
            kinds=kinds.split(",") if kinds else KINDS,
            photos=different,
            seed=seed,
            threads=cores(),
            on_progress=lambda kind, done, pictures: bar.update(done, pictures, what=f"Look-alikes: {kind}"),
        )
    emit(render_lookalikes(report, embedder.model.name), format)


def _evaluate_judgements(path: str, judgements: Path, model: str, engine: str, format: str) -> None:
    from neardup.embedding import cores, load_embedder
    from neardup.evaluation.judgements import score_judgements
    from neardup.jobs.judgements import load_judgements
    from neardup.output import emit, note
    from neardup.output.evaluation import render_judged
    from neardup.output.progress import Bar
    from neardup.sources.datasets import find_stored

    judged = load_judgements(judgements)
    found = list(find_stored(_resolved(path), on_error=lambda where, error: note(f"{where}: {error}")))
    embedder = load_embedder(model, engine, images=len(found))
    with Bar() as bar:
        bar.begin("Embedding", len(found))
        scores = score_judgements(judged, found, embedder, cores(), bar.update)
    emit(render_judged(scores, embedder.model.name), format)


def _evaluate_labelled(
    path: str, photos: int | None, seed: int, model: str, engine: str, plots: Path | None, format: str
) -> None:
    from neardup.embedding import cores, load_embedder
    from neardup.evaluation import suite
    from neardup.evaluation.labelled import embed_labelled, judge_labelled
    from neardup.output import emit, note
    from neardup.output.labelled import render_labelled
    from neardup.output.progress import Bar
    from neardup.sources.datasets import find_labelled

    labels = dict(find_labelled(path))
    drawn = [(photo, labels[photo]) for photo in suite.draw(labels, seed, limit=photos)]
    embedder = load_embedder(model, engine, images=len(drawn))
    with Bar() as bar:
        bar.begin("Embedding", len(drawn))
        pictures = embed_labelled(drawn, embedder, cores(), bar.update)
    for file, reason in pictures.failed:
        note(f"{file}: {reason}")
    report = judge_labelled(pictures)
    emit(render_labelled(report, embedder.model.name), format)
    if plots is not None:
        from neardup.output.figures.labelled import plot_labelled

        for file in plot_labelled(report, plots, title=embedder.model.name, seed=seed):
            note(f"Drawn: {file}")
