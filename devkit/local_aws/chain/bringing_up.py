"""A project's chain: HTTP request → API Gateway → Lambda → endpoint → container.

What is quick is made at once: functions and their API. The endpoint comes up in a thread meanwhile,
and another thread looks at the functions' files: an edited one is made anew.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.channels.s3_reading import reading
from devkit.errors import DevkitError, NotFound
from devkit.lambda_requirements import install_requirements
from devkit.local_aws.chain import model
from devkit.local_aws.chain.api import make_api
from devkit.local_aws.chain.functions import ProjectFunction, make_role
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.storage import Storage
from devkit.project import Project

if TYPE_CHECKING:
    from devkit.config import Settings
    from devkit.local_aws.server import LocalAws
    from devkit.progress import Observer

_LOOK_S = 0.2
# How much longer than a look the pause after it is: folders of many files take their time.
_REST = 10
# As long as other jobs of the local AWS are given when it ends.
_STOP_S = 10.0


class BringingUp:
    """The chain; a context manager, at whose end nothing more is brought up.

    Args:
        settings: The project's.
        aws: The local AWS; it is up.
        observer: Is told how it goes.
    """

    def __init__(
        self,
        settings: Settings,
        aws: LocalAws,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._aws = aws
        self._observer = observer
        self._functions = [
            ProjectFunction(each, aws.make, self._install) for each in settings.functions
        ]
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._training: subprocess.Popen[bytes] | None = None
        self.problem: DevkitError | None = None
        """Why the endpoint is not in service."""

    def __enter__(self) -> BringingUp:
        """Nothing is begun."""
        return self

    def __exit__(self, *_: object) -> None:
        """Bring up no more; what is up goes with the local AWS."""
        self._ended.set()
        for _attempt in range(2):  # the second time it kills what the first has not ended
            training = self._training
            if training is not None and training.poll() is None:
                training.terminate()
            for thread in self._threads:
                thread.join(_STOP_S)

    def make(self) -> str | None:
        """Make the functions and their API; returns the URL of that, if there is one.

        Raises:
            DevkitError: A function cannot be made.
        """
        if self._functions:
            make_role(self._aws.make)
        for function in self._functions:
            function.make()
        gateway = self._settings.gateway
        if gateway is None:
            return None
        api = make_api(gateway, self._aws.make, self._settings.name)
        stage = "" if gateway.stage == "$default" else f"/{gateway.stage}"
        return f"{self._aws.url}/_gateway/{api}{stage}"

    def begin(self, on_ready: Callable[[], None]) -> None:
        """Bring the endpoint up, and follow edits, from now on.

        Args:
            on_ready: Called, from a thread, when the endpoint is in service; at once where the
                project has none.
        """
        self._start(self._follow, "functions")
        self._start(lambda: self._bring_up(on_ready), "endpoint")

    def wait(self) -> None:
        """Wait until the endpoint is in service, or it is known that it will not be."""
        self._threads[-1].join()

    def _start(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    # --- in threads ---------------------------------------------------------------------------

    def _follow(self) -> None:
        pause_s = _LOOK_S
        while not self._ended.wait(pause_s):
            begun = time.monotonic()
            edits = [(function, function.changed()) for function in self._functions]
            pause_s = max(_LOOK_S, _REST * (time.monotonic() - begun))
            for function, names in edits:
                if names:
                    self._make_anew(function, names)

    def _make_anew(self, function: ProjectFunction, names: list[str]) -> None:
        what = names[0] if len(names) == 1 else f"{len(names)} files"
        try:
            function.make()
        except (DevkitError, OSError) as error:
            self._observer.note(f"lambda {function.name}: {what} changed, and {error}")
        else:
            self._observer.note(f"lambda {function.name}: {what} changed, live from now on")

    def _bring_up(self, on_ready: Callable[[], None]) -> None:
        try:
            if self._settings.endpoint is not None:
                self._deploy(self._settings.endpoint.name)
        except AwsError as error:
            self.problem = DevkitError(f"the endpoint could not be deployed: {error}")
        except DevkitError as error:
            self.problem = error
        if self._ended.is_set():
            return
        if self.problem is None:
            on_ready()
        else:
            self._observer.note(f"{self.problem}")

    def _deploy(self, name: str) -> None:
        project = Project(self._settings)
        try:
            job = project.newest_job()
        except NotFound:
            self._observer.note("there is no model yet: training one")
            self._train()
            job = project.newest_job()
        newest = model.Model(
            job=job.name,
            archive=job.model_archive,
            image=self._settings.image.tag,
            environment=self._settings.serve.environment,
        )
        if not model.deploy(name, newest, call=self._aws.call, upload=self._upload):
            self._observer.note(f"endpoint {name} is one that you have deployed: left as it is")
        model.wait(name, self._aws.call, self._ended.is_set)

    def _train(self) -> None:
        """Run the very command that a user would; it is ended with this devkit.

        Raises:
            DevkitError: It failed; it has said why.
        """
        settings = self._settings
        command = ["-m", "devkit", "train", "--project", str(settings.root)]
        with suppress(FileNotFoundError):
            self._training = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, *command, "--engine", settings.engine],
                env=dict(settings.machine.child_environment),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                start_new_session=True,  # a Ctrl-C is for this devkit, which ends it once
            )
            if self._training.wait() == 0 or self._ended.is_set():
                return
        raise DevkitError(
            "no model could be trained for the endpoint",
            remedy="mend what devkit train says, then devkit up again",
        )

    def _install(self, requirements: Path) -> Path:
        machine, on_line = self._settings.machine, self._observer.build_line
        return install_requirements(requirements, machine, on_line)

    def _upload(self, archive: Path, bucket: str, key: str) -> None:
        """What goes wrong is a DevkitError: nobody sees what else a thread raises."""
        storage = Storage()
        storage.open(self._aws.url)
        storage.require_bucket(bucket)
        with archive.open("rb") as file, reading(f"s3://{bucket}/{key}"):
            storage.uploader().upload_fileobj(file, bucket, key)
