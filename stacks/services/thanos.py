"""Thanos: takes every sample of every Prometheus, keeps them in a bucket, and answers queries over all of them as one.

The receiver holds the last hours and brings blocks to the bucket, the store reads them there, the compactor thins them
out, and the querier asks receiver and store. Replicas of Prometheus differ in a label that the querier takes away.
"""

from dataclasses import replace

from stacks import sizing
from stacks.service import Endpoint, File, Ground, Limits, Port, Service, Volume, to_yaml
from stacks.services import object_storage
from stacks.services.prometheus import REPLICA
from stacks.settings import ObjectStorage, Settings, Thanos
from stacks.sizing import Load
from stacks.units import size_bytes

RECEIVE, QUERY, STORE, COMPACT = NAMES = ("thanos-receive", "thanos-query", "thanos-store", "thanos-compact")

# gRPC and HTTP of each; the receiver takes samples on a port of its own.
GRPC = {RECEIVE: 10901, QUERY: 10903, STORE: 10905}
HTTP = {RECEIVE: 10902, QUERY: 10904, STORE: 10906, COMPACT: 10907}
WRITE = 10908

# The label without which the receiver brings nothing to a bucket; it says nothing, so queries do not show it.
_RECEIVER = "receive"
_BUCKET = "etc/bucket.yml"

# How much of time a block of the receiver is of, and how long it keeps one that is in the bucket.
_BLOCK = "2h"
_KEPT = "2d"


def write_url(ground: Ground) -> str:
    """Where Prometheus sends its samples."""
    return ground.url(RECEIVE, WRITE, "/api/v1/receive")


def query_url(ground: Ground) -> str:
    """Where all samples can be asked for, as of a Prometheus."""
    return ground.url(QUERY, HTTP[QUERY])


def services(settings: Settings, ground: Ground) -> list[Service]:
    """All four, or none. The receiver's limits are those of no series yet; see `limited`."""
    wanted, storage = settings.thanos, settings.object_storage
    if wanted is None or storage is None:
        return []
    volume, bucket = size_bytes(wanted.volume), _bucket(settings.environment, storage)
    return [
        _with_bucket(_receive(ground, volume), bucket, storage),
        _query(ground),
        _with_bucket(_store(ground, volume), bucket, storage),
        _with_bucket(_compact(ground, wanted, volume), bucket, storage),
    ]


def limited(service: Service, load: Load) -> Service:
    """The receiver with the limits that the series of all replicas ask for; the others as they are."""
    if service.name != RECEIVE:
        return service
    held = replace(load, series=load.series * load.replicas, sending=False)
    return replace(service, limits=Limits(memory=sizing.memory(held), cpus=sizing.processors(held)))


def _receive(ground: Ground, volume: int) -> Service:
    return replace(
        _service(
            ground,
            RECEIVE,
            f"--remote-write.address={ground.listen(WRITE)}",
            "--tsdb.path=data",
            f"--tsdb.retention={_KEPT}",
            f"--tsdb.min-block-duration={_BLOCK}",
            f"--tsdb.max-block-duration={_BLOCK}",
            "--tsdb.max-exemplars=100000",
            f'--label={_RECEIVER}="{RECEIVE}"',
            volume=volume,
        ),
        ports=(*_ports(RECEIVE), Port(name="write", number=WRITE)),
    )


def _query(ground: Ground) -> Service:
    asked = [f"--endpoint={ground.address(name, GRPC[name])}" for name in (RECEIVE, STORE)]
    unseen = [f"--query.replica-label={label}" for label in (REPLICA, _RECEIVER)]
    made = _service(ground, QUERY, *asked, *unseen, "--query.auto-downsampling")
    return replace(made, page=Endpoint(port="http", path="/"))


def _store(ground: Ground, volume: int) -> Service:
    return _service(ground, STORE, "--data-dir=data", "--sync-block-duration=1m", volume=volume)


def _compact(ground: Ground, wanted: Thanos, volume: int) -> Service:
    kept = wanted.retention
    return _service(
        ground,
        COMPACT,
        "--wait",
        "--data-dir=data",
        f"--retention.resolution-raw={kept.raw}",
        f"--retention.resolution-5m={kept.five_minutes}",
        f"--retention.resolution-1h={kept.hour}",
        volume=volume,
    )


def _service(ground: Ground, name: str, *more: str, volume: int = 0) -> Service:
    listening = [f"--http-address={ground.listen(HTTP[name])}"]
    listening += [f"--grpc-address={ground.listen(GRPC[name])}"] if name in GRPC else []
    # The default of two minutes is longer than anybody waits for it to end.
    graces = [f"--{kind}-grace-period=2s" for kind in ("http", "grpc") if kind == "http" or name in GRPC]
    return Service(
        name=name,
        product="thanos",
        program="thanos",
        args=(name.removeprefix("thanos-"), *listening, *graces, "--log.format=json", *more),
        ports=_ports(name),
        volumes=(Volume(path="data", size=volume),) if volume else (),
        ready=Endpoint(port="http", path="/-/ready"),
        metrics=Endpoint(port="http", path="/metrics"),
        limits=Limits(memory=1024 * 2**20, cpus=2),
    )


def _ports(name: str) -> tuple[Port, ...]:
    grpc = (Port(name="grpc", number=GRPC[name]),) if name in GRPC else ()
    return (Port(name="http", number=HTTP[name]), *grpc)


def _with_bucket(service: Service, bucket: File, storage: ObjectStorage) -> Service:
    asking = replace(service, args=(*service.args, f"--objstore.config-file={_BUCKET}"), files=(bucket,))
    return object_storage.reaching(asking, storage)


def _bucket(environment: str, storage: ObjectStorage) -> File:
    config = {"bucket": storage.bucket, **object_storage.client(storage)}
    # Two compactors over the same blocks would spoil them, so each environment has its own place.
    text = to_yaml({"type": "S3", "prefix": f"{environment}/metrics", "config": config})
    return File(path=_BUCKET, text=text, on_change="restart")
