"""Runs the GraphMemory API, and the endpoints of the exporters of its PostgreSQL and Redis.

    python -m workloads.graphmemory.api --listen http=127.0.0.1:18000 --listen postgres-exporter=127.0.0.1:19187 \\
        --peer graphmemory-bridge=http://127.0.0.1:18001 --rate 20

It opens only the ports that it is given: real exporters may take the place of the simulated ones. It sends itself
`--rate` requests a second, and goes wrong on demand: `GET /_sim/faults` lists how.
"""

from functools import partial

import httpx

from workloads.arguments import parse
from workloads.graphmemory.app import EXPORTERS, SERVICE, GraphMemory
from workloads.graphmemory.process import begin, check_ports
from workloads.graphmemory.traffic import GraphMemoryTraffic
from workloads.load import Load
from workloads.serve import serve

BRIDGE = "graphmemory-bridge"


def main() -> None:
    asked = parse("workloads.graphmemory.api")
    check_ports(asked, ("http", *EXPORTERS))
    tracing = begin(SERVICE, asked)
    load = Load(GraphMemoryTraffic(), asked.rate, asked.seed)
    # trust_env: a proxy of the environment must not come between.
    bridge = httpx.AsyncClient(base_url=asked.peers[BRIDGE], trust_env=False) if BRIDGE in asked.peers else None
    memory = GraphMemory(asked.seed, tracing=tracing, bridge=bridge, routes=load.routes())
    listen = asked.listen["http"]
    exporters = {asked.listen[name]: app for name, app in memory.exporters.items() if name in asked.listen}
    try:
        serve({listen: memory.app, **exporters}, beside=partial(load.run, listen), stopping=memory.stop)
    finally:
        tracing.close()


if __name__ == "__main__":
    main()
