"""GET /metrics: who may see it, and that its figures are true for all processes together."""

import json
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from conftest import SETTINGS, problem
from fleets import CHECKOUT, serving, until
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from core.process.counters import FRESH_SECONDS, Report, Siblings, summed
from core.process.exposition import FAMILIES

DEFECT = ("ventas_request_seconds_count", "GET", "/readyz", "500")
UNAUTHORIZED = ("ventas_request_seconds_count", "GET", "/user/{id}", "401")
TOKEN = {"Authorization": "Bearer una-ficha"}


def samples(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels but the dyno, in the order of the labels' names."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (
            sample.name,
            *(sample.labels[name] for name in sorted(sample.labels) if name != "dyno"),
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_it_counts_answers_by_route_method_and_status(api: httpx.Client) -> None:
    for path in ("/user/1", "/user/2", "/nada", "/otra/nada"):
        api.get(path)
    told = samples(api)
    assert told[UNAUTHORIZED] == 2
    assert told["ventas_request_seconds_count", "GET", "", "404"] == 2
    assert told["ventas_request_seconds_bucket", "+Inf", "GET", "/user/{id}", "401"] == 2
    assert 0 < told["ventas_request_seconds_sum", "GET", "/user/{id}", "401"] < 2 * 30


def test_it_tells_how_pool_lanes_bcrypt_listener_and_outbox_are(ana: httpx.Client) -> None:
    until(lambda: samples(ana)["ventas_listening",] == 1)
    assert ana.get(f"/user/{ana.id}").status_code == 200
    told = samples(ana)
    assert told["ventas_processes",] == 1
    assert told["ventas_memory_bytes",] > 10_000_000
    assert told["ventas_pool_max", "primary"] == 7
    assert told["ventas_pool_loans_total", "primary"] > 0
    assert told["ventas_pool_idle", "primary"] <= told["ventas_pool_open", "primary"] <= 7
    assert told["ventas_lane_connected", "primary", "reads"] == 1
    assert told["ventas_batch_askers_bucket", "primary", "reads", "1"] > 0
    assert told["ventas_bcrypt_waiting",] == 0
    assert told["ventas_database_up",] == 1
    assert {name for name, *_ in told} >= {"ventas_outbox_mails", "ventas_outbox_age_seconds"}


def test_errors_are_told_before_there_is_one(api: httpx.Client) -> None:
    """The series of an error begins at 0: Prometheus sees no increase of one that begins at 1."""
    told = samples(api)
    for operation in (("GET", "/user/{id}"), ("POST", "/venta"), ("POST", "/login")):
        for status in ("500", "503"):
            assert told["ventas_request_seconds_count", *operation, status] == 0


PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_the_first_defect_fires_its_alert(
    api: httpx.Client, rows: Callable[..., list[tuple]], tmp_path: Path
) -> None:
    before = samples(api)[DEFECT]
    rows("ALTER TABLE _yoyo_migration RENAME TO otra")
    problem(api.get("/readyz"), 500, "error_interno")
    rows("ALTER TABLE otra RENAME TO _yoyo_migration")
    series = 'ventas_request_seconds_count{route="/readyz",method="GET",status="500"}'
    labels = {"severity": "ticket", "route": "/readyz"}
    alert = {"exp_labels": labels, "exp_annotations": {"summary": "ventas: /readyz answered 500"}}
    values = f"{before:g}x5 {samples(api)[DEFECT]:g}x10"
    case = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values}],
        "alert_rule_test": [{"eval_time": "10m", "alertname": "VentasDefect", "exp_alerts": [alert]}],
    }
    rules = {"rule_files": [str(CHECKOUT / "docs/alerts.yml")], "tests": [case]}
    (tmp_path / "test.yml").write_text(json.dumps(rules))
    done = subprocess.run(
        [PROMTOOL, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_is_told_and_documented(api: httpx.Client) -> None:
    text = api.get("/metrics").text
    assert set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) == set(FAMILIES)
    page = (CHECKOUT / "docs/observability.md").read_text()
    assert {name for name in FAMILIES if f"| `{name}`" not in page} == set()


def test_dashboard_alerts_and_page_know_the_metrics() -> None:
    docs = CHECKOUT / "docs"
    texts = [(docs / name).read_text() for name in ("observability.md", "alerts.yml", "grafana.json")]
    suffix = r"(?:_bucket|_count|_sum)?(?![a-z_])"
    for text in texts:
        for name in set(re.findall(r"\bventas_[a-z_]+", text)):
            assert any(re.fullmatch(family + suffix, name) for family in FAMILIES), name
    alerts = set(re.findall(r"- alert: (\w+)", texts[1]))
    assert alerts == set(re.findall(r"^\| `(Ventas\w+)`", texts[0], re.MULTILINE))
    assert json.loads(texts[2])["panels"]


def test_a_dyno_says_which_it_is(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'ventas_processes{dyno=""} 1.0' in api.get("/metrics").text
    monkeypatch.setenv("DYNO", "web.2")
    assert 'ventas_processes{dyno="web.2"} 1.0' in api.get("/metrics").text


def test_openmetrics_is_spoken_too(api: httpx.Client) -> None:
    answer = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("production", [{}, {"APP_ENV": "production", "BCRYPT_ROUNDS": "10"}])
def test_with_a_token_it_is_for_those_who_have_it(
    production: dict[str, str], connect: Callable[..., httpx.Client]
) -> None:
    api = connect(METRICS_TOKEN="una-ficha", **production)
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert api.get("/metrics", headers={"Authorization": f"{scheme} una-ficha"}).status_code == 200
    assert problem(api.get("/metrics"), 401, "no_autenticado")
    for wrong in ("Bearer otra", "Basic una-ficha", "Bearer ñ"):
        answer = api.get("/metrics", headers={"Authorization": wrong.encode()})
        problem(answer, 401, "token_invalido")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_in_production_without_a_token_it_is_not_there(connect: Callable[..., httpx.Client]) -> None:
    api = connect(APP_ENV="production", BCRYPT_ROUNDS="10")
    problem(api.get("/metrics", headers=TOKEN), 404, "ruta_desconocida")


def test_a_database_that_is_away_is_told(connect: Callable[..., httpx.Client]) -> None:
    away = {"DATABASE_URL": "postgresql://127.0.0.1:1/nada", "APP_ENV": "production", "BCRYPT_ROUNDS": "10"}
    api = connect(**away, METRICS_TOKEN="una-ficha")
    api.headers.update(TOKEN)
    told = samples(api)
    assert told["ventas_database_up",] == 0
    assert told["ventas_processes",] == 1


def test_several_processes_count_together(database: str, tmp_path: Path) -> None:
    settings = SETTINGS | {"DATABASE_URL": database}
    with serving(tmp_path / "socket", settings, workers=2) as server, server.clients() as clients:
        for client in clients:
            for _ in range(5):
                assert client.get("/user/1").status_code == 401
        for client in clients:
            until(lambda client=client: samples(client)[UNAUTHORIZED] == 10)
            assert samples(client)["ventas_processes",] == 2


def test_who_died_has_counted_and_is_not_there() -> None:
    count, level = ("answers",), ("processes",)
    alive = Report(totals=[(count, [1, 2])], levels=[(level, [1])], at=time.monotonic())
    dead = structs.replace(alive, at=time.monotonic() - FRESH_SECONDS)
    ended = structs.replace(alive, ended=True)
    assert dict(summed([alive, dead, ended])) == {count: [3, 6], level: [1]}


def test_the_last_process_takes_the_folder_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    siblings = Siblings()
    assert siblings.first("task")
    assert not Siblings().first("task")
    siblings.tell(Report([], [], at=1.0))
    [folder] = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    siblings.leave(Report([], [], at=2.0, ended=True))
    assert list(tmp_path.iterdir()) == []
