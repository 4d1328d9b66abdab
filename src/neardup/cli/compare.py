"""`neardup compare`."""

from pathlib import Path

import click

from neardup.cli import options
from neardup.errors import NeardupError

DIFFERENT = 1
TROUBLE = 2


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@options.min_similarity
@click.option("--exit-code", is_flag=True, help="Exit with 0 for near-duplicates, 1 for others, 2 for trouble.")
@options.model
@options.engine
@options.output_format
def compare(
    a: Path, b: Path, min_similarity: str | None, exit_code: bool, model: str, engine: str, format: str
) -> None:
    """Say how similar two images are, what one is to the other, and what was done to A to make B. Needs no index."""
    from traceback import print_exception

    from neardup.cli import give_up_stdout
    from neardup.jobs.compare import compare as run
    from neardup.output import emit, note
    from neardup.output.matches import render_comparison

    try:
        comparison = run(a, b, model=model, engine=engine, min_similarity=min_similarity, say=note)
        emit(render_comparison(comparison), format)
    except (Exception, KeyboardInterrupt) as error:
        if not exit_code:
            raise
        # 1 would say that the images differ.
        if isinstance(error, NeardupError | OSError | KeyboardInterrupt):
            note(f"Error: {error}" if str(error) else "Interrupted")
        else:
            print_exception(error)
        if isinstance(error, OSError):
            give_up_stdout()
        click.get_current_context().exit(TROUBLE)
    if exit_code and not comparison.duplicate:
        click.get_current_context().exit(DIFFERENT)
