"""Mapping templates: Velocity with API Gateway's variables."""

from __future__ import annotations

from typing import Any

import pytest

from devkit.local_aws.gateway.templates import Input, TemplateFailed, rendered

BODY = b'{"a": {"b": [1, "x", true, null]}, "name": "O\'Neil", "e": "\xc3\xa9"}'
GIVEN = Input(BODY, {"id": "p"}, {"q": "1"}, {"X-Head": "h"})


def made(template: str, given: Input = GIVEN, **context: Any) -> str:
    return rendered(template, given, context, {"stage": "dev"})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$input.json('$.a')", '{"b":[1,"x",true,null]}'),
        ("$input.json('$.e')", '"é"'),
        ("$input.path('$.a.b[1]')", "x"),
        ("$input.path('$.a')", "{b=[1, x, true, null]}"),
        ("$input.path('$.a.b').size()", "4"),
        ("$input.path('$.a').containsKey('b') $input.path('$.a.b').get(0)", "true 1"),
        ("#set($m = $input.path('$.a'))$m.put('c', 2)$m.c$m.size()", "22"),
        ("#foreach($e in $input.params().path.entrySet())$e.key=$e.value#end", "id=p"),
        ("$input.path('$.none')", ""),
        ("$input.params('id')$input.params('q')$input.params('x-head')", "p1h"),
        ("$input.params('none')", ""),
        ("$input.params().path.id", "p"),
        ("#foreach($k in $input.params().header.keySet())$k#end", "X-Head"),
        ("$stageVariables.stage ${stageVariables.stage} $stageVariables.none", "dev dev "),
        ("$util.escapeJavaScript($input.path('$.name'))", "O\\'Neil"),
        ("$util.escapeJavaScript($input.path('$.e'))", "\\u00E9"),
        ("$util.urlEncode('a b&c') $util.urlDecode('a+b%26c')", "a+b%26c a b&c"),
        ("$util.base64Encode('hi') $util.base64Decode('aGk=')", "aGk= hi"),
        ("$util.parseJson('{\"z\": 2}').z", "2"),
        ("#set($x = $input.path('$.a.b'))#foreach($i in $x)[$i]#end", "[1][x][true][]"),
        ("#if($input.path('$.a.b[2]'))yes#{else}no#end", "yes"),
    ],
)
def test_templates_see_the_request(template: str, text: str) -> None:
    assert made(template) == text


def test_templates_see_the_context() -> None:
    context: dict[str, Any] = {"identity": {"sourceIp": "127.0.0.1"}, "requestId": "id"}

    assert made("$context.identity.sourceIp $context.requestId $context.none", **context) == (
        "127.0.0.1 id "
    )


def test_what_a_template_sets_in_the_context_is_there_after() -> None:
    context: dict[str, Any] = {"responseOverride": {"header": {}}}

    rendered(
        "#set($context.responseOverride.status = 404)"
        "#set($context.responseOverride.header.x = 'y')",
        GIVEN,
        context,
        {},
    )

    assert context["responseOverride"] == {"header": {"x": "y"}, "status": 404}


def test_no_body_is_an_empty_object() -> None:
    assert made("$input.json('$')", Input(b"")) == "{}"


def test_a_body_that_is_no_json_is_a_string() -> None:
    assert made("$input.json('$') $input.body", Input(b"a,b")) == '"a,b" a,b'


@pytest.mark.parametrize("template", ["#foreach($x in)", "$util.parseJson('{')"])
def test_a_template_that_is_wrong_says_so(template: str) -> None:
    with pytest.raises(TemplateFailed):
        made(template)
