"""Lambda's limits as data."""

from __future__ import annotations

import pytest

from devkit import lambda_contract
from devkit.lambda_contract import check_environment


@pytest.mark.parametrize("name", ["iris", "a", "Iris_2-b", "a" * 64])
def test_a_functions_name_has_letters_digits_dashes_and_underscores(name: str) -> None:
    assert lambda_contract.FUNCTION_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "a" * 65])
def test_other_names_are_none(name: str) -> None:
    assert not lambda_contract.FUNCTION_NAME.fullmatch(name)


@pytest.mark.parametrize("handler", ["handler.handler", "pkg/mod.f", "a.b.c"])
def test_a_handler_is_a_module_and_a_function(handler: str) -> None:
    assert lambda_contract.HANDLER.fullmatch(handler)


@pytest.mark.parametrize("handler", ["handler", ".handler", "handler.", "a. b", ""])
def test_other_handlers_are_none(handler: str) -> None:
    assert not lambda_contract.HANDLER.fullmatch(handler)


def test_an_environment_of_ones_own_is_fine() -> None:
    assert check_environment({"ENDPOINT_NAME": "iris", "AWS_ENDPOINT_URL": "", "a1": "ü"}) == []


@pytest.mark.parametrize("key", ["A", "1A", "_A", "A-B", "Ä1", ""])
def test_a_variables_name_has_two_characters_and_starts_with_a_letter(key: str) -> None:
    [problem] = check_environment({key: "x"})
    assert f"variable {key!r}" in problem
    assert "starting with a letter" in problem


@pytest.mark.parametrize("key", ["AWS_REGION", "_HANDLER", "AWS_LAMBDA_RUNTIME_API"])
def test_what_lambda_sets_itself_cannot_be_set(key: str) -> None:
    assert check_environment({key: "x"}) == [f"variable {key!r}: Lambda sets it itself"]


def test_four_kilobytes_of_json_are_the_most() -> None:
    fits = 4096 - len('{"AB":""}')
    assert check_environment({"AB": "x" * fits}) == []
    assert check_environment({"AB": "x" * fits + "x"}) == [
        "variables of 4097 bytes: at most 4096 in total"
    ]
