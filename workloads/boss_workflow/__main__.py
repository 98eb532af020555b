"""Runs the Boss Workflow application.

    python -m workloads.boss_workflow --listen http=127.0.0.1:18000 --log-file log/app.jsonl --seed 1 --rate 20

It sends itself `--rate` requests a second, and goes wrong on demand: `GET /_sim/faults` lists how.
"""

import argparse
from functools import partial

from instrument.logs import configure
from instrument.tracing import Tracing
from workloads.arguments import parse
from workloads.boss_workflow.admin import SECRET
from workloads.boss_workflow.app import BossWorkflow
from workloads.boss_workflow.traffic import BossTraffic
from workloads.load import Load
from workloads.loggers import LOGGERS
from workloads.serve import serve

SERVICE = "boss-workflow"


def main() -> None:
    asked = parse("workloads.boss_workflow", _assignees)
    tracing = Tracing(SERVICE, asked.otlp, ratio=asked.ratio, resource={"system": SERVICE})
    load = Load(BossTraffic(asked.rate), asked.rate, asked.seed)
    boss = BossWorkflow(
        asked.seed,
        assignees=asked.extra.assignee,
        tracing=tracing,
        token=partial(asked.secret, SECRET),
        alertmanager=asked.peers.get("alertmanager"),
        routes=load.routes(),
    )
    tracing.report_to(boss.metrics)
    configure(SERVICE, file=asked.log_file, loggers=LOGGERS, metrics=boss.metrics)
    listen = asked.listen["http"]
    try:
        serve({listen: boss.app}, beside=partial(load.run, listen), stopping=boss.stop)
    finally:
        tracing.close()


def _assignees(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--assignee", action="append", default=[], help="a person named in metrics; repeatable")


if __name__ == "__main__":
    main()
