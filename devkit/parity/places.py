"""Opens the places that are to be compared, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from devkit.errors import ConfigError, EngineError
from devkit.parity.comparing import Comparison, compare
from devkit.parity.expected import EXPECTED
from devkit.parity.facts import KINDS, Kind
from devkit.parity.gathering import Gathering, Recorder, require_data
from devkit.progress import Observer
from devkit.project import Project

OpenProject = Callable[[Kind, Observer], Project]
"""Opens the project in a place, with an observer."""

USUAL: tuple[Kind, ...] = ("docker", "process", "sagemaker-local")
"""Those that cost nothing."""

_FEWEST = 2


def parity(
    open_project: OpenProject,
    observer: Observer,
    *,
    places: Sequence[Kind] = (),
    failing: Mapping[str, object] | None = None,
) -> Comparison:
    """Run a project in several places, and compare what is seen there.

    Args:
        open_project: Opens it in one of them.
        observer: Is told what goes on.
        places: Which; those of ``USUAL`` that are there, by default.
        failing: Hyperparameters that the image's own ``train`` fails with.

    Raises:
        ConfigError: Fewer than two places are there, or one that was asked for is not.
        DevkitError: A place fails.
    """
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        opened = []
        for kind in [each for each in KINDS if each in (places or USUAL)]:
            recorder = Recorder(observer)
            project = stack.enter_context(open_project(kind, recorder))
            require_data(project)
            try:
                project.target  # noqa: B018 - it is opened: what is not there is told first
            except (ConfigError, EngineError) as error:
                if places:
                    raise
                left_out[kind] = error.message
                observer.note(f"{kind} is left out: {error.message}")
                continue
            opened.append(Gathering(kind, project, recorder, observer))
        _require_two(opened, left_out)
        observed = [each.observe(failing or {}) for each in opened]
    return compare(observed, EXPECTED, left_out)


def _require_two(opened: Sequence[Gathering], left_out: Mapping[str, str]) -> None:
    if len(opened) < _FEWEST:
        raise ConfigError(
            "there are not two places to compare"
            + "".join(f"; {kind}: {why}" for kind, why in left_out.items()),
            remedy="start Docker, install the SageMaker SDK, or name others by --places",
        )
