"""The contract as data: shapes and limits of SageMaker."""

from __future__ import annotations

import pytest

from devkit import contract


@pytest.mark.contract("1.3-a")
def test_hyperparameters_are_strings_whatever_they_were() -> None:
    values = {"eta": 0.05, "n": 1000, "flag": True, "text": "a", "list": [1, "b"]}
    assert {k: contract.hyperparameter_string(v) for k, v in values.items()} == {
        "eta": "0.05",
        "n": "1000",
        "flag": "true",
        "text": "a",
        "list": '[1, "b"]',
    }


@pytest.mark.contract("1.5-c", "1.5-d", "1.5-f")
def test_hosts_are_sorted_as_text_and_groups_are_not() -> None:
    hosts = contract.host_names(10)
    group = contract.HostGroup(name="homogeneousCluster", instance_type="local", hosts=hosts)
    config = contract.resourceconfig_json("algo-10", [group])
    assert isinstance(config, dict)
    assert config["hosts"] == ["algo-1", "algo-10", *(f"algo-{n}" for n in range(2, 10))]
    assert config["instance_groups"] == [
        {"instance_group_name": "homogeneousCluster", "instance_type": "local", "hosts": [*hosts]}
    ]
    assert config["current_host"] == "algo-10"
    assert config["network_interface_name"] == "eth0"


@pytest.mark.contract("1.7-b", "1.7-i")
def test_the_platforms_variables_win_over_the_requests() -> None:
    environment = contract.training_environment(
        "Iris-1", {"TRAINING_JOB_NAME": "mine", "MY_VARIABLE": "1"}
    )
    assert environment["TRAINING_JOB_NAME"] == "Iris-1"
    assert environment["TRAINING_JOB_ARN"].endswith(":training-job/iris-1")
    assert environment["MY_VARIABLE"] == "1"


@pytest.mark.contract("1.9-c", "1.9-d")
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (None, "AlgorithmError: , exit code: 3"),
        ("no data\n", "AlgorithmError: no data, exit code: 3"),
    ],
)
def test_failure_reason_has_the_failure_file_and_the_exit_code(
    failure: str | None, expected: str
) -> None:
    assert contract.failure_reason(3, failure) == expected


@pytest.mark.contract("1.9-e")
def test_failure_reason_is_cut_at_1024_characters() -> None:
    assert len(contract.failure_reason(1, "x" * 5000)) == 1024


@pytest.mark.contract("1.1-a", "1.1-b", "1.1-c", "1.1-d")
@pytest.mark.parametrize(
    ("entrypoint", "arguments", "started"),
    [
        (None, None, (None, ("train",))),
        (["/bin/sh"], None, (("/bin/sh",), ())),
        (None, ["--fast"], (None, ("--fast",))),
        (["/bin/sh"], ["x.sh"], (("/bin/sh",), ("x.sh",))),
    ],
)
def test_the_four_start_forms(
    entrypoint: list[str] | None,
    arguments: list[str] | None,
    started: tuple[tuple[str, ...] | None, tuple[str, ...]],
) -> None:
    """Contract 1.1."""
    assert contract.training_start(entrypoint, arguments) == started


@pytest.mark.contract("1.1-e")
def test_an_entrypoint_has_1_to_100_words_of_256_characters() -> None:
    """Contract 1.1."""
    assert contract.start_problems("entrypoint", None) == []
    assert contract.start_problems("entrypoint", ["x" * 256] * 100) == []
    assert len(contract.start_problems("entrypoint", [])) == 1
    assert len(contract.start_problems("entrypoint", ["x"] * 101)) == 1
    assert len(contract.start_problems("entrypoint", ["x" * 257])) == 1


@pytest.mark.contract("1.13-a")
@pytest.mark.parametrize("name", ["a", "a-b", "A1", "a" * 63])
def test_names_that_sagemaker_takes(name: str) -> None:
    assert contract.name_problems("job name", name) == []


@pytest.mark.contract("1.13-a")
@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "a b", "a" * 64, "a\n", "../x"])
def test_names_that_sagemaker_refuses(name: str) -> None:
    [problem] = contract.name_problems("job name", name)
    assert repr(name) in problem


@pytest.mark.contract("1.3-c", "1.3-d")
def test_every_hyperparameter_problem_is_named() -> None:
    values = {"k" * 257: "v", "long": "v" * 2501, "lines": "a\nb"}
    assert len(contract.hyperparameter_problems(values)) == 3
    assert contract.hyperparameter_problems({"ok": "v" * 2500}) == []
    many = {str(n): "" for n in range(101)}
    assert contract.hyperparameter_problems(many) == ["101 hyperparameters: at most 100"]


@pytest.mark.contract("1.4-g", "1.6-k")
def test_channel_names_and_their_number() -> None:
    assert contract.channel_problems(["train", "a.b-c_d"]) == []
    assert len(contract.channel_problems(["", "a/b", "..", "x" * 65])) == 4
    assert contract.channel_problems([f"c{n}" for n in range(21)]) == ["21 channels: at most 20"]


@pytest.mark.contract("1.7-h", "2.12-e")
def test_training_environment_takes_512_characters_and_hosting_1024() -> None:
    value = {"KEY": "v" * 513}
    assert len(contract.training_environment_problems(value)) == 1
    assert contract.hosting_environment_problems(value) == []
    assert len(contract.training_environment_problems({"1KEY": ""})) == 1


@pytest.mark.contract("2.12-e")
def test_hosting_environment_is_32_kilobytes_in_all() -> None:
    environment = {f"K{n}": "v" * 1000 for n in range(40)}
    assert contract.hosting_environment_problems(environment) == [
        "environment of 40110 bytes: at most 32768"
    ]


@pytest.mark.contract("1.11-d")
def test_a_metric_needs_a_regex_with_a_group() -> None:
    assert contract.metric_problems([("loss", r"loss=(\S+)")]) == []
    assert "no group" in contract.metric_problems([("loss", "loss=")])[0]
    assert "regular expression" in contract.metric_problems([("loss", "(")])[0]
    assert len(contract.metric_problems([(f"m{n}", "(x)") for n in range(41)])) == 1


@pytest.mark.contract("2.6-b", "2.6-c")
@pytest.mark.parametrize(("status", "who"), [(400, "client"), (499, "client"), (500, "server")])
def test_an_error_status_is_the_clients_or_the_servers(status: int, who: str) -> None:
    message = contract.model_error_message(status, "no")
    assert message == f'Received {who} error ({status}) from primary with message "no"'


@pytest.mark.contract("1.11-c", "2.13-a")
def test_logs_are_named_as_cloudwatch_has_them() -> None:
    """§1.11, §2.13."""
    assert contract.TRAINING_LOG_GROUP == "/aws/sagemaker/TrainingJobs"
    assert contract.training_log_stream("iris", "algo-2", 1700000000123) == (
        "iris/algo-2-1700000000123"
    )
    assert contract.endpoint_log_group("web") == "/aws/sagemaker/Endpoints/web"
    assert contract.endpoint_log_stream("AllTraffic", "i-0f") == "AllTraffic/i-0f"
