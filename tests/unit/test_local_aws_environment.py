"""The environment of a command: the local AWS, and nothing of the developer's."""

from __future__ import annotations

from pathlib import Path

from devkit.local_aws.environment import HOOK, ClientFiles, for_command, for_endpoint

DEVELOPERS = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_CONFIG_FILE": "/home/me/.aws/config",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
    "MOTO_ENABLE_RECORDING": "1",
    "HOME": "/home/me",
    "PATH": "/bin",
    "PYTHONPATH": "/mine",
    "NO_PROXY": "intranet",
}
URL = "http://127.0.0.1:4566"


def environment(folder: Path, **more: str) -> dict[str, str]:
    files = ClientFiles(folder)
    files.write()
    return for_command({**DEVELOPERS, **more}, URL, files)


def test_a_command_is_pointed_at_the_local_aws(tmp_path: Path) -> None:
    found = environment(tmp_path)

    assert found["AWS_ENDPOINT_URL"] == URL
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "us-east-1"
    assert found["AWS_ACCESS_KEY_ID"] == found["AWS_SECRET_ACCESS_KEY"] == "test"
    assert found["AWS_EC2_METADATA_DISABLED"] == "true"


def test_nothing_of_the_developers_account_reaches_it(tmp_path: Path) -> None:
    found = environment(tmp_path)

    for text in ("production", "AKIAREAL", "real", "s3.example.com", "/home/me/.aws", "/token"):
        assert text not in " ".join(found.values())
    assert "AWS_PROFILE" not in found
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert Path(found[name]).parent == tmp_path
        assert Path(found[name]).is_file()


def test_what_has_nothing_to_do_with_aws_is_left(tmp_path: Path) -> None:
    found = environment(tmp_path)

    assert (found["HOME"], found["PATH"]) == ("/home/me", "/bin")


def test_the_hook_comes_before_other_paths(tmp_path: Path) -> None:
    assert environment(tmp_path)["PYTHONPATH"] == f"{HOOK}:/mine"
    assert environment(tmp_path, PYTHONPATH="")["PYTHONPATH"] == str(HOOK)
    assert (HOOK / "sitecustomize.py").is_file()


def test_no_proxy_stands_before_the_endpoint(tmp_path: Path) -> None:
    found = environment(tmp_path)

    assert found["NO_PROXY"] == found["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_the_sagemaker_sdk_has_its_defaults_from_a_file_of_ours(tmp_path: Path) -> None:
    found = environment(tmp_path)

    for name in ("SAGEMAKER_ADMIN_CONFIG_OVERRIDE", "SAGEMAKER_USER_CONFIG_OVERRIDE"):
        text = Path(found[name]).read_text()
        assert "TelemetryOptOut: true" in text
        assert "DefaultS3Bucket: sagemaker-us-east-1-123456789012" in text


def test_the_files_are_put_right(tmp_path: Path) -> None:
    files = ClientFiles(tmp_path)
    files.write()
    files.aws_credentials.write_text("[default]\naws_access_key_id = AKIAREAL\n")

    files.write()

    assert files.aws_credentials.read_text() == ""


def test_the_endpoint_itself_sees_neither_an_account_nor_settings_of_moto() -> None:
    found = for_endpoint(DEVELOPERS)

    assert found["PATH"] == "/bin"
    assert found["AWS_CONFIG_FILE"] == found["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert not [name for name in found if name.startswith("MOTO_")]
    assert "AWS_PROFILE" not in found
    assert for_endpoint(found) == found
