"""The profile `monitoring`: Prometheus' config and rules, Grafana's dashboard; both ask for what /metrics has."""

import json
import re
import subprocess
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.main import create_app
from jobs.database.engine import Database
from jobs.runs.failure_codes import CODES
from jobs.runs.slots import SlotStatus, note_slot
from jobs.settings import Settings
from jobs.status import JobStatus
from tests.support.containers import ROOT, find_tool, load_compose
from tests.unit.conftest import TestTeam

DEPLOY = ROOT / "deploy"
RULES_FILE = DEPLOY / "prometheus" / "alerts.yml"
RULES = [rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]]
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
DATASOURCE = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())
PROVIDER = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "dashboards" / "emotune.yml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "emotune.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
COMPOSE = load_compose()

# Made by Prometheus itself.
OWN_NAMES = {"up"}
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "le"}
COLUMNS = 24

# What a family's samples are called, beside its own name.
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}

# A pair of a label and the values that a matcher may name.
KNOWN_VALUES: dict[str, tuple[str, AbstractSet[str]]] = {
    "emotune_slot_status": ("status", set(SlotStatus)),
    "emotune_jobs": ("status", set(JobStatus)),
    "emotune_queue_jobs": ("state", {"waiting", "held"}),
    "emotune_run_failures_total": ("code", set(CODES)),
    "emotune_job_failures_total": ("code", set(CODES)),
    "emotune_http_requests_total": ("status", {f"{number}xx" for number in range(1, 6)}),
}


def list_expressions() -> list[str]:
    """All PromQL of rules and dashboard, the variables' too."""
    targets = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    variables = [f"{variable['query']['query']}" for variable in DASHBOARD["templating"]["list"]]
    return [rule["expr"] for rule in RULES] + targets + variables


def find_names(expression: str) -> set[str]:
    """The metrics that it asks for."""
    bare = re.sub(r"label_values\((\w+), *\w+\)", r"\1", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    found = re.findall(r"(?<![\w$])([a-zA-Z_:][\w:]*)(?!\w)(?!\s*\()", bare)
    return {name for name in found if name not in WORDS}


def find_matchers(expression: str) -> Iterator[tuple[str, str, str]]:
    """Metric, label and each value of its matchers; those of variables are left out."""
    for metric, matchers in re.findall(r"([a-z_:]\w*)\{([^}]*)\}", expression):
        for label, values in re.findall(r"(\w+)\s*=~?\s*\"([^\"]*)\"", matchers):
            if not values.startswith("$"):
                yield from ((metric, label, value) for value in values.split("|"))


@pytest.fixture
def exposed(settings: Settings, database: Database, team: TestTeam) -> dict[str, set[str]]:
    """The names of samples that /metrics has, with their labels where there are samples."""
    with database.write() as session:
        note_slot(
            session,
            name="gpu-0",
            device="cuda",
            host="box",
            memory_bytes=100,
            memory_used_bytes=40,
            gpu_name="H100",
            utilization_percent=50.0,
            temperature_celsius=60.0,
            power_watts=300.0,
        )
    with TestClient(create_app(settings.model_copy(update={"metrics_public": True}))) as client:
        client.get("/health/live")
        text = client.get("/metrics").text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for suffix in SUFFIXES.get(family.type, ("",)):
            found.setdefault(f"{family.name}{suffix}", set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_names_are_found_in_promql() -> None:
    assert find_names('sum by (team) (rate(a_total{team=~"b"}[5m])) / on (slot) c > 0 and up{job="d"} == 0') == {
        "a_total",
        "c",
        "up",
    }
    assert find_names("label_values(emotune_jobs, team)") == {"emotune_jobs"}
    assert find_names("histogram_quantile(0.9, sum by (le) (rate(x_bucket[$__rate_interval])))") == {"x_bucket"}
    assert list(find_matchers('a{b=~"c|d", e="$f"}')) == [("a", "b", "c"), ("a", "b", "d")]


def test_dashboard_and_rules_ask_for_what_there_is(exposed: dict[str, set[str]]) -> None:
    asked = {name for expression in list_expressions() for name in find_names(expression)}
    assert asked - OWN_NAMES <= set(exposed)
    assert len(asked) > 20
    shown = {name for panel in PANELS for target in panel.get("targets", []) for name in find_names(target["expr"])}
    # Every metric of ours is used, except those that only name things.
    ours = {name for name in exposed if name.startswith("emotune_")}
    assert ours - shown == {"emotune_slot_info", "emotune_slot_drained"}


def test_matchers_name_labels_and_values_that_there_are(exposed: dict[str, set[str]]) -> None:
    for expression in list_expressions():
        for metric, label, value in find_matchers(expression):
            if metric in OWN_NAMES or label == "job":
                assert (label, value) == ("job", PROMETHEUS["scrape_configs"][0]["job_name"])
                continue
            assert label in exposed[metric], expression
            known_label, known = KNOWN_VALUES[metric]
            assert label == known_label
            assert value in known, expression


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["alert"].startswith("Emotune")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "action"}
    page = (ROOT / "docs" / "operations.md").read_text()
    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in page] == []


def test_panels_have_ids_of_their_own_a_source_and_a_place_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert DASHBOARD["uid"] == "emotune"
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        for cell in (
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ):
            assert cell not in taken, f"{panel['title']} lies over {taken[cell]}"
            taken[cell] = panel["title"]
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == DATASOURCE["datasources"][0]["uid"]
        if panel["type"] not in {"row", "alertlist"}:
            assert panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_variables_of_expressions_are_declared() -> None:
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$(?!__)(\w+)", " ".join(list_expressions())))
    assert used == declared


def test_the_containers_find_their_files_and_each_other() -> None:
    services = COMPOSE["services"]
    source = DATASOURCE["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    assert source["name"] == next(panel for panel in PANELS if panel["type"] == "alertlist")["options"]["datasource"]
    mounts = {
        volume["target"]: volume["source"] for volume in services["grafana"]["volumes"] if isinstance(volume, dict)
    }
    folder = PROVIDER["providers"][0]["options"]["path"]
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / mounts[folder] / home.name).is_file()
    assert home.parent == Path(folder)
    assert (ROOT / mounts["/etc/grafana/provisioning"]).is_dir()
    scrape = PROMETHEUS["scrape_configs"][0]
    key = Path(scrape["authorization"]["credentials_file"])
    assert services["prometheus"]["secrets"] == [key.name]
    (target,) = scrape["static_configs"][0]["targets"]
    assert target == "api:8000"
    (mounted,) = (volume for volume in services["prometheus"]["volumes"] if isinstance(volume, dict))
    for path in PROMETHEUS["rule_files"]:
        assert (ROOT / mounted["source"] / Path(path).relative_to(mounted["target"])).is_file()


def test_promtool_takes_config_and_rules_and_each_alert_fires_when_it_has_to() -> None:
    promtool = find_tool("promtool")
    tests = ROOT / "tests" / "unit" / "deploy" / "alerts.test.yml"
    config = DEPLOY / "prometheus" / "prometheus.yml"
    for argv in (
        ["check", "config", "--syntax-only", config],
        ["check", "rules", RULES_FILE],
        ["test", "rules", tests],
    ):
        done = subprocess.run([promtool, *map(str, argv)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = {
        each["alertname"] for case in yaml.safe_load(tests.read_text())["tests"] for each in case["alert_rule_test"]
    }
    assert tested == {rule["alert"] for rule in RULES}


def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    promtool = find_tool("promtool")
    variables = {"$__rate_interval": "1m", "$__range": "6h", "$team": ".*", "$slot": ".*"}
    rules = []
    for number, expression in enumerate(target["expr"] for panel in PANELS for target in panel.get("targets", [])):
        for name, value in variables.items():
            expression = expression.replace(name, value)
        rules.append({"record": f"panel:{number}", "expr": expression})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
