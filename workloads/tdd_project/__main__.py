"""Runs the application.

    python -m workloads.tdd_project --listen http=127.0.0.1:18502 --listen health=127.0.0.1:18501 \
        --listen webhook=127.0.0.1:15001 --log-file log/app.jsonl --seed 1 --rate 20

It sends itself `--rate` requests a second, and goes wrong on demand: `GET /_sim/faults` lists how.
"""

from functools import partial

from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.load import Load
from workloads.serve import serve
from workloads.tdd_project import logs
from workloads.tdd_project.app import TddProject
from workloads.tdd_project.traffic import TddTraffic

SERVICE = "tdd-app"


def main() -> None:
    asked = parse("workloads.tdd_project")
    tracing = Tracing(SERVICE, asked.otlp, ratio=asked.ratio, resource={"system": "tdd-project"})
    load = Load(TddTraffic(), asked.rate, asked.seed)
    project = TddProject(asked.data, asked.seed, tracing=tracing, routes=load.routes())
    logs.configure(SERVICE, project.metrics, asked.log_file)
    tracing.report_to(project.metrics)
    http = asked.listen["http"]
    ports = {http: project.app, asked.listen["health"]: project.health, asked.listen["webhook"]: project.webhook}
    try:
        serve(ports, beside=partial(load.run, http), stopping=project.stop)
    finally:
        tracing.close()


if __name__ == "__main__":
    main()
