"""What messages tell people to type is there to be typed."""

import ast
import re
from pathlib import Path

import click

import neardup
from neardup.cli import main

ROOT = Path(neardup.__file__).parent
# Of other programs: scripts/gpu_setup, ray start.
FOREIGN = {"--tf-trt", "--head"}


def commands(group, *names):
    """Every command with its names, groups included."""
    yield names, group
    if isinstance(group, click.Group):
        for name in group.list_commands(click.Context(group)):
            yield from commands(group.get_command(click.Context(group), name), *names, name)


def texts():
    """(file, text) of every string that is no docstring; what is filled in is left out."""
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        documented = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
        docstrings = {id(node.value) for node in documented}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield path.relative_to(ROOT), node.value


def options_of(command):
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_no_message_names_an_option_that_does_not_exist():
    known = {"--help", *FOREIGN}.union(*(options_of(command) for _, command in commands(main)))
    named = {(str(path), option) for path, text in texts() for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)}
    assert len(named) > 100
    assert not [(path, option) for path, option in named if option not in known]


def test_no_message_gives_a_command_an_option_of_another():
    """Where the command is spelled out: 'neardup index PATH --rebuild'."""
    by_name = {" ".join(names): command for names, command in commands(main) if names}
    wrong = []
    for path, text in texts():
        for said in re.findall(r"neardup ([a-z][^'\n]*)", text):
            words = said.split()
            name = next((n for n in (" ".join(words[:2]), words[0]) if n in by_name), None)
            if name is not None:
                options = re.findall(r"(?<!\S)--[a-z][a-z-]+", said)
                wrong += [(str(path), said, o) for o in options if o not in options_of(by_name[name]) | {"--help"}]
    assert not wrong
