"""The Caltech-101 walkthrough with neardup: fine-tune on the classes, index, query by a file and by a URL, look.

    python scripts/caltech101.py OUTPUT [--source tfds:caltech101] [--folder FOLDER] [--steps 3000]

Of a data set the split `train` is trained on and indexed, and `test` asked for. FOLDER, with a folder for each class,
is taken where the data set cannot be had, which is said; --queries of its pictures are put aside before anything else.
OUTPUT receives the queries as files, the trained model, the index, and result.png with the answers: to the first by its
file's name, to the second by the URL at which a server on this machine has it (--url asks for another one beside them),
and so on in turn.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import numpy as np

from neardup.errors import BadInput
from neardup.jobs.index import index_images
from neardup.jobs.query import query_images
from neardup.output import emit
from neardup.output.figures.matches import plot_answers, preview
from neardup.output.matches import render_answers
from neardup.sources import read_stored
from neardup.sources.datasets import is_dataset
from neardup.training.job import train_on
from neardup.training.labels.records import labelled_pictures
from neardup.training.labels.split import Labelled
from neardup.training.recipe import LabelRecipe


def pictures_of(source: str, folder: str | None) -> tuple[list[Labelled], list[Labelled], str]:
    """To train on, and to draw queries from, of the data set, else of the folder; and which it was."""
    try:
        if is_dataset(source):
            return labelled_pictures(f"{source}:train"), labelled_pictures(f"{source}:test"), f"{source}:train"
        return (found := labelled_pictures(source)), found, source
    except BadInput as error:
        if folder is None:
            raise click.ClickException(f"{error}. --folder FOLDER takes a folder of classes instead") from error
        click.echo(f"{error}. Taken instead: {folder}", err=True)
        return (found := labelled_pictures(folder)), found, folder


def put_aside(
    pictures: list[Labelled], pool: list[Labelled], count: int, folder: Path
) -> tuple[list[Path], list[Labelled]]:
    """Some pictures of the pool as files of their own, named by their class, and what is left of the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    files, taken = [], set()
    for number in np.random.default_rng(0).permutation(len(pool))[:count]:
        picture = pool[number]
        taken.add(picture.path)
        files.append(folder / f"{number}-{picture.label.replace('/', '_')}.jpg")
        files[-1].write_bytes(read_stored(picture.path))
    return files, [picture for picture in pictures if picture.path not in taken]


def index(pictures: list[Labelled], source: str, folder: Path, model: Path) -> None:
    names = [source] if is_dataset(source) else [str(picture.path) for picture in pictures]
    report = index_images(names, folder, label_from_folder=True, rebuild=True, model=str(model.absolute()))
    click.echo(f"Indexed {report.images:,} images in {report.seconds:.1f} s")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server that has the folder's files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@click.command(help=__doc__)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
@click.option("--source", default="tfds:caltech101", show_default=True)
@click.option("--folder", type=click.Path(exists=True, file_okay=False))
@click.option("--queries", default=4, show_default=True)
@click.option("--url", help="Another picture to ask for.")
@click.option("--init", default="default", show_default=True, help="Model to begin with; none: from scratch.")
@click.option("--steps", default=3000, show_default=True)
@click.option("--photos", default=60, show_default=True, help="Of a batch.")
@click.option("--size", default=128, show_default=True, help="Edge of a view.")
def main(
    output: Path, source: str, folder: str | None, queries: int, url: str | None, init: str, steps: int, photos: int,
    size: int,
) -> None:  # fmt: skip
    pictures, pool, source = pictures_of(source, folder)
    files, rest = put_aside(pictures, pool, queries, output / "queries")
    classes = len({picture.label for picture in pictures})
    click.echo(f"{len(pictures):,} pictures of {classes} classes from {source}; {len(files)} put aside to ask for")
    recipe = LabelRecipe(
        steps=steps,
        photos=photos,
        size=size,
        head_steps=min(100, steps // 4),
        validate_every=max(1, min(100, steps // 4)),
    )
    trained = train_on(rest, output / "trained", recipe, init, say=partial(click.echo, err=True))
    index(rest, source, output / "index", trained.model)
    with served(output / "queries") as address:
        asked = [str(file) if number % 2 == 0 else f"{address}/{file.name}" for number, file in enumerate(files)]
        # By the embeddings alone: nobody looks whether pictures of one class are one picture.
        found = query_images(
            [*asked, *([url] if url else [])], output / "index", top=5, min_similarity=-1.0, allow_private=True
        )
        answers = list(found.answers)
        emit(render_answers(iter(answers), index=found.index, threshold=1.0), "text")
        drawn = [(answer, preview(answer.source)) for answer in answers if answer.error is None]
    plot_answers(drawn, output / "result.png", threshold=1.0)
    right = [
        match.label == file.stem.partition("-")[2]
        for answer, file in zip(answers, files, strict=False)
        for match in answer.matches[:1]
    ]
    click.echo(f"The first match is of the query's class for {sum(right)} of {len(right)}")
    click.echo(f"Drawn: {output / 'result.png'}")


if __name__ == "__main__":
    main()
