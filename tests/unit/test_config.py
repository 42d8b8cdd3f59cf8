"""Flags over variables over devkit.toml over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from devkit import config
from devkit.config import Settings
from devkit.engines.base import Limits
from devkit.errors import ConfigError


def load(
    folder: Path,
    text: str | None = "",
    environ: Mapping[str, str] | None = None,
    overrides: config.Overrides | None = None,
    *,
    required: bool = True,
) -> Settings:
    if text is not None:
        (folder / "devkit.toml").write_text(text)
    return config.load(
        environ=environ or {}, cwd=folder, overrides=overrides, project_required=required
    )


def test_an_empty_file_is_a_project(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.root == tmp_path
    assert settings.engine == "auto"
    assert settings.image.context == tmp_path / "image"
    assert settings.image.requirements is None
    assert settings.serve.port == 8080
    assert settings.train.channels == ()


def test_a_project_is_found_from_below(tmp_path: Path) -> None:
    load(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert config.load(environ={}, cwd=below).root == tmp_path


def test_flags_win_over_variables_over_the_file(tmp_path: Path) -> None:
    text = "[serve]\nport = 1\n[train]\nmax_run_s = 10\n[project]\nname = 'file'"
    environ = {"DEVKIT_SERVE_PORT": "2", "DEVKIT_TRAIN_MAX_RUN_S": "20"}
    settings = load(tmp_path, text, environ, {"serve.port": 3})
    assert (settings.serve.port, settings.train.max_run_s, settings.name) == (3, 20, "file")


def test_the_engine_has_a_short_variable(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"DEVKIT_ENGINE": "process"}).engine == "process"


def test_tables_are_laid_over_each_other_entry_by_entry(tmp_path: Path) -> None:
    text = "[train]\nhyperparameters = { eta = 0.05, n = 10 }"
    settings = load(tmp_path, text, overrides={"train.hyperparameters.eta": "0.1"})
    assert settings.train.hyperparameters == {"eta": "0.1", "n": "10"}


def test_paths_count_from_where_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "devkit.toml").write_text("[train.channels]\na = 'data'")
    below = tmp_path / "below"
    below.mkdir()
    settings = config.load(environ={}, cwd=below, overrides={"train.channels.b": "data"})
    assert [c.location for c in settings.train.channels] == [tmp_path / "data", below / "data"]


def test_a_channel_may_be_a_table(tmp_path: Path) -> None:
    text = "[train.channels]\ntraining = { source = 'd', content_type = 'text/csv' }"
    [channel] = load(tmp_path, text).train.channels
    assert (channel.name, channel.location) == ("training", tmp_path / "d")
    assert channel.options == {"content_type": "text/csv"}


def test_a_hyperparameter_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    text = "[train.hyperparameters]\n'a.b' = 1\nnested = { x = 1 }"
    assert load(tmp_path, text).train.hyperparameters == {"a.b": "1", "nested": '{"x": 1}'}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[serve]\nport = 'x'",
            ["serve.port = 'x' (devkit.toml)", "a whole number from 0 to 65535"],
        ),
        ("[serve]\nport = true", ["a whole number"]),
        ("[serve]\nprot = 1", ["serve.prot (devkit.toml): no such key; [serve] takes cpus"]),
        ("[severe]\nport = 1", ["severe.port (devkit.toml): no such table", "serve"]),
        ("[project]\nengine = 'podman'", ["one of auto, docker, process"]),
        ("[project]\nname = 'a b'", ["project.name = 'a b'"]),
        ("[train]\nhyperparameters = 3", ["train.hyperparameters = 3", "must be a table"]),
        ("[train]\nmetrics = [{ name = 'a' }]", ["train.metrics", "regex"]),
        ("[train]\nmetrics = [{ name = 'a', regex = '(' }]", ["not a regular expression"]),
        ("[train.channels]\na = 's3://'", ["train.channels.a", "no S3 URI"]),
        ("[train.channels]\na = { source = 'd', input_mode = 'file' }", ["File, FastFile, Pipe"]),
        ("[train.channels]\na = { source = 'd', mode = 'File' }", ["input_mode", "not mode"]),
        ("[image]\nprogram_path = 'opt'", ["an absolute path"]),
        ("[train]\nmemory_bytes = '4X'", ["train.memory_bytes = '4X'"]),
        ("[train]\ngpus = -1", ["train.gpus = -1", 'a whole number of GPUs, or "all"']),
        ("[serve]\ngpus = 'some'", ['a whole number of GPUs, or "all"']),
        ("[serve]\ngpus = true", ['a whole number of GPUs, or "all"']),
        ("[image]\nplatform = 'arm'", ["linux/arm64"]),
        ("[serve", ["is not valid TOML"]),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    for part in said:
        assert part in str(error.value)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "[serve]\nport = -1\n[train]\nmax_run_s = 0\n[x]\ny = 1")
    assert str(error.value).count("\n  - ") == 3


def test_a_variable_that_is_no_number_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"serve.port = 'many' \(DEVKIT_SERVE_PORT\)"):
        load(tmp_path, environ={"DEVKIT_SERVE_PORT": "many"})


def test_without_a_project_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"touch devkit\.toml"):
        load(tmp_path, None)
    assert load(tmp_path, None, required=False).root == tmp_path


@pytest.mark.parametrize(("text", "expected"), [("'512M'", 512 << 20), ("'4G'", 4 << 30), ("7", 7)])
def test_sizes_have_units(tmp_path: Path, text: str, expected: int) -> None:
    assert load(tmp_path, f"[train]\nmemory_bytes = {text}").train.memory_bytes == expected


def test_children_get_nothing_of_aws(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={"AWS_SECRET_ACCESS_KEY": "x", "AWS_PROFILE": "y", "A": "1"})
    assert settings.machine.child_environment == {"A": "1"}


def test_the_cache_is_where_the_environment_says(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"DEVKIT_CACHE_DIR": "/c"}).machine.cache == Path("/c")
    assert load(tmp_path, environ={"XDG_CACHE_HOME": "/x"}).machine.cache == Path("/x/devkit")


def test_explain_names_the_layer_of_every_setting(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[train.hyperparameters]\neta = 1",
        {"DEVKIT_SERVE_PORT": "9"},
        {"invoke.data": "d"},
    )
    said = {key: (value, source) for key, value, source in config.explain(settings)}
    assert said["train.hyperparameters.eta"] == (1, "devkit.toml")
    assert said["serve.port"] == ("9", "DEVKIT_SERVE_PORT")
    assert said["invoke.data"] == ("d", "flag")
    assert said["project.engine"] == ("auto", "default")


def test_a_folder_whose_name_is_no_name_still_gives_one(tmp_path: Path) -> None:
    folder = tmp_path / "my project (2)"
    folder.mkdir()
    settings = load(folder)
    assert settings.name == "my-project-2"
    assert settings.image.tag == "my-project-2:dev"


@pytest.mark.parametrize(("text", "gpus"), [("2", 2), ("'all'", "all"), ("0", None)])
def test_gpus_are_a_number_or_all(tmp_path: Path, text: str, gpus: object) -> None:
    settings = load(tmp_path, f"[train]\ngpus = {text}\n[serve]\ngpus = {text}")
    assert (settings.train.limits.gpus, settings.serve.limits.gpus) == (gpus, gpus)


def test_a_variable_takes_the_gpus_of_the_file_away(tmp_path: Path) -> None:
    environ = {"DEVKIT_TRAIN_GPUS": "0", "DEVKIT_SERVE_GPUS": "all"}
    settings = load(tmp_path, "[train]\ngpus = 1\n[serve]\ngpus = 1", environ)
    assert (settings.train.limits.gpus, settings.serve.limits.gpus) == (None, "all")


def test_limits_are_those_of_contract_1_12_unless_set(tmp_path: Path) -> None:
    assert load(tmp_path).train.limits == load(tmp_path).serve.limits == Limits(shm_bytes=64 << 20)
    text = "memory_bytes = '1G'\ncpus = 2\nshm_bytes = '128M'\ngpus = 1\n"
    settings = load(tmp_path, f"[train]\n{text}[serve]\n{text}")
    wanted = Limits(memory_bytes=1 << 30, cpus=2.0, shm_bytes=128 << 20, gpus=1)
    assert settings.train.limits == settings.serve.limits == wanted
