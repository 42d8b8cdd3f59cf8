"""Bodies: which become features, which are refused and with what reason, and how answers look."""

from __future__ import annotations

import json

import numpy as np
import pytest

from model import BadRecordError, UnsupportedMediaTypeError, input_fn, output_fn

JSON = "application/json"
CSV = "text/csv"


def test_a_json_object_is_a_single_sample() -> None:
    features = input_fn(b'{"petal_length": 0.4, "petal_width": 1.4}', JSON)
    assert features.tolist() == [0.4, 1.4]


def test_a_json_list_is_a_sample_a_record_in_order() -> None:
    body = b'[{"petal_length": 1, "petal_width": 2}, {"petal_width": 4, "petal_length": 3}]'
    assert input_fn(body, JSON).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_keys_the_model_does_not_need_are_no_error() -> None:
    body = b'{"petal_length": 1, "petal_width": 2, "sepal_length": "?"}'
    assert input_fn(body, JSON).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "body",
    [
        "1,2\n3,4",
        "1,2\r\n3,4\r\n",
        "petal_length,petal_width\n1,2\n3,4\n",
        "Petal_Width, Petal_Length\n2,1\n4,3\n",
        "\ufeffpetal_length,petal_width\n1, 2\n\n3,4\n",
        '"1","2"\n"3e0","4"\n',
    ],
)
def test_csv_rows_are_samples_with_or_without_a_header(body: str) -> None:
    assert input_fn(body.encode(), CSV).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_single_csv_row_is_still_a_list_of_samples() -> None:
    assert input_fn(b"1,2", CSV).shape == (1, 2)


@pytest.mark.parametrize(
    "content_type",
    ["text/csv; charset=utf-8", "TEXT/CSV;charset=UTF-8", " text/csv ;header=absent"],
)
def test_parameters_and_case_of_the_content_type_do_not_matter(content_type: str) -> None:
    assert input_fn(b"1,2", content_type).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-npy", "json", "text/*"])
def test_another_content_type_is_refused_by_name(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="send application/json or text/csv"):
        input_fn(b"1,2", content_type)


BAD_JSON = {
    "": "empty",
    " \n": "empty",
    "{": "not JSON",
    "{'petal_length': 1}": "not JSON",
    "[]": "empty",
    "null": "neither an object nor a list",
    "3": "neither an object nor a list",
    '"text"': "neither an object nor a list",
    "{}": "the record has no petal_length",
    '{"petal_length": 1}': "the record has no petal_width",
    '[{"petal_length": 1, "petal_width": 2}, {"petal_length": 1}]': "record 2 has no petal_width",
    "[[1, 2]]": "record 1 is not an object",
    '{"petal_length": "1", "petal_width": 2}': "petal_length is not a number",
    '{"petal_length": 1, "petal_width": null}': "petal_width is not a number",
    '{"petal_length": true, "petal_width": 2}': "petal_length is not a number",
    '{"petal_length": [1], "petal_width": 2}': "petal_length is not a number",
    '{"petal_length": NaN, "petal_width": 2}': "the record holds NaN or an infinite number",
    '{"petal_length": 1, "petal_width": -Infinity}': "NaN or an infinite number",
    '{"petal_length": 1, "petal_width": 1e999}': "NaN or an infinite number",
    '[{"petal_length": 1, "petal_width": 2}, {"petal_length": NaN, "petal_width": 2}]': "record 2",
    f'{{"petal_length": 1{"0" * 400}, "petal_width": 2}}': "petal_length is too large",
    f'{{"petal_length": 1{"0" * 5000}, "petal_width": 2}}': "not JSON",
    "[" * 100_000: "nested too deeply",
    '{"petal_length":' * 100_000: "nested too deeply",
}

BAD_CSV = {
    "": "empty",
    "\r\n\r\n": "empty",
    '""': "row 1 has 1 columns",
    "petal_length,petal_width\n": "no rows",
    "1": "row 1 has 1 columns, not 2: petal_length, petal_width",
    "1,2\n1,2,3": "row 2 has 3 columns",
    "1;2": "row 1 has 1 columns",
    "1,x": "row 1 is not two numbers",
    "1,": "row 1 is not two numbers",
    "length,width\n1,2": "row 1 is not two numbers",
    "petal_length,petal_width\n1,2\n1,true": "row 2 is not two numbers",
    "1,2\n1,nan": "row 2 holds NaN or an infinite number",
    "inf,2": "row 1 holds NaN or an infinite number",
    "1,1e999": "row 1 holds NaN or an infinite number",
    f'"{"1" * 200_000}",2': "not CSV",
}


@pytest.mark.parametrize(("body", "reason"), BAD_JSON.items(), ids=range(len(BAD_JSON)))
def test_a_bad_json_body_is_refused_with_the_reason(body: str, reason: str) -> None:
    with pytest.raises(BadRecordError, match=reason):
        input_fn(body.encode(), JSON)


@pytest.mark.parametrize(("body", "reason"), BAD_CSV.items(), ids=range(len(BAD_CSV)))
def test_a_bad_csv_body_is_refused_with_the_reason(body: str, reason: str) -> None:
    with pytest.raises(BadRecordError, match=reason):
        input_fn(body.encode(), CSV)


@pytest.mark.parametrize("content_type", [JSON, CSV])
def test_bytes_that_are_not_utf_8_are_refused(content_type: str) -> None:
    with pytest.raises(BadRecordError, match="not UTF-8: byte 2"):
        input_fn(b"1,\xff2", content_type)


def test_a_single_label_is_answered_with_an_object() -> None:
    assert json.loads(output_fn(np.array(0), JSON)) == {"category": "Iris-Setosa"}


def test_several_labels_are_answered_with_a_list_even_if_it_is_one() -> None:
    assert json.loads(output_fn(np.array([1, 0]), JSON)) == [
        {"category": "Iris-Versicolour"},
        {"category": "Iris-Setosa"},
    ]
    assert json.loads(output_fn(np.array([1]), JSON)) == [{"category": "Iris-Versicolour"}]


def test_csv_answers_are_a_category_a_line() -> None:
    assert output_fn(np.array([1, 0]), CSV) == "Iris-Versicolour\nIris-Setosa\n"
    assert output_fn(np.array(0), CSV) == "Iris-Setosa\n"


def test_an_answer_in_another_type_is_refused() -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="image/png"):
        output_fn(np.array(0), "image/png")
