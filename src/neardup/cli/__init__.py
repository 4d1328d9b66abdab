"""The command line: each command in a file of its own, loaded when it is called; one place handles errors."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import click

from neardup import __version__
from neardup.errors import NeardupError

# In the order of `neardup --help`. A command's module is neardup.cli.<name with _>, the function has the same name.
COMMANDS = (
    "index",
    "query",
    "compare",
    "groups",
    "dedup",
    "undo",
    "review",
    "explain",
    "info",
    "export",
    "verify",
    "repair",
    "evaluate",
    "convert-trt",
    "bench",
    "models",
    "train",
)


_LONGEST_SHOWN = 100  # characters of a name that is too long

# Help for want of arguments is a usage error to click, from 8.2 on.
_HELP = tuple(kind for kind in [getattr(click.exceptions, "NoArgsIsHelpError", None)] if kind)


class Suggesting(click.Group):
    """A command that is misspelt is answered with the one that was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), n=1)
            meant = f"; did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"there is no command '{name}'{meant}", ctx)
        return super().resolve_command(ctx, args)


class Commands(Suggesting):
    """Commands are imported when they are asked for; a user's errors end in one line and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"neardup.cli.{name}"), name)
        return command

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **kwargs: Any) -> click.Context:
        _make_streams_writable()
        # Whichever command imports TensorFlow, directly or by way of Keras: what it says of GPUs and of its build is no
        # result and no error. Its errors come as exceptions.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _errors_in_one_line():  # `neardup --help` writes here
            if "" in args:  # which a path would take for the current folder
                raise click.UsageError("an argument is empty: is a variable of yours not set?")
            return super().make_context(info_name, args, *more, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_in_one_line():
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # what cannot be written is to show here, not when Python ends


def _make_streams_writable() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed from the start, as by `>&-`; a file of ours must not get its number
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # where the terminal knows ASCII only, other letters are escaped
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        if isinstance(error, (UsageInOneLine, *_HELP)):
            raise
        raise UsageInOneLine(error.format_message(), error.ctx) from error
    except NeardupError as error:  # anything else is a bug, and keeps its traceback
        from neardup.text import printable

        raise click.ClickException(printable(str(error))) from error
    except MemoryError as error:
        raise click.ClickException(
            "not enough memory; close other programs, raise the limit, or give fewer images at once"
        ) from error
    except BrokenPipeError as error:
        give_up_stdout()  # the reader has had enough (`| head`)
        raise click.exceptions.Exit(1) from error
    except OSError as error:
        if isinstance(error, FileNotFoundError) and _is_working_folder_gone():
            raise click.ClickException("the current folder was deleted; change to one that exists") from error
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            from neardup.text import printable

            name = os.fsdecode(error.filename or "a name")
            shown = name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..."
            raise click.ClickException(printable(f"{shown}: {error.strerror}; give another one")) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        give_up_stdout()
        raise click.ClickException(f"{error.strerror}; free some space, or check the disk") from error


class UsageInOneLine(click.UsageError):
    """Says where the usage is explained, rather than the usage."""

    def show(self, file: IO[Any] | None = None) -> None:
        from neardup.text import printable

        message = printable(" ".join(self.message.split())).rstrip(".")
        command = self.ctx.command_path if self.ctx else "neardup"
        end = "" if message.endswith("?") else ";"
        click.echo(f"Error: {message}{end} '{command} --help' says what it takes", file=file or sys.stderr)


def _is_working_folder_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def give_up_stdout() -> None:
    """Python would flush what stdout still holds when it ends, complain once more, and exit with 120."""
    with suppress(io.UnsupportedOperation):  # no file of the system's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=Commands,
    context_settings={"auto_envvar_prefix": "NEARDUP", "help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="neardup")
def main() -> None:
    """Find near-duplicate images: re-encoded, resized, cropped, rotated, recoloured, written over, screenshotted.

    neardup index ./photos builds an index in ./.neardup; neardup query img.jpg searches it.
    """
