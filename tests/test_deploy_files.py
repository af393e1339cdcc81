"""The files of deploy/ agree with the code, the table of settings and each other."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from agentidp.devtools.bootstrap_tools import SYSTEM_PROGRAMS
from core import server_options

PROJECT = Path(__file__).resolve().parent.parent
DEPLOY = PROJECT / "deploy"
NAME = r"(?:AGENTIDP_[A-Z_]+|DATABASE_URL|REDIS_URL|PROMETHEUS_MULTIPROC_DIR)"
OF_POSTGRES = {"POSTGRES_USER", "POSTGRES_PASSWORD"}
OF_ROLES = {"OWNER_PASSWORD", "APP_PASSWORD", "BACKUP_PASSWORD"}


def text(name: str) -> str:
    return (PROJECT / name).read_text()


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text("deploy/compose.yaml"))
    return found


def documented() -> set[str]:
    """The variables in the table of settings."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text("docs/reference/settings.md"), re.M)
    return {name for cell in cells for name in re.findall(rf"`({NAME})`", cell)}


def read_by_the_code() -> set[str]:
    reads = rf"""(?:env\.\w+|\bsecret|environ\.get)\(\s*["']({NAME})["']"""
    project = PROJECT / "agentidp"
    files = [*project.glob("*.py"), *(project / "devtools").glob("*.py")]
    files += (PROJECT / "executions").rglob("*.py")
    code = "".join(path.read_text() for path in files)
    replaced = re.findall(rf"""\bfallbacks\(["']({NAME})["']\)""", code)
    return {*re.findall(reads, code), *(f"{name}_FALLBACKS" for name in replaced)}


def test_every_setting_that_the_code_reads_stands_in_the_table_and_in_the_example() -> None:
    examples = set(re.findall(rf"^#?({NAME})=", text(".env.example"), re.M))
    of_commands = {"AGENTIDP_DEMO"}  # make demo sets it for itself

    assert read_by_the_code() == documented()
    assert examples == documented() - of_commands


@pytest.mark.parametrize(
    "name",
    [
        "deploy/environment.example",
        "deploy/compose.yaml",
        "deploy/compose.env.example",
        "deploy/Containerfile",
        "deploy/roles.sh",
        "docs/how-to/deploy.md",
        *(f"deploy/systemd/{path.name}" for path in (DEPLOY / "systemd").iterdir()),
    ],
)
def test_a_file_names_only_settings_that_exist(name: str) -> None:
    named = set(re.findall(rf"\b{NAME}(?=\b|=)", text(name)))

    assert {re.sub("_FILE$", "", each) for each in named} <= documented()


def test_a_productions_environment_has_all_required_settings() -> None:
    given = set(re.findall(rf"^({NAME})=", text("deploy/environment.example"), re.M))

    assert given >= {"DATABASE_URL", "AGENTIDP_ISSUER", "AGENTIDP_FILES_FOLDER"}
    assert given >= {f"AGENTIDP_{each}" for each in ("BEHIND_TLS_PROXY", "TRUSTED_PROXY_HOPS")}
    assert given >= {
        f"AGENTIDP_{each}" for each in ("SECRET_KEY", "SECRET_PEPPER", "KEY_ENCRYPTION_KEY")
    }


def test_no_process_that_serves_knows_the_owner_or_reads_everything() -> None:
    services = compose()["services"]
    knowing = {
        name
        for name, service in services.items()
        if re.search("OWNER|BACKUP", " ".join(service.get("environment", {})))
    }

    assert knowing == {"database", "migrate", "backup"}
    assert not re.search("OWNER_URL|BACKUP_URL", text("deploy/environment.example"))


def test_compose_asks_for_the_passwords_that_its_example_names() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?\}", text("deploy/compose.yaml")))
    named = set(re.findall(r"^(\w+)=", text("deploy/compose.env.example"), re.M))

    assert asked == named == OF_ROLES | {"POSTGRES_PASSWORD"}
    assert set(compose()["services"]["database"]["environment"]) == OF_POSTGRES | OF_ROLES
    for name in OF_ROLES:
        assert f'"${name}"' in text("deploy/roles.sh")


def test_the_containers_hold_as_little_as_they_can() -> None:
    for name, service in compose()["services"].items():
        if name == "database":
            continue
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ":latest" not in service["image"], name
    container = text("deploy/Containerfile")
    assert container.index("USER 10001:10001") < container.index('CMD ["granian"')
    assert "HEALTHCHECK" in container
    for image in re.findall(r"^FROM (\S+)", container, re.M):
        assert re.search(r":\d+(\.\d+)*-[a-z-]+$", image), image


def test_everything_that_is_copied_or_mounted_is_there() -> None:
    container = text("deploy/Containerfile")
    ignored = text("deploy/Containerfile.dockerignore").splitlines()
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)", container, re.M)
        for name in line.split()[:-1]
    ]
    mounted = [
        volume.split(":")[0]
        for service in compose()["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert {f"!{name}" for name in copied} == {line for line in ignored if line[:1] == "!"}
    assert [name for name in copied if not (PROJECT / name).exists()] == []
    made_by_hand = "./certificate"
    assert [name for name in mounted if not (DEPLOY / name).exists()] == [made_by_hand]
    apps = {name.partition(".")[0] for name in settings.INSTALLED_APPS}
    assert {app for app in apps if (PROJECT / app).is_dir()} <= set(copied)


def words(name: str) -> str:
    """The words of the file without line ends, quotes and commas, and with uniform options."""
    found = text(name).replace("\\\n", " ").replace('"', "").replace(",", " ")
    return " ".join(re.sub(r"(?m)^\s+- |(?<=\w)=(?=\w)", " ", found).split())


@pytest.mark.parametrize(
    ("name", "interface"),
    [
        ("deploy/systemd/agentidp-requests@.service", server_options.WSGI),
        ("deploy/systemd/agentidp-streams@.service", server_options.ASGI),
        ("deploy/compose.yaml", server_options.WSGI),
        ("deploy/compose.yaml", server_options.ASGI),
        ("deploy/Containerfile", server_options.ASGI),
    ],
)
def test_servers_start_with_the_options_that_the_tests_start_them_with(
    name: str, interface: list[str]
) -> None:
    assert f" {' '.join(interface)} " in words(name)


def test_the_proxy_waits_longer_than_a_request_waits_for_an_execution() -> None:
    [seconds] = re.findall(r"proxy_read_timeout (\d+)s;", text("deploy/nginx.conf"))
    [usual] = re.findall(r"#AGENTIDP_WAIT_FOR_JOB_SECONDS=(\d+)", text(".env.example"))

    assert int(seconds) >= int(usual) + 15  # the cost of the rest of the request


def test_containers_and_page_make_the_same_roles() -> None:
    def statements(name: str) -> set[str]:
        found = re.sub(r"PASSWORD (:'\w+'|'…')", "PASSWORD", text(name))
        flat = " ".join(found.split())
        return set(re.findall(r"CREATE (?:ROLE|DATABASE) [^;]+;", flat))

    made = statements("deploy/roles.sh")

    assert len(made) == 4
    assert made <= statements("docs/how-to/deploy.md")


def test_nginx_counts_networks_alike_before_and_after_tls() -> None:
    def maps(name: str) -> list[str]:
        found = re.findall(r"^ *(map \$remote_addr .*?^ *\})", text(name), re.M | re.S)
        return [" ".join(each.split()) for each in found]

    assert len(maps("deploy/nginx.conf")) == 2
    assert maps("deploy/nginx.conf") == maps("deploy/nginx-main.conf")


def test_nginx_has_room_for_many_networks_at_their_limits() -> None:
    main = text("deploy/nginx-main.conf")
    network, wider, room, files = (
        int(re.search(rf"^ *{name} (\d+);", main, re.M)[1])  # type: ignore[index]
        for name in (
            "limit_conn agentidp_networks",
            "limit_conn agentidp_wider_networks",
            "worker_connections",
            "worker_rlimit_nofile",
        )
    )
    of_a_client = 4  # the client's, both ends of the socket between, and AgentIdP's

    assert room // (of_a_client * network) >= 16
    assert room // (of_a_client * wider) >= 4
    assert files >= 2 * room
    assert compose()["services"]["nginx"]["ulimits"]["nofile"] >= files
    mounted = compose()["services"]["nginx"]["volumes"]
    assert "./nginx-main.conf:/etc/nginx/nginx.conf:ro" in mounted


def test_only_nginx_reaches_the_socket_that_believes_addresses() -> None:
    page, unit = text("docs/how-to/deploy.md"), text("deploy/nginx-unit.conf")

    assert "--group=www-data --mode=0750 /run/agentidp-proxy" in unit
    assert "listen unix:/run/agentidp-proxy/https.sock" in text("deploy/nginx.conf")
    assert "proxy_pass unix:/run/agentidp-proxy/https.sock;" in text("deploy/nginx-main.conf")
    for copied in ("nginx.conf", "nginx-main.conf", "nginx-unit.conf", "nftables.conf"):
        assert f"deploy/{copied}" in page


@pytest.mark.root
def test_the_firewall_rules_are_understood_and_stand_outside_of_nginxs_limits() -> None:
    program = shutil.which("nft", path=SYSTEM_PROGRAMS)
    if program is None:
        pytest.skip("There is no nft: apt-get install nftables")
    command = ["unshare", "--net", program, "--check", "--file", str(DEPLOY / "nftables.conf")]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    network, network6, wider = map(int, re.findall(r"over (\d+)", text("deploy/nftables.conf")))
    main = text("deploy/nginx-main.conf")
    inner, inner_wider = map(int, re.findall(r"limit_conn agentidp\w+ (\d+)", main))
    assert network == network6 > inner
    assert wider > inner_wider


def test_nginx_reaches_the_sockets_and_neither_secrets_nor_files() -> None:
    page = text("docs/how-to/deploy.md")
    secrets, folders = (
        re.search(rf"install .*--mode=(\d+) .*{place}", page)
        for place in ("/etc/agentidp/environment", "/var/lib/agentidp/files")
    )

    assert "usermod --append --groups agentidp www-data" in page
    assert secrets
    assert folders
    assert (secrets[1], folders[1]) == ("0600", "0700")
    for unit in (DEPLOY / "systemd").glob("*.service"):
        settings_of = dict(re.findall(r"^(\w+)=(.+)$", unit.read_text(), re.M))
        assert (settings_of["UMask"], settings_of["StateDirectoryMode"]) == ("0077", "0700")


def test_all_units_that_run_on_belong_to_the_one_target() -> None:
    wanted = set(re.findall(r"agentidp-[\w@]+\.service", text("deploy/systemd/agentidp.target")))
    templates = {re.sub(r"@\d", "@", name) for name in wanted}

    units = {path.name for path in (DEPLOY / "systemd").glob("*.service")}
    assert units == templates | {"agentidp-backup.service"}
    for name in templates:
        assert "WantedBy=agentidp.target" in text(f"deploy/systemd/{name}")
    sockets = {f"{kind}-{number}" for kind in ("requests", "streams") for number in (1, 2)}
    in_nginx = re.findall(r"unix:/run/agentidp/([\w-]+)\.sock", text("deploy/nginx.conf"))
    in_compose = re.findall(
        r"GRANIAN_UDS: /run/agentidp/([\w-]+)\.sock", text("deploy/compose.yaml")
    )
    assert set(in_nginx) == set(in_compose) == sockets
    assert sum("@" in name for name in wanted) == len(sockets)


def test_only_the_unit_of_backups_reads_everything_and_no_server_reads_its_file() -> None:
    reading = {
        path.name
        for path in (DEPLOY / "systemd").iterdir()
        if "/etc/agentidp/backup-environment" in path.read_text()
    }
    folder = re.search(
        r"manage\.py backup (/\S+)/\$\(", text("deploy/systemd/agentidp-backup.service")
    )

    assert reading == {"agentidp-backup.service"}
    assert folder
    assert f"ReadWritePaths={folder[1]}\n" in text("deploy/systemd/agentidp-backup.service")
    assert re.search(
        rf"install .*--owner=agentidp .*{folder[1]}$", text("docs/how-to/deploy.md"), re.M
    )
