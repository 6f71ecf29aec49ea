"""What is written down is so: the README's story, links, settings, options of the command line."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from conftest import client_of, log_in, new_user
from processes import run_command

from core.checkout import CHECKOUT
from core.process.environment import meanings

DBA = (CHECKOUT / "docs" / "dba.md").read_text()
PAGES = [
    CHECKOUT / "README.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
    CHECKOUT / "scripts" / "README.md",
]


def told(page: Path) -> tuple[list[str], list[str]]:
    """The commands of a page's console blocks, and the lines that they print."""
    lines = "".join(re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)).splitlines()
    commands = [line[2:] for line in lines if line.startswith("$ ")]
    return commands, [line for line in lines if not line.startswith("$ ")]


def printed(commands: list[str], address: str, **environ: str) -> list[str]:
    script = "; echo\n".join(commands).replace("http://127.0.0.1:8000", address)
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | environ, capture_output=True, text=True, timeout=60
    )
    return [line for line in done.stdout.splitlines() if line]


def test_the_readmes_story_is_real_and_works_again(serve):
    commands, expected = told(CHECKOUT / "README.md")
    address = serve(PASSWORD_MIN_LENGTH="3")
    assert printed(commands, address) == expected
    for line, first in zip(printed(commands, address), expected, strict=True):
        assert re.fullmatch(re.sub(r'(id":)1', r"\1[0-9]+", re.escape(first)), line), line


def test_the_client_guides_commands_are_real(serve):
    address = serve(PASSWORD_MIN_LENGTH="3")
    with client_of(address) as api:
        api.post("/user/", json=new_user("ana", password="123"))
        token = log_in(api, "ana", "123")
        for _ in range(3):
            sale = {"venta": 1000, "ventas_productos": 1}
            api.post("/venta/", json=sale, headers={"Authorization": f"Bearer {token}"})

    commands, expected = told(CHECKOUT / "docs" / "clients.md")
    for line, pattern in zip(printed(commands, address, TOKEN=token), expected, strict=True):
        assert re.fullmatch(re.escape(pattern).replace("…", ".+"), line), line


def test_the_client_guides_error_is_one_that_the_server_gives(api):
    [example] = re.findall(r"```json\n(.*?)```", (CHECKOUT / "docs" / "clients.md").read_text(), re.DOTALL)
    headers = {"X-Request-ID": json.loads(example)["request_id"]}
    answer = api.post("/user/", json=new_user("eva", correo="no es"), headers=headers)
    assert answer.json() == json.loads(example)


@pytest.mark.parametrize("values", ["-1, 1, now()", "1, 0, now()", "1, 1, 'infinity'"])
def test_a_sale_inserted_by_hand_meets_the_constraints(values, users, rows):
    with pytest.raises(psycopg.errors.CheckViolation):
        rows(
            f"INSERT INTO venta (usuario_id, venta, ventas_productos, creacion) VALUES ({users[0]}, {values})"
        )


def test_by_hand_a_date_and_a_name_get_past_them_as_the_dbas_page_says(users, rows):
    rows(
        f"INSERT INTO venta (usuario_id, venta, ventas_productos, creacion) VALUES ({users[0]}, 1, 1, '1970-01-01')"
    )
    rows("UPDATE usuario SET correo = 'ana@example..com' WHERE id = %s", users[0])
    [answer] = re.findall(r"insert rows by hand\? \| (.*) \|", DBA)
    assert "`scripts/ventas odd-names` lists it" in answer
    assert "before `SALES_FROM` or later than a day from now" in answer


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings: the second of a name gets -1."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(
        r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE
    ):
        name = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        other = page.parent / target if target else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), f"{target}#{anchor}"


def test_the_readmes_tree_is_the_tree():
    told = set(
        re.findall(r"^((?:core/)?[a-z]+(?:/|\.py)) {2,}", (CHECKOUT / "README.md").read_text(), re.MULTILINE)
    )
    folders = [*CHECKOUT.iterdir(), *(CHECKOUT / "core").iterdir()]
    rooms = {
        f"{path.relative_to(CHECKOUT)}/"
        for path in folders
        if re.fullmatch("[a-z]+", path.name) and path.is_dir()
    }
    assert told == rooms - {"core/", "screenshots/"} | {"app.py"}


def queries(page: Path) -> list[str]:
    """The SQL that a page tells its reader to run: its blocks, and the SELECTs within its sentences."""
    text = page.read_text("utf-8")
    return re.findall(r"```sql\n(.*?)```", text, re.DOTALL) + re.findall(r"`(SELECT [^`]+ FROM [^`]+)`", text)


@pytest.mark.parametrize("name", ["accounts", "deploy", "observability", "pgbouncer", "security", "upgrades"])
def test_the_sql_of_a_page_runs(name, database):
    with psycopg.connect(database) as connection:
        for query in queries(CHECKOUT / "docs" / f"{name}.md"):
            with connection.transaction(force_rollback=True):
                connection.execute("CREATE ROLE ventas")
                connection.execute(query.replace("DATABASE ventas", f"DATABASE {connection.info.dbname}"))


def test_the_readme_is_short():
    assert len((CHECKOUT / "README.md").read_text().splitlines()) <= 80


def test_every_page_is_in_the_index_and_has_a_title_of_its_own():
    index = (CHECKOUT / "docs" / "README.md").read_text()
    pages = [page for page in PAGES if page.parent.name == "docs" and page.name != "README.md"]
    assert [page.name for page in pages if f"]({page.name}" not in index] == []
    titles = {page.read_text().partition("\n")[0] for page in pages}
    assert len(titles) == len(pages)
    assert [title for title in titles if not re.match(r"# .{15,90}$", title)] == []


def test_commands_are_called_one_way():
    pages = [*PAGES, CHECKOUT / ".env", CHECKOUT / "docs/roles.sql"]
    assert [page.name for page in pages if re.search(r"python app\.py [a-z]", page.read_text())] == []


def test_the_programs_that_a_host_is_told_to_run_are_there():
    told = re.findall(r"/srv/ventas/(venv|app)/([\w/.-]+)", (CHECKOUT / "docs/deploy.md").read_text())
    roots = {"venv": Path(sys.executable).parent.parent, "app": CHECKOUT}
    assert [name for root, name in told if not (roots[root] / name).exists()] == []
    assert ("app", "scripts/ventas") in told


def test_the_dotenv_lists_every_setting_and_no_other():
    listed = set(re.findall(r"^([A-Z_]+)=", (CHECKOUT / ".env").read_text(), re.MULTILINE))
    parts = {f"POSTGRES_{part}" for part in ("USER", "PASSWORD", "SERVER", "PORT", "DB")}
    assert listed == meanings().keys() | parts


def test_the_dotenv_holds_no_secret():
    values = dict(re.findall(r"^([A-Z_]+)=(.+)$", (CHECKOUT / ".env").read_text(), re.MULTILINE))
    assert values == {"PASSWORD_MIN_LENGTH": "3"}


def test_every_script_is_listed_and_explains_itself():
    listing = (CHECKOUT / "scripts" / "README.md").read_text()
    for script in (CHECKOUT / "scripts").iterdir():
        if script.name != "README.md":
            assert f"`{script.name}`" in listing
            done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0
            assert script.name in done.stdout


def test_every_command_explains_itself():
    done = subprocess.run([sys.executable, "app.py", "--help"], cwd=CHECKOUT, capture_output=True, text=True)
    commands = re.findall(r"^    ([a-z-]+)(?:  |$)", done.stdout, re.MULTILINE)
    assert {"migrate", "import", "export", "queries", "create-admin", "revoke"} <= set(commands)
    for command in commands:
        asked = run_command({}, command, "--help")
        assert asked.returncode == 0
        assert command in asked.stdout
