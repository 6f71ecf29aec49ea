"""Requests that schemathesis makes from the description: `python -m bench.generated URL COUNT` prints what it found.

One line of JSON: how many requests, and how often which answer was not one that the description promises."""

import itertools
import json
import sys
from collections import Counter

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bench.members import Member

AT_A_TIME = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
QUIET = settings(
    max_examples=AT_A_TIME,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

schemathesis.serializer.alias("application/x-ndjson", "text/plain")


def send(url: str, count: int) -> tuple[int, Counter[str]]:
    """So many requests, some to each operation in turn; how many were sent, and which answers were wrong."""
    sent, wrong = 0, Counter[str]()
    with Member(url) as member:
        for operation, mode in itertools.cycle(_turns(url)):
            for faults in _ask(operation, mode, member.token(), count - sent):
                sent += 1
                wrong.update(faults)
            if sent == count:
                break
    return sent, wrong


def _ask(operation: APIOperation, mode: GenerationMode, token: str, most: int) -> list[list[str]]:
    """Some requests, `most` at most; what was wrong with each one's answer."""
    headers = {"Authorization": f"Bearer {token}"}
    found: list[list[str]] = []

    @QUIET
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        if len(found) < most:
            answer = case.call(headers=headers)
            label = f"{operation.label} {answer.status_code}"
            found.append([f"{label}: {fault}" for fault in _faults(case, answer, headers)])

    ask()
    return found


def _faults(case: schemathesis.Case, answer: Response, headers: dict[str, str]) -> list[str]:
    try:
        case.validate_response(answer, checks=CHECKS, headers=headers)
    except FailureGroup as failures:
        return [failure.title for failure in failures.exceptions]
    return []


def _turns(url: str) -> list[tuple[APIOperation, GenerationMode]]:
    """Each operation with data that suits it and, where it takes any, with data that does not."""
    turns = []
    for result in openapi.from_url(f"{url}/openapi.json").get_all_operations():
        operation = result.ok()
        turns.append((operation, GenerationMode.POSITIVE))
        if operation.body or any(each.name != "X-Request-ID" for each in operation.iter_parameters()):
            turns.append((operation, GenerationMode.NEGATIVE))
    return turns


if __name__ == "__main__":
    print(json.dumps(send(sys.argv[1], int(sys.argv[2]))))
