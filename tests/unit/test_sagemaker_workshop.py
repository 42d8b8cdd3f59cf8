"""What image URIs mean, and what jobs are run with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devkit.engines.base import EngineName, Image
from devkit.errors import EngineError, NotFound
from devkit.local_aws.sagemaker.workshop import Workshop, names_of
from devkit.store import Store
from tests.unit.fakes import IMAGE, FakeEngine

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


class Engine(FakeEngine):
    """An engine with images of these names."""

    def __init__(self, *images: str, name: EngineName = "docker") -> None:
        super().__init__(lambda _inside: 0)
        self.name = name
        self._images = images

    def image(self, reference: str) -> Image:
        if self.name == "process":
            raise EngineError("there are no images")
        if reference not in self._images:
            raise NotFound(reference)
        return replace(IMAGE, reference=reference)


def workshop(engine: FakeEngine, store: Store, tag: str = "iris:dev") -> Workshop:
    return Workshop(
        store=lambda: store,
        engine=lambda: engine,
        build=lambda: replace(IMAGE, reference="built"),
        tag=tag,
    )


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("iris:demo", ["iris:demo"]),
        (f"{ECR}/iris:demo", ["iris:demo", f"{ECR}/iris:demo"]),
        (f"{ECR}/team/iris", ["team/iris", f"{ECR}/team/iris"]),
        ("example.com/iris:demo", ["example.com/iris:demo"]),
    ],
)
def test_an_ecr_uri_may_be_meant_without_its_registry(uri: str, names: list[str]) -> None:
    assert names_of(uri) == names


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (("iris:demo", f"{ECR}/iris:demo"), "iris:demo"),
        ((f"{ECR}/iris:demo",), f"{ECR}/iris:demo"),
    ],
)
def test_the_local_name_comes_before_the_whole_uri(
    images: tuple[str, ...], found: str, store: Store
) -> None:
    give = workshop(Engine(*images), store).find(f"{ECR}/iris:demo")
    assert give().reference == found


def test_the_projects_image_is_built_where_it_is_missing_and_meant(store: Store) -> None:
    assert workshop(Engine(), store).find(f"{ECR}/iris:dev")().reference == "built"
    assert workshop(Engine("iris:dev"), store).find("iris:dev")().reference == "iris:dev"
    assert workshop(Engine(), store, tag="iris").find("iris:latest")().reference == "built"


def test_what_nobody_has_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="no image iris:other"):
        workshop(Engine("iris:dev"), store).find("iris:other")


def test_to_the_process_engine_there_is_the_projects_image_only(store: Store) -> None:
    at_work = workshop(Engine(name="process"), store)
    assert at_work.find(f"{ECR}/iris:dev")().reference == "built"
    with pytest.raises(NotFound, match="the project's own image, iris:dev"):
        at_work.find("python:3.11")


def test_an_engine_that_does_not_answer_is_asked_again(store: Store) -> None:
    answers: list[FakeEngine] = []

    def engine() -> FakeEngine:
        if not answers:
            raise EngineError("it does not answer")
        return answers[0]

    at_work = Workshop(store=lambda: store, engine=engine, build=lambda: IMAGE, tag="iris:dev")
    with pytest.raises(EngineError):
        at_work.find("iris:dev")
    answers.append(Engine("iris:dev"))
    assert at_work.find("iris:dev")().reference == "iris:dev"
