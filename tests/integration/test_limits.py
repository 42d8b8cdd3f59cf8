"""What a container may use: contract 1.12."""

from __future__ import annotations

import pytest

from tests.integration.kit import HEAD, MODEL, SERVE, SERVER, Project, log

SHM = "s = os.statvfs('/dev/shm')\nsay(s.f_blocks * s.f_frsize)\n"


@pytest.mark.usefixtures("contained")
@pytest.mark.contract("1.12-a")
def test_shared_memory_is_64_mb_or_what_is_set(project: Project) -> None:
    project.write(train=HEAD + SHM, serve=SERVER + SHM + "serve()\n")
    assert shared_memory(project, "usual") == [64 << 20] * 2
    project.configure("[train]\nshm_bytes = '96M'\n[serve]\nshm_bytes = '32M'\n")
    assert shared_memory(project, "set") == [96 << 20, 32 << 20]


def shared_memory(project: Project, name: str) -> list[int]:
    """The sizes that a training program and a server find."""
    job, server = f"{name}-job", f"{name}-server"
    project.devkit("train", "--name", job).succeeded()
    project.devkit("serve", "--name", server, "--detach").succeeded()
    project.devkit("stop", server).succeeded()
    return [int(log(project.job(job))[0]), int(log(project.server(server))[0])]


def test_gpus_that_cannot_be_given_are_refused_with_what_to_do(project: Project) -> None:
    remedy = "--engine docker"
    if project.engine == "docker":
        assert project.engines is not None
        if "nvidia" in project.engines.info()["Runtimes"]:
            pytest.skip("this Docker engine has GPUs to give")
        remedy = "install the NVIDIA driver and the NVIDIA Container Toolkit"
    project.with_model().write(serve=SERVE)
    project.configure("[train]\ngpus = 'all'\n[serve]\ngpus = 1\n")
    project.devkit("train").failed(3, "GPU", remedy)
    project.devkit("serve", *MODEL).failed(3, "GPU", remedy)
