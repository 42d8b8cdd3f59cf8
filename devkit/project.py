"""A project and its verbs: what the command line and Python code call."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from devkit import config, recovery
from devkit.channels.locations import Location, S3Uri, parse_location, parse_s3_uri
from devkit.channels.plan import ChannelPlan
from devkit.config import Settings
from devkit.contract import hyperparameter_string
from devkit.engines.base import BuildRequest, Engine, Image
from devkit.engines.choose import Choice, choose, open_engine
from devkit.errors import ConfigError, NotFound
from devkit.front.limits import PROFILES
from devkit.job import (
    CheckpointPlan,
    InstanceGroup,
    MetricDefinition,
    ServeSpec,
    Status,
    TrainingJob,
)
from devkit.model_source import is_archive
from devkit.ports import require_free_port
from devkit.progress import Observer, Silent, step
from devkit.s3 import NO_S3, s3_client
from devkit.store import Run, Store
from devkit.targets.base import Deployed, Target, Trained
from devkit.targets.local import LocalTarget

if TYPE_CHECKING:
    from devkit.targets.plan import Plan
    from devkit.targets.sagemaker import CloudServer, SageMakerTarget


@dataclass(frozen=True)
class RunResult:
    """What ``devkit run`` ends with."""

    answer: Any
    """The server's answer, decoded where it is JSON."""
    training: Trained


Approve = Callable[["Plan", "SageMakerTarget"], None]
"""Is shown what would be made, and where; raises where it may not be."""

_NOT_BUILT = Image(reference="(not built yet)", id="")


class Project:
    """A project: its settings, its store, and the engine they name.

    Example::

        from devkit import Project

        project = Project.load()
        job = project.train(hyperparameters={"eta": 0.1})
        print(job.model, job.metrics["log_loss"])
        with project.serve(model=job.model) as server:
            print(server.invoke({"petal_length": 0.4, "petal_width": 1.4}))

    Args:
        settings: Resolved settings; :meth:`load` makes them.
        image: The name of an image to take instead of building the project's own.
        observer: Is told what goes on; silent by default.
        argv: Of the command, where it is one.
        approve: Asked before anything is made in an account; raises where it may not be.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        image: str | None = None,
        observer: Observer | None = None,
        argv: Sequence[str] = (),
        approve: Approve | None = None,
    ) -> None:
        self.settings = settings
        self._image = image
        self._observer = observer or Silent()
        self._argv = tuple(argv)
        self._approve = approve
        self._stack = ExitStack()

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        *,
        image: str | None = None,
        observer: Observer | None = None,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
        argv: Sequence[str] = (),
        approve: Approve | None = None,
    ) -> Project:
        """Load the project in ``path``, or the one at or above the current folder.

        Args:
            path: The folder with ``devkit.toml``.
            image: An image that exists already, by name; then there need be no project.
            observer: Is told what goes on.
            environ: The environment; the process's own by default.
            overrides: Settings by their dotted key, over all others: ``{"serve.port": 0}``.
            argv: Of the command, where it is one.
            approve: Asked before anything is made in an account.

        Raises:
            ConfigError: There is no project, or its settings are wrong.
        """
        settings = config.load(
            environ=config.process_environment() if environ is None else environ,
            cwd=Path.cwd(),
            root=None if path is None else Path(path),
            overrides=overrides,
            project_required=image is None,
        )
        return cls(settings, image=image, observer=observer, argv=argv, approve=approve)

    # --- what it stands on -------------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """``.devkit/``; what a killed devkit left there is finished first.

        Raises:
            StoreError: It cannot be made or written.
        """
        store = Store(self.settings.root)
        recovery.recover(
            store,
            lambda name: open_engine(self.settings, name),
            self._observer,
            lambda: s3_client(self.settings.s3),
        )
        return store

    @cached_property
    def choice(self) -> Choice:
        """The engine, and why it was taken."""
        choice = choose(self.settings)
        self._observer.note(
            f"engine {choice.engine.name} ({choice.why}): {choice.engine.describe()}"
        )
        return choice

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self.choice.engine

    @cached_property
    def target(self) -> Target:
        """Where jobs and servers go."""
        if self.settings.target != "local":
            return self.cloud
        return LocalTarget(self.engine, self.store, self._observer, self.settings.s3)

    @cached_property
    def cloud(self) -> SageMakerTarget:
        """The target, where that is one that speaks SageMaker's API; :meth:`close` ends it.

        Raises:
            ConfigError: It is ``local``, or something for it is not installed.
        """
        from devkit.targets.choose import open_target  # noqa: PLC0415 - only where it is needed

        if self.settings.target == "local":
            raise ConfigError(
                "--target local has nothing of AWS", remedy="--target aws, or sagemaker-local"
            )
        return open_target(
            self.settings,
            self._observer,
            self._stack,
            engine=lambda: self.engine,
            argv=self._argv,
        )

    def close(self) -> None:
        """End what was started for a target that is not on this machine's engine."""
        self._stack.close()

    def __enter__(self) -> Project:
        """Have it closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    # --- verbs -------------------------------------------------------------------------------

    def build(self) -> Image:
        """Build the image (docker), or the environment of its program (process).

        Where the project was loaded with ``image``, that image is looked up instead.

        Raises:
            BuildError: With the last lines of the build.
            NotFound: There is no such image.
        """
        engine = self.engine
        if self._image is not None:
            return engine.image(self._image)
        image = self.settings.image
        request = BuildRequest(
            tag=image.tag,
            context=image.context,
            program=image.program,
            program_path=image.program_path,
            requirements=image.requirements,
            platform=image.platform,
            build_args=image.build_args,
        )
        with step(self._observer, "build") as building:
            built = engine.build(request, self._observer.build_line)
            building.detail = built.reference
        return built

    def train(
        self,
        *,
        name: str | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        channels: Mapping[str, Path | str] | None = None,
        interrupt_after_s: Sequence[float] = (),
        image: Image | None = None,
        entrypoint: Sequence[str] | None = None,
    ) -> Trained:
        """Build, and run a training job to its end.

        Args:
            name: The job's; by default the project's name, the time and a number.
            hyperparameters: Over those of ``devkit.toml``, one by one.
            channels: Folders, files or S3 URIs by channel name, over those of ``devkit.toml``.
            interrupt_after_s: When to interrupt it as spot capacity is: seconds of training, from
                each start anew.
            image: What :meth:`build` returned; built by default.
            entrypoint: In place of the image's own, and of that of ``devkit.toml`` (§1.1).

        Raises:
            TrainingFailed: The job failed.
            ConfigError: SageMaker would refuse the job.
        """
        job = self._job(name, hyperparameters or {}, channels or {}, interrupt_after_s)
        if entrypoint is not None:
            job = replace(job, entrypoint=tuple(entrypoint))
        target = self.target
        image = image or self._image_for(lambda it: self.cloud.plan_training(_with(job, it)))
        with step(self._observer, "train") as training:
            training.detail = job.name
            result = target.train(replace(job, image=image))
            training.detail = result.summary()
        return result

    @contextmanager
    def serve(
        self,
        *,
        name: str | None = None,
        model: Location | str | None = None,
        port: int | None = None,
        image: Image | None = None,
        reload: bool = False,
        debug_port: int | None = None,
    ) -> Iterator[Deployed]:
        """Serve a model until the end of the block; the ping is good when the block begins.

        A server that turns bad is replaced, and keeps its address (§2.3).

        Args:
            name: The server's; made up by default.
            model: A ``model.tar.gz``, the name of a job, or a folder as an uncompressed model
                (with a ``/`` in its path, such as ``./model``). In the S3 of the settings:
                ``s3://bucket/key/model.tar.gz``, or an uncompressed model: a prefix that ends in
                ``/``, or one object. The newest completed job's by default.
            port: On 127.0.0.1; 0 takes a free one; by default that of ``devkit.toml`` (8080).
            image: What :meth:`build` returned; built by default.
            reload: Whether edits of ``[image] program`` go live while it serves.
            debug_port: A port of the container for a debugger, reached at the same number of
                127.0.0.1; the program finds it in ``DEVKIT_DEBUG_PORT``.

        Raises:
            ServingFailed: The server died, or its ping was not good in time.
            PortInUse: A port is taken.
            NotFound: There is no such job, no completed one, or no such model.
            ConfigError: The model is in S3, and the settings name no S3; or it is uncompressed, and
                the profile serverless; or there is no program folder to reload.
            DevkitError: The model is not what SageMaker deploys, or could not be fetched.
        """
        spec = replace(
            self._server(name, port, self.find_model(model)), reload=reload, debug_port=debug_port
        )
        if reload:
            self._require_program()
        if debug_port is not None:
            require_free_port(debug_port, other="--debug-port")
        target = self.target
        served = spec
        image = image or self._image_for(
            lambda it: self.cloud.plan_deployment(replace(served, image=it))
        )
        spec = replace(spec, image=image)
        if reload:
            spec = self._with_program(spec)
        with ExitStack() as stack:
            with step(self._observer, "serve") as serving:
                server = stack.enter_context(target.deploy(spec))
                serving.detail = f"{server.name} at {server.url}" if server.url else server.name
            yield server
            with step(self._observer, "stop"):
                stack.close()

    def deploy(
        self,
        *,
        name: str | None = None,
        model: Location | str | None = None,
        ttl_s: float | None = None,
    ) -> CloudServer:
        """Deploy a model as an endpoint that stays, at a target that is not ``local``.

        Args:
            name: The endpoint's; made up by default.
            model: As for :meth:`serve`.
            ttl_s: After what time it is to be deleted; the ledger keeps it.

        Raises:
            ConfigError: The target is ``local``.
            ServingFailed: The endpoint does not come up.
            Declined: It may not be made.
        """
        target = replace(self.cloud, ttl_s=ttl_s)
        spec = self._server(name, 0, self.find_model(model))
        image = self._image_for(lambda it: target.plan_deployment(replace(spec, image=it)))
        spec = replace(spec, image=image)
        with step(self._observer, "deploy") as deploying:
            server = target.create(spec)
            deploying.detail = server.name
        return server

    def run(self, *, data: str | bytes | None = None, port: int = 0) -> RunResult:
        """The whole loop: build, train, serve, invoke, stop.

        Args:
            data: The request's body; ``[invoke] data`` by default.
            port: On 127.0.0.1; 0 takes a free one.

        Raises:
            ConfigError: There is no data.
            DevkitError: Whatever the steps raise.
        """
        invoke = self.settings.invoke
        body = invoke.data if data is None else data
        if body is None:
            raise ConfigError(
                "there is nothing to invoke with", remedy="set [invoke] data, or give --data"
            )
        job = self._job(None, {}, {})  # refused before anything is built
        _import_front_meanwhile(self.settings.serve.profile)
        require_free_port(port)
        image = self._image_to_run(job)
        training = self.train(name=job.name, image=image)
        with (
            self.serve(image=image, model=training.model, port=port) as server,
            step(self._observer, "invoke") as invoking,
        ):
            answer = server.invoke(body, content_type=invoke.content_type)
            invoking.detail = invoke.content_type
        return RunResult(answer, training)

    def prepare(self) -> Image:
        """The image for jobs and servers, once what the whole loop makes may be made.

        Raises:
            ConfigError: SageMaker would refuse the job.
            Declined: It may not be made.
        """
        return self._image_to_run(self._job(None, {}, {}))

    def _image_to_run(self, job: TrainingJob) -> Image:
        return self._image_for(lambda it: self._plan_of_run(_with(job, it)))

    def _image_for(self, plan: Callable[[Image], Plan]) -> Image:
        """The image for the target, once what is made with it may be made.

        Args:
            plan: What that is; asked for only where it is in an account.

        Raises:
            Declined: It may not be made.
        """
        if self.settings.target != "local" and self._approve is not None:
            self._approve(plan(self.cloud.image_to_be), self.cloud)
        return self.target.image(self.build)

    def _plan_of_run(self, job: TrainingJob) -> Plan:
        """What the whole loop makes in an account."""
        cloud = self.cloud
        spec = self._server(None, 0, cloud.model_to_be(job.name))
        deployment = cloud.plan_deployment(replace(spec, image=job.image))
        return cloud.plan_training(job) + deployment

    def _job(
        self,
        name: str | None,
        hyperparameters: Mapping[str, object],
        channels: Mapping[str, Path | str],
        interrupt_after_s: Sequence[float] = (),
    ) -> TrainingJob:
        """The job, checked; its image is not built yet."""
        train = self.settings.train
        if name is not None:
            self.store.require_unused("job", name)
        plans, problems = _channels(train, channels)
        places = [*(plan.location for plan in plans), train.checkpoints]
        if not self.settings.s3.named and any(isinstance(place, S3Uri) for place in places):
            problems.append(f"a channel or the checkpoints are in S3, and {NO_S3}")
        try:
            job = TrainingJob(
                name=name or self._new_name(),
                image=_NOT_BUILT,
                hyperparameters={
                    **train.hyperparameters,
                    **{key: hyperparameter_string(value) for key, value in hyperparameters.items()},
                },
                channels=plans,
                environment=train.environment,
                metrics=tuple(MetricDefinition(name=m.name, regex=m.regex) for m in train.metrics),
                entrypoint=train.entrypoint,
                arguments=train.arguments,
                instances=train.instances,
                instance_type=train.instance_type,
                instance_groups=tuple(
                    InstanceGroup(name=g.name, instance_type=g.instance_type, count=g.count)
                    for g in train.instance_groups
                ),
                network_isolation=train.network_isolation,
                checkpoints=None
                if train.checkpoints is None
                else CheckpointPlan(location=train.checkpoints, path=train.checkpoint_path),
                interrupt_after_s=tuple(interrupt_after_s),
                max_run_s=train.max_run_s,
                max_wait_s=train.max_wait_s,
                limits=train.limits,
            )
        except ConfigError as error:
            problems.append(error.message)
        if problems:
            raise ConfigError("\n".join(problems))
        return job

    def _server(self, name: str | None, port: int | None, model: Location) -> ServeSpec:
        """The server, checked; its image is not built yet."""
        serve = self.settings.serve
        if name is not None:
            self.store.require_unused("server", name)
        if serve.profile == "serverless" and not is_archive(model):  # §2.2
            raise ConfigError(
                f"a serverless endpoint takes no uncompressed model, which {model} is",
                remedy="make it one model.tar.gz, or take another --profile",
            )
        host_port = serve.port if port is None else port
        require_free_port(host_port)
        return ServeSpec(
            name=name or self._new_name(),
            image=_NOT_BUILT,
            model=model,
            environment=serve.environment,
            host_port=host_port,
            startup_timeout_s=min([serve.startup_timeout_s, *_startup_windows(serve.profile)]),
            profile=None if serve.profile == "direct" else serve.profile,
            limits=serve.limits,
        )

    def _require_program(self) -> None:
        """Make sure that there is something to reload."""
        program = self.settings.image.program
        if not program.is_dir():
            raise ConfigError(
                f"--reload shows edits of the program folder, and there is no folder {program}"
                + (f": of {self._image} there is only the image" if self._image else ""),
                remedy="set [image] program to the folder with serve, or leave --reload away",
            )

    def _with_program(self, spec: ServeSpec) -> ServeSpec:
        """The server with the project's program folder in place of the image's own copy of it."""
        image = self.settings.image
        build_files = [] if image.requirements is None else [image.requirements]
        if self.engine.name == "docker" and self._image is None:
            build_files.append(image.context / "Dockerfile")
        program = replace(spec.image, program=image.program, program_path=image.program_path)
        return replace(spec, image=program, build_files=tuple(build_files))

    # --- what there is -----------------------------------------------------------------------

    def find_model(self, model: Location | str | None) -> Location:
        """The model behind a path, an S3 URI, a job's name, or the newest completed job.

        S3 is not asked yet.

        Raises:
            NotFound: There is none.
            ConfigError: It is in S3, and the settings name no S3.
        """
        if model is None:
            return self.newest_job().model_archive
        if isinstance(model, S3Uri) or "://" in str(model):
            uri = parse_s3_uri(str(model))
            if self.settings.target == "local" and not self.settings.s3.named:
                raise ConfigError(f"the model {uri} is in S3, and {NO_S3}")
            return uri
        if Path(model).is_file() or "/" in str(model):
            return _existing(Path(model).absolute())
        run = self.store.find(str(model), "job")
        if not run.model_archive.exists():
            raise NotFound(f"job {run.name} has no model", remedy=f"devkit logs {run.name}")
        return run.model_archive

    def running_servers(self) -> list[Run]:
        """The servers whose ping was good and that nobody has stopped, oldest first."""
        return [
            run
            for run in self.store.runs("server")
            if run.outcome() is None and run.state().get("url")
        ]

    def newest_job(self) -> Run:
        """The newest completed training job that has a model.

        Raises:
            NotFound: There is none.
        """
        for entry in reversed(self.store.entries("job")):
            if entry.status == Status.COMPLETED.value:
                run = self.store.find(entry.name, "job")
                if run.model_archive.exists():
                    return run
        raise NotFound(
            "there is no completed training job to serve the model of",
            remedy="devkit train makes one; --model takes a model.tar.gz, a folder or s3://…",
        )

    def _new_name(self) -> str:
        """``<project>-<UTC time>-<random>``: unique, sorted by time, within SageMaker's 63."""
        now = datetime.now(timezone.utc)
        return f"{self.settings.name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _with(job: TrainingJob, image: Image) -> TrainingJob:
    return replace(job, image=image)


def _existing(model: Path) -> Path:
    if not model.exists():
        raise NotFound(f"there is no model {model}", remedy="devkit jobs lists the jobs to name")
    return model.resolve()


def _startup_windows(profile: str) -> list[float]:
    """How long SageMaker itself lets a server of this kind come up."""
    return [limits.startup_s for name, limits in PROFILES.items() if name == profile]


def _import_front_meanwhile(profile: str) -> None:
    """Import what serving needs while the training container runs: it takes 0.2 s."""
    if profile in PROFILES:
        Thread(target=import_module, args=("devkit.front.server",), daemon=True).start()


def _channels(
    settings: config.TrainSettings, extra: Mapping[str, Path | str]
) -> tuple[tuple[ChannelPlan, ...], list[str]]:
    """The channels that are right, and what is wrong with the others."""
    fields: dict[str, dict[str, Any]] = {
        channel.name: {"location": channel.location, **channel.options}
        for channel in settings.channels
    }
    for name, source in extra.items():
        fields[name] = {"location": parse_location(str(source), Path.cwd())}
    channels, problems = [], []
    for name, values in fields.items():
        try:
            channels.append(ChannelPlan(name=name, **{"input_mode": settings.input_mode} | values))
        except ConfigError as error:
            problems.append(error.message)
    return tuple(channels), problems
