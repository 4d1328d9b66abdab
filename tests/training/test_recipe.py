"""Settings: limits, choices, and the options that the command line makes of them."""

from dataclasses import fields
from typing import get_args

import click
import pytest

from neardup.cli.train import train
from neardup.errors import BadInput
from neardup.training.recipe import CopyRecipe, LabelRecipe, Loss, Precision, Recipe


def option(name: str) -> click.Option:
    [found] = [each for each in train.params if each.name == name]
    assert isinstance(found, click.Option)
    return found


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 1}, "steps is at least 2, not 1"),
        ({"frozen_blocks": 5}, "frozen_blocks is 0 to 4, not 5"),
        ({"average": 1.5}, "average is 0 to 1, not 1.5"),
        ({"views": 1}, "views is at least 2, not 1"),
        ({"final_size": 16}, "final_size is 32 to 512, not 16"),
        ({"precision": "float8"}, "precision is one of float32, mixed_bfloat16, mixed_float16, not 'float8'"),
    ],
)
def test_a_recipe_keeps_its_limits(settings, said):
    with pytest.raises(BadInput, match=said):
        CopyRecipe(**settings)


def test_every_setting_with_words_is_an_option_that_shows_the_default(tmp_path):
    context = train.make_context("train", [str(tmp_path)])
    for each in (*fields(CopyRecipe), *fields(LabelRecipe)):
        if not each.metadata.get("help"):
            continue
        assert context.params[each.name] is None, "the recipe's own default holds"
        assert each.default is None or str(each.default) in option(each.name).get_help_record(context)[1]


def test_choices_are_those_of_the_recipe():
    assert option("precision").type.choices == get_args(Precision)
    assert option("loss").type.choices == get_args(Loss)


def test_limits_are_those_of_the_recipe():
    assert (option("frozen_blocks").type.min, option("frozen_blocks").type.max) == (0, 4)
    assert option("untouched").type.max == 1
    assert option("steps").type.min == 2


def test_a_model_looks_at_somewhat_more_than_it_was_trained_on():
    assert Recipe(size=128).tested_size == 160
    assert CopyRecipe(size=112, final_size=144).tested_size == 176
    assert Recipe(input_size=64).tested_size == 64
