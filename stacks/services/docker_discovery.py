"""Docker service discovery: how Prometheus finds containers of applications by their labels."""

from stacks.service import ENVIRONMENT, SERVICE, SYSTEM

JOB = "docker-containers"
SOCKET = "/var/run/docker.sock"
# On a container that is to be scraped: `watchstack.scrape` is `true`, and these may say where.
SCRAPE = "watchstack.scrape"
PORT = "watchstack.port"
PATH = "watchstack.path"


def job(environment: str) -> dict[str, object]:
    """The scrape configuration. Series get `job` and `instance` as those of declared jobs do."""
    label, network = _label, "__meta_docker_network_name"
    return {
        "job_name": JOB,
        "docker_sd_configs": [
            {
                "host": f"unix://{SOCKET}",
                "refresh_interval": "15s",
                "filters": [{"name": "label", "values": [f"{ENVIRONMENT}={environment}", f"{SCRAPE}=true"]}],
                # Every network of a container is a target, of which one is where Prometheus is.
                "match_first_network": False,
            }
        ],
        "relabel_configs": [
            {"action": "keep", "source_labels": [network], "regex": f"watchstack-{environment}-(back|front)"},
            # A target is found for each port that the image names, or for none: these become one.
            _joined("__meta_docker_network_ip", label(PORT), "__address__"),
            _copy(label(PATH), "__metrics_path__", "(.+)"),
            _copy(label(SERVICE), "job"),
            _copy(label(SYSTEM), "system", "(.+)"),
            _joined(label(SERVICE), label(PORT), "instance"),
        ],
    }


def _label(name: str) -> str:
    """As discovery calls a container's label."""
    return f"__meta_docker_container_label_{name.replace('.', '_')}"


def _joined(host: str, port: str, target: str) -> dict[str, object]:
    return {"source_labels": [host, port], "separator": ":", "target_label": target}


def _copy(source: str, target: str, regex: str | None = None) -> dict[str, object]:
    return {"source_labels": [source], "target_label": target, **({"regex": regex} if regex else {})}
