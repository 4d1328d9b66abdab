"""Options that several commands share. Parameters are named as their options, for NEARDUP_<COMMAND>_<OPTION>."""

import os
import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from neardup.errors import BadInput
from neardup.output import FORMATS

# As `neardup.embedding.engines` has them, which takes long to import.
ENGINES = ("auto", "keras-example", "tensorflow", "onnx", "openvino", "onnx-cuda", "tensorrt", "tf-trt")
INDEX_FOLDER = ".neardup"


def find_index(chosen: Path | None) -> Path | None:
    """The index to use: the one chosen, else $NEARDUP_INDEX, else the nearest .neardup here or above; None: none."""
    if chosen is not None:
        return chosen
    if folder := os.environ.get("NEARDUP_INDEX"):
        return Path(folder)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was deleted
        return None
    return next((p / INDEX_FOLDER for p in (here, *here.parents) if (p / INDEX_FOLDER).is_dir()), None)


def index_option(index: Path) -> str:
    """What a command line needs to find this index again, with a space before it: nothing where it is the default."""
    default = find_index(None)
    if default is not None and os.path.realpath(default) == os.path.realpath(index):
        return ""
    return f" --index {shlex.quote(str(index))}"


def typed(*names: str) -> list[str]:
    """Those of the parameters that the command line itself gives; the environment's are for every command."""
    source = click.get_current_context().get_parameter_source
    return [name for name in names if source(name) is ParameterSource.COMMANDLINE]


def _existing(ctx: click.Context, parameter: click.Parameter, chosen: Path | None) -> Path:
    found = find_index(chosen)
    if found is None:
        raise BadInput(f"no index here or above {Path.cwd()}; make one with 'neardup index PATH', or give --index DIR")
    return found


_INDEX_HELP = "The index's folder.  [default: $NEARDUP_INDEX, else the nearest .neardup]"
# The folder of an index that must exist.
index_folder = click.option(
    "--index", type=click.Path(path_type=Path), metavar="DIR", callback=_existing, help=_INDEX_HELP
)
# The folder of an index that may be made.
new_index_folder = click.option(
    "--index", type=click.Path(path_type=Path), metavar="DIR",
    callback=lambda ctx, parameter, chosen: find_index(chosen) or Path.cwd() / INDEX_FOLDER, help=_INDEX_HELP,
)  # fmt: skip
output_format = click.option(
    "--format", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print the result."
)
trust = click.option(
    "--trust", is_flag=True, help="Act on an index that you did not make, or that was moved; this is remembered."
)
model = click.option("--model", metavar="NAME", default="default", show_default=True, help="A model's name or folder.")
engine = click.option(
    "--engine", type=click.Choice(ENGINES), default="auto", show_default=True,
    help="What runs the model; auto: the fastest that gives the reference's embeddings.",
)  # fmt: skip

ray = click.option(
    "--ray", is_flag=False, flag_value="local", metavar="[ADDRESS]",
    help="Work on a Ray cluster: HOST:PORT, auto (one that runs here), or one of this machine's own where no ADDRESS"
    " is given; files must have the same paths on all its machines. Give it after the PATHs.",
)  # fmt: skip


def _similarity(ctx: click.Context, parameter: click.Parameter, chosen: str | None) -> str | None:
    from neardup.embedding.thresholds import NAMES, parse_similarity

    if chosen is not None and chosen not in NAMES:
        try:
            parse_similarity(chosen)
        except BadInput as error:
            raise click.BadParameter(str(error)) from error
    return chosen


def _complete_similarity(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from neardup.embedding.thresholds import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


min_similarity = click.option(
    "--min-similarity", metavar="S", callback=_similarity, shell_complete=_complete_similarity,
    help="Cosine similarity from -1 to 1, or strict, default or loose: the model's calibrated thresholds.",
)  # fmt: skip
min_similarity_alone = click.option(
    "--min-similarity", metavar="S", callback=_similarity, shell_complete=_complete_similarity,
    help="Trust the similarity of embeddings alone, from S on, and look at no picture: a number from -1 to 1, or"
    " strict, default or loose.",
)  # fmt: skip
