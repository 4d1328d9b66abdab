"""`neardup train`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", type=click.Path(file_okay=False, path_type=Path), default=Path("trained"))
@click.option("--steps", type=click.IntRange(min=2), default=20_000, show_default=True, help="Steps of the whole run.")
@click.option("--photos", type=click.IntRange(min=2), default=96, show_default=True, help="Photos of a batch.")
@click.option("--size", type=click.IntRange(32, 512), default=128, show_default=True, help="Edge of a view, in pixels.")
@click.option("--final-size", type=click.IntRange(32, 512), help="Edge of a view in the last fifth of the steps.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=1.5e-3, show_default=True)
@click.option(
    "--frozen-blocks", type=click.IntRange(0, 4), default=0, show_default=True,
    help="Blocks, from the root, that stay as they began: faster, for weights that are good already.",
)  # fmt: skip
@click.option(
    "--average", type=click.FloatRange(0, 1), default=0.995, show_default=True, help="Momentum of the weights."
)
@click.option(
    "--untouched", type=click.FloatRange(0, 1), default=0.9, show_default=True,
    help="Share of photos of which one view is the photo as it is; of the rest all are edited.",
)  # fmt: skip
@click.option(
    "--start", metavar="MODEL", help="Begin with the weights of this model, by name or folder, or of this .npz file."
)
@click.option("--without", metavar="PREFIX", help="Leave out photos whose name begins so, to validate on for instance.")
@click.option(
    "--validate-on", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="PATH",
    help="Photos to attack and search for while training.",
)  # fmt: skip
@click.option("--validate-every", type=click.IntRange(min=1), default=500, show_default=True, metavar="STEPS")
@click.option(
    "--patience", type=click.IntRange(min=0), default=0, help="Validations without progress that end the run."
)
@click.option(
    "--precision", type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]), default="float32",
    show_default=True, help="Reduced precision pays on a GPU, and on a CPU with AMX or AVX512-BF16.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(0, 64), default=1, show_default=True, help="Processes that make views.")
@click.option(
    "--input-size",
    type=click.IntRange(32, 512),
    help="Of the model made.  [default: 1.25 times that of the last views]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@options.output_format
def train(
    path: Path,
    output: Path,
    steps: int,
    photos: int,
    size: int,
    final_size: int | None,
    learning_rate: float,
    frozen_blocks: int,
    average: float,
    untouched: float,
    start: str | None,
    without: str | None,
    validate_on: Path | None,
    validate_every: int,
    patience: int,
    precision: str,
    workers: int,
    input_size: int | None,
    seed: int,
    format: str,
) -> None:
    """Train an encoder on the photos under PATH, without labels, to tell copies from everything else.

    OUTPUT (default: ./trained) receives checkpoints, a log, a curve and the model; the same command goes on where a
    run was stopped. It runs in Keras on $KERAS_BACKEND: tensorflow (the default), jax or torch.
    """
    if frozen_blocks and start is None:
        raise click.UsageError("--frozen-blocks keeps weights as they were at the start; give some with --start")
    from neardup.embedding.architecture import Architecture
    from neardup.embedding.export import export_model
    from neardup.embedding.model import find_model
    from neardup.embedding.weights import load_weights
    from neardup.errors import BadInput
    from neardup.images import find_images
    from neardup.output import note, write_csv, write_json, write_line
    from neardup.packages import require_packages

    require_packages("training", "keras", "onnx")
    from neardup.training.copydetect import train as run
    from neardup.training.curve import plot_curve, read_log
    from neardup.training.recipe import Recipe
    from neardup.training.validation import validation_on

    paths = [p for p in find_images(path) if not (without and p.name.startswith(without))]
    if len(paths) < photos:
        raise BadInput(f"{path}: {len(paths)} photos, fewer than the {photos} of a batch; give more, or --photos")
    recipe = Recipe(
        steps=steps, size=size, final_size=final_size or 0, frozen_blocks=frozen_blocks, photos=photos,
        learning_rate=learning_rate, average=average, untouched=untouched, precision=precision,
        warmup_steps=min(60, steps // 4), seed=seed,
    )  # fmt: skip
    architecture, weights = Architecture(), None
    if start is not None and start.endswith(".npz"):
        weights = load_weights(Path(start), architecture.parameters())
    elif start is not None:
        begun = find_model(start)
        architecture = begun.architecture
        weights = load_weights(begun.file("weights.npz"), architecture.parameters())
    tested = input_size or (final_size or size) * 5 // 4 // 16 * 16

    def report(row: dict[str, float]) -> None:
        step = int(row["step"])
        if step % 50 == 0 or "uap" in row:
            found = ""
            if "uap" in row:
                found = f", validation uAP {row['uap']:.3f}, recall@1 {row['recall_at_1']:.3f}, "
                found += f"at 1 % false alarms {row['recall_at_1pct_false_alarms']:.3f}"
            note(f"step {step}/{steps}: loss {row['loss']:.3f}, {row['views_per_second']:.0f} views/s{found}")

    best = run(
        paths, output, recipe, architecture, weights,
        validate=validation_on(list(find_images(validate_on)), tested) if validate_on else None,
        validate_every=validate_every, patience=patience, workers=workers, report=report,
    )  # fmt: skip
    export_model(output / "model", output.name, architecture, load_weights(best, architecture.parameters()), tested)
    plot_curve(output / "log.csv", output / "curve.png")
    last = read_log(output / "log.csv")[-1]
    result = {
        "steps": int(last["step"]), "loss": last["loss"], "uap": last.get("uap"),
        "recall_at_1": last.get("recall_at_1"), "model": str(output / "model"), "curve": str(output / "curve.png"),
    }  # fmt: skip
    if format == "json":
        write_json(result)
    elif format == "csv":
        write_csv(list(result), [result])
    else:
        write_line(f"Trained {result['steps']} steps, loss {result['loss']:.3f}. The model: {result['model']}")
