"""What a training container finds and what becomes of what it leaves: contract 1.1 to 1.12."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from devkit.channels.recordio import read_records
from tests.integration.kit import (
    HEAD,
    TRAIN_UNTIL_STOPPED,
    Project,
    archive,
    log,
    model,
    outcome,
)

pytestmark = pytest.mark.usefixtures("contained")

only_docker = pytest.mark.parametrize(
    "engine", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)
"""For what an image has in it, which the process engine does not run."""

CONFIG = HEAD + (
    "files = {path.name: json.loads(path.read_text()) for path in CONFIG.iterdir()}\n"
    "say(json.dumps(files))\n"
)
LAYOUT = HEAD + (
    'say(json.dumps(sorted(str(path) for path in Path("/opt/ml").rglob("*") if path.exists())))\n'
)
ENVIRONMENT = HEAD + "say(json.dumps(dict(os.environ)))\n"
ARGUMENTS = HEAD + "say(json.dumps(sys.argv))\n"
USER = HEAD + "say(json.dumps([os.getuid(), os.getgid()]))\n"
MARKS = HEAD + (
    'say(json.dumps(sorted(str(path) for path in Path("/opt/ml").rglob("of-the-image"))))\n'
)
WRITES_INTO_CHANNELS = (
    HEAD
    + """
def problem(folder):
    try:
        (folder / "new").touch()
    except OSError as error:
        return error.strerror

said = {path.name: problem(path) for path in DATA.iterdir()}
say(json.dumps(said))
"""
)
PIPES = (
    HEAD
    + """
import time

def pipe(channel, epoch):
    path = DATA / f"{channel}_{epoch}"
    while not path.exists():
        time.sleep(0.001)
    return path.open("rb")

"""
)
"""The head of a program that opens the pipe of an epoch, which may come late."""

SHARED_MEMORY = HEAD + (
    'shm = os.statvfs("/dev/shm")\nsay(json.dumps(shm.f_blocks * shm.f_frsize))\n'
)


def said(project: Project, *flags: str) -> Any:
    """Train, and return the JSON line that the program wrote."""
    project.devkit("train", "--name", "Job-1", *flags).succeeded()
    (line,) = log(project.job("Job-1"))
    return json.loads(line)


def in_dockerfile(project: Project, *instructions: str) -> None:
    with (project.root / "image" / "Dockerfile").open("a") as dockerfile:
        dockerfile.writelines(f"{each}\n" for each in instructions)


# --- how it is started -----------------------------------------------------------------------


@only_docker
@pytest.mark.contract("1.1-a")
@pytest.mark.parametrize("command", ["", 'CMD ["never"]'])
def test_the_images_entrypoint_is_kept_and_its_cmd_is_not(project: Project, command: str) -> None:
    project.write(show=ARGUMENTS)
    in_dockerfile(project, 'ENTRYPOINT ["show", "always"]', command)

    assert said(project)[1:] == ["always", "train"]


@only_docker
@pytest.mark.contract("1.1-b", "1.1-c", "1.1-d", "1.1-f")
@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ("entrypoint = ['show', 'new']", ["new"]),
        ("arguments = ['--fast', 'x']", ["always", "--fast", "x"]),
        ("entrypoint = ['show', 'new']\narguments = ['--fast']", ["new", "--fast"]),
    ],
)
def test_what_a_request_names_replaces_what_the_image_names(
    project: Project, settings: str, arguments: list[str]
) -> None:
    project.write(show=ARGUMENTS, config=f"[train]\n{settings}\n")
    in_dockerfile(project, 'ENTRYPOINT ["show", "always"]', 'CMD ["never"]')

    assert said(project)[1:] == arguments


@pytest.mark.contract("1.1-f", "1.1-g")
def test_a_script_in_a_channel_can_be_the_entrypoint(project: Project) -> None:
    project.write(
        train=HEAD,
        config="[train]\nchannels = { code = 'code' }\narguments = ['b']\n"
        "entrypoint = ['/bin/sh', '/opt/ml/input/data/code/go.sh', 'a']\n",
    )
    (project.root / "code").mkdir()
    (project.root / "code" / "go.sh").write_text('echo "[\\"$1\\", \\"$2\\"]"\n')

    assert said(project) == ["a", "b"]


@pytest.mark.contract("1.1-p")
def test_a_program_is_root(project: Project) -> None:
    project.write(train=USER)

    assert said(project) == [0, 0]


@only_docker
@pytest.mark.contract("1.1-p")
def test_an_image_may_have_another_user(project: Project) -> None:
    project.write(train=USER)
    in_dockerfile(project, "USER 1234:1234")

    assert said(project) == [1234, 1234]


@only_docker
@pytest.mark.contract("1.1-m")
def test_what_an_image_has_in_the_platforms_folders_is_hidden(project: Project) -> None:
    project.write(train=MARKS)
    folders = "/opt/ml/code /opt/ml/input/data /opt/ml/model /opt/ml/output/data"
    in_dockerfile(
        project,
        f"RUN mkdir -p {folders} && for folder in {folders}; do touch $folder/of-the-image; done",
    )

    assert said(project) == ["/opt/ml/code/of-the-image"]
    assert model(project.job()) == {}
    assert archive(project.job() / "output" / "output.tar.gz") == {}


# --- what it finds ---------------------------------------------------------------------------


@pytest.mark.contract(
    "1.2-a", "1.3-a", "1.3-f", "1.3-g", "1.4-a", "1.4-b", "1.4-d", "1.4-e", "1.5-a", "1.5-b",
    "1.5-d", "1.5-f",
)  # fmt: skip
def test_the_configuration_is_what_jobs_see(project: Project) -> None:
    (project.root / "data").mkdir()
    (project.root / "data" / "a.csv").touch()
    project.write(
        train=CONFIG,
        config="""
[train.hyperparameters]
eta = 0.05
layers = [16, 8]
verbose = true
optimizer = '"sgd"'
sagemaker_program = "train.py"

[train.channels]
training = { source = "data", content_type = "text/csv" }
lazy = { source = "data", input_mode = "FastFile" }
piped = { source = "data", input_mode = "Pipe", record_wrapper = "RecordIO" }
""",
    )

    assert said(project) == {
        "hyperparameters.json": {
            "eta": "0.05",
            "layers": "[16, 8]",
            "verbose": "true",
            "optimizer": '"sgd"',
            "sagemaker_program": "train.py",
        },
        "inputdataconfig.json": {
            "training": {
                "ContentType": "text/csv",
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            },
            "lazy": {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            },
            "piped": {
                "TrainingInputMode": "Pipe",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "RecordIO",
            },
        },
        "resourceconfig.json": {
            "current_host": "algo-1",
            "current_instance_type": "local",
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": "local",
                    "hosts": ["algo-1"],
                }
            ],
            "network_interface_name": "eth0",
            "topology": None,
        },
    }


@pytest.mark.contract("1.2-a", "1.3-b", "1.4-f")
def test_without_hyperparameters_and_channels_the_files_are_there_all_the_same(
    project: Project,
) -> None:
    project.write(train=CONFIG)

    files = said(project)

    assert files["hyperparameters.json"] == {}
    assert files["inputdataconfig.json"] == {}
    assert sorted(files) == ["hyperparameters.json", "inputdataconfig.json", "resourceconfig.json"]


@pytest.mark.contract("1.2-a", "1.2-b", "1.2-d", "1.2-h")
def test_there_is_nothing_else_below_opt_ml(project: Project) -> None:
    (project.root / "data").mkdir()
    (project.root / "data" / "a.csv").touch()
    project.write(train=LAYOUT)

    assert said(project, "--channel", "training=data") == [
        "/opt/ml/input",
        "/opt/ml/input/config",
        "/opt/ml/input/config/hyperparameters.json",
        "/opt/ml/input/config/inputdataconfig.json",
        "/opt/ml/input/config/resourceconfig.json",
        "/opt/ml/input/data",
        "/opt/ml/input/data/training",
        "/opt/ml/input/data/training/a.csv",
        "/opt/ml/model",
        "/opt/ml/output",
        "/opt/ml/output/data",
    ]


@pytest.mark.contract("1.7-a", "1.7-b", "1.7-c", "1.7-d", "1.7-e", "1.7-j")
def test_the_environment_is_the_platforms_and_the_requests(project: Project) -> None:
    project.write(train=ENVIRONMENT)

    variables = said(project)

    assert variables["TRAINING_JOB_NAME"] == "Job-1"
    assert variables["TRAINING_JOB_ARN"] == (
        "arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1"
    )
    assert variables["MARKER"] == project.name  # of [train.environment], in every project here
    assert [name for name in variables if name.startswith("AWS_")] == ["AWS_REGION"]
    assert [name for name in variables if name.startswith(("SM_", "SAGEMAKER_"))] == []


@pytest.mark.contract("1.7-i")
def test_the_platforms_variables_win_over_the_requests(project: Project) -> None:
    project.write(train=ENVIRONMENT)
    settings = (project.root / "devkit.toml").read_text()
    (project.root / "devkit.toml").write_text(
        settings.replace(
            "[train.environment]\n",
            "[train.environment]\nTRAINING_JOB_NAME = 'mine'\nAWS_REGION = 'eu-west-1'\n",
        )
    )

    variables = said(project)

    assert (variables["TRAINING_JOB_NAME"], variables["AWS_REGION"]) == ("Job-1", "us-east-1")


@pytest.mark.contract("1.5-g")
def test_the_host_finds_itself_by_its_name(project: Project) -> None:
    project.write(
        train=HEAD
        + """
import socket
resources = json.loads((CONFIG / "resourceconfig.json").read_text())
say(json.dumps([socket.gethostname(), socket.gethostbyname(resources["current_host"]) != ""]))
"""
    )

    assert said(project) == ["algo-1", True]


@pytest.mark.contract("1.6-b", "1.6-c")
def test_the_folders_of_channels_are_read_only(project: Project) -> None:
    (project.root / "data").mkdir()
    (project.root / "data" / "a.csv").touch()
    project.write(
        train=WRITES_INTO_CHANNELS,
        config="[train.channels]\nfile = 'data'\n"
        "lazy = { source = 'data', input_mode = 'FastFile' }\n",
    )

    read_only = "Read-only file system"
    assert said(project) == {"file": read_only, "lazy": read_only}


@pytest.mark.contract("1.6-x")
def test_compressed_files_are_delivered_as_they_are(project: Project) -> None:
    (project.root / "data").mkdir()
    content = gzip.compress(b"1,2,3")
    (project.root / "data" / "a.csv.gz").write_bytes(content)
    project.write(
        train=HEAD + 'say(json.dumps((DATA / "training" / "a.csv.gz").read_bytes().hex()))\n'
    )

    assert said(project, "--channel", "training=data") == content.hex()


@pytest.mark.contract("1.12-a")
def test_shared_memory_has_the_size_of_the_settings(project: Project) -> None:
    project.write(train=SHARED_MEMORY, config="[train]\nshm_bytes = '32M'\n")

    assert said(project) == 32 * 1024 * 1024


@only_docker
@pytest.mark.contract("1.12-a")
def test_shared_memory_has_64_megabytes_by_default(project: Project) -> None:
    project.write(train=SHARED_MEMORY)

    assert said(project) == 64 * 1024 * 1024


# --- pipes -----------------------------------------------------------------------------------


@pytest.mark.contract("1.2-c", "1.6-e", "1.6-f", "1.6-g", "1.6-h")
def test_pipes_are_read_in_any_order_and_closed_early(project: Project) -> None:
    for name, content in {"a": "first channel", "b": "second channel"}.items():
        (project.root / name).mkdir()
        (project.root / name / "data").write_text(content * 100_000)
    project.write(
        train=PIPES
        + """
with pipe("b", 0) as b, pipe("a", 0) as a:
    begun = [a.read(5), b.read(6), a.read(8)]
whole = pipe("a", 1)
with whole:
    size = len(whole.read())
say(json.dumps([[each.decode() for each in begun], size, (DATA / "b_1").exists()]))
""",
        config="[train]\ninput_mode = 'Pipe'\nchannels = { a = 'a', b = 'b' }\n",
    )

    begun, size, second_epoch = said(project)

    assert begun == ["first", "second", " channel"]
    assert size == len("first channel") * 100_000
    assert second_epoch


@pytest.mark.contract("1.6-n", "1.6-o", "1.6-u", "1.6-y")
def test_the_lines_of_an_augmented_manifest_are_records_in_a_new_order_each_time(
    project: Project,
) -> None:
    lines = []
    for number in range(9):
        (project.root / f"{number}.jpg").write_text(f"pixels {number}")
        lines.append({"label": number, "image-ref": f"{number}.jpg", "ignored": "x"})
    (project.root / "lines").write_text("\n".join(json.dumps(line) for line in lines))
    project.write(
        train=PIPES
        + """
epochs = []
for number in range(2):
    with pipe("training", number) as epoch:
        epochs.append(epoch.read().hex())
say(json.dumps(epochs))
""",
        config="""
[train.channels.training]
source = "lines"
input_mode = "Pipe"
data_type = "AugmentedManifestFile"
attribute_names = ["image-ref", "label"]
record_wrapper = "RecordIO"
shuffle_seed = 1
""",
    )

    epochs = [list(read_records(io.BytesIO(bytes.fromhex(each)))) for each in said(project)]

    pairs = [list(zip(records[::2], records[1::2], strict=True)) for records in epochs]
    for epoch in pairs:
        assert sorted(epoch) == [(b"pixels %d" % n, b"%d" % n) for n in range(9)]
    assert pairs[0] != pairs[1]


# --- what it leaves --------------------------------------------------------------------------


@pytest.mark.contract("1.2-e", "1.2-f", "1.2-j", "1.8-b", "1.8-c")
def test_the_archives_hold_the_two_folders_and_nothing_else(project: Project) -> None:
    project.write(
        train=HEAD
        + """
for folder in (MODEL / "deep", OUTPUT / "data" / "plots"):
    folder.mkdir()
(MODEL / "deep" / "weights").write_text("42")
(MODEL / "labels").write_text("a,b")
(OUTPUT / "data" / "plots" / "loss.svg").write_text("<svg/>")
for place in ("/tmp/scratch", "/opt/ml/elsewhere", "/opt/ml/output/beside"):
    Path(place).write_text("not kept")
"""
    )

    project.devkit("train").succeeded()

    job = project.job()
    assert model(job) == {"deep/weights": b"42", "labels": b"a,b"}
    assert archive(job / "output" / "output.tar.gz") == {"plots/loss.svg": b"<svg/>"}
    kept = [path.read_bytes() for path in job.rglob("*") if path.is_file()]
    assert [content for content in kept if b"not kept" in content] == []


@pytest.mark.contract("1.8-a", "1.8-e", "1.8-f", "1.9-a")
def test_a_job_that_leaves_nothing_has_two_empty_archives(project: Project) -> None:
    project.write(train=HEAD)

    project.devkit("train").succeeded()

    job = project.job()
    assert sorted(path.name for path in (job / "output").iterdir()) == [
        "model.tar.gz",
        "output.tar.gz",
    ]
    assert model(job) == archive(job / "output" / "output.tar.gz") == {}


@pytest.mark.contract("1.2-k", "1.10-e")
def test_nothing_is_archived_before_the_end(project: Project) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)

    with project.start("train", "--name", "long") as training:
        training.wait_for("training begins")
        assert list(project.job("long").rglob("*.tar.gz*")) == []
        project.devkit("stop", "long").succeeded()
        training.finish().interrupted(143)

    assert model(project.job("long")) == {"checkpoint": b"half way", "weights": b"saved"}


@pytest.mark.contract("1.8-h", "1.9-d", "1.9-e")
def test_a_failure_is_counted_in_characters_not_in_bytes(project: Project) -> None:
    project.write(train=HEAD + '(OUTPUT / "failure").write_text("é" * 2000)\nsys.exit(1)\n')

    project.devkit("train").failed(5, "AlgorithmError: ééé")

    begin = "AlgorithmError: "
    assert outcome(project.job())["failure_reason"] == begin + "é" * (1024 - len(begin))


@pytest.mark.contract("1.9-b", "1.9-c", "1.10-q")
@pytest.mark.parametrize("code", [1, 42, 255])
def test_any_exit_code_but_0_is_a_failure(project: Project, code: int) -> None:
    project.write(train=HEAD + f"sys.exit({code})\n")

    project.devkit("train").failed(5, f"AlgorithmError: , exit code: {code}")

    ended = outcome(project.job())
    assert (ended["status"], ended["secondary_status"], ended["exit_code"]) == (
        "Failed",
        "Failed",
        code,
    )


@pytest.mark.contract("1.11-a", "1.11-b")
def test_the_log_has_both_streams_any_bytes_and_the_unfinished_line(project: Project) -> None:
    project.write(
        train=HEAD
        + """
os.write(2, b"on stderr\\n")
os.write(1, b"\\xff\\xfe and \\xc3\\xa9\\n")
os.write(2, b"the last one")
"""
    )

    project.devkit("train").succeeded()

    assert sorted(log(project.job())) == sorted(["on stderr", "\ufffd\ufffd and é", "the last one"])


@pytest.mark.contract("1.11-e", "1.11-f")
def test_the_first_group_is_the_metric_and_its_last_value_counts(project: Project) -> None:
    project.write(
        train=HEAD
        + """
say("epoch 1: Train_error=0.5; of 9")
say("epoch 2: Train_error=0.25; of 9")
""",
        config="[train]\nmetrics = [{ name = 'error', regex = 'Train_error=(.*?); of (.*)' }]\n",
    )

    project.devkit("train").succeeded()

    assert outcome(project.job())["metrics"] == {"error": 0.25}


# --- its secondary statuses ------------------------------------------------------------------


@pytest.mark.contract("1.10-o", "1.10-p", "1.10-r")
@pytest.mark.parametrize(("mode", "downloads"), [("File", True), ("Pipe", False)])
def test_the_phases_of_a_job_have_the_words_of_real_ones(
    project: Project, mode: str, downloads: bool
) -> None:
    (project.root / "data").mkdir()
    (project.root / "data" / "a.csv").touch()
    project.write(
        train=HEAD,
        config=f"[train]\ninput_mode = '{mode}'\nchannels = {{ training = 'data' }}\n",
    )

    project.devkit("train").succeeded()

    transitions = outcome(project.job())["transitions"]
    assert [(each["status"], each["message"]) for each in transitions] == [
        ("Starting", "Starting the training job"),
        *([("Downloading", "Downloading input data")] if downloads else []),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
