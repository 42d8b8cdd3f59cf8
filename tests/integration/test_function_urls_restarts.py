"""Function URLs after a restart, and their part of a trace."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.chain_kit import ask, functions_only, up
from tests.integration.functions_kit import functions
from tests.integration.gateway_support import call
from tests.integration.kit import Project

CODE = "def handler(event, context):\n    return 'here'\n"


def test_a_url_is_the_same_after_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with functions(tmp_path / "first", journal=journal) as live:
        name = live.create(CODE)
        made = live.client("lambda").create_function_url_config(FunctionName=name, AuthType="NONE")
        before = made["FunctionUrl"].removeprefix(live.aws.url)

    with functions(tmp_path / "second", journal=journal) as live:
        found = live.client("lambda").get_function_url_config(FunctionName=name)
        assert found["FunctionUrl"] == f"{live.aws.url}{before}"
        assert call(found["FunctionUrl"]).body == b"here"


def test_a_function_of_a_project_can_have_one_whose_time_is_in_the_trace(
    process_project: Project,
) -> None:
    functions_only(process_project, '[lambda.one]\nsource = "one"\n', one=CODE)
    with up(process_project) as chain:
        client = chain.client("lambda")
        url = client.create_function_url_config(FunctionName="one", AuthType="NONE")["FunctionUrl"]
        assert ask(url, headers={"X-Amzn-Trace-Id": "Root=1-2-3"}).body == b"here"
        told = json.loads(ask(f"{chain.url}/_devkit/traces/1-2-3", method="GET").body)
        assert [each["hop"] for each in told["hops"]] == ["lambda one", "function url"]
