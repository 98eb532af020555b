"""docs/sizing.md: what so many series need, from the function that reckons it."""

from docs import markdown
from docs.markdown import block, table
from stacks import sizing
from stacks.sizing import Load
from stacks.units import rounded

_COUNTS = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
_INTERVAL, _RETENTION, _REPLICAS = "15s", "15d", 2

_INTRODUCTION = """\
Made by `make generate` from `stacks/sizing.py`, which also gives Prometheus its limits of memory and processors.

What an environment needs follows from its targets, their interval and `watchstack:prometheus`:"""

_ASKING = """\
The second counts active series in place of targets, also with `--interval`, `--retention` and `--replicas`. Both have
`--json`. A target counts as `watchstack:prometheus.series_per_target` series. What an environment that is up really has
is `prometheus_tsdb_head_series`, and `rate(prometheus_tsdb_head_samples_appended_total[1h])` a second: the dashboard
Prometheus shows both."""

_FIGURES = f"""\
- **Memory**: {rounded(sizing.BASE_BYTES)}, and {rounded(sizing.SERIES_BYTES)} for each series. An ingester of Mimir,
  which holds the same head block, is planned with 2.5 GB for 300,000 series, 8 KB each (Mimir, *Planning capacity*);
  queries and Go's garbage collector double it. The index alone is about 2 KB of it (Robust Perception, *How much RAM
  does Prometheus 2.x need*). Sending samples to a backend adds {sizing.SENDING_SHARE:.0%} (Prometheus, *Remote write
  tuning*).
- **Processors**: one for {sizing.SERIES_OF_A_PROCESSOR:,} series, as for that ingester, and {sizing.LEAST_PROCESSORS}
  at least. Rules and queries over many series want more.
- **Disk**: {sizing.LEAST_SAMPLE_BYTES} to {sizing.MOST_SAMPLE_BYTES} bytes a sample (Prometheus, *Storage*). `size`
  takes {sizing.MOST_SAMPLE_BYTES}, [the check](checks/retention.md) {sizing.LEAST_SAMPLE_BYTES}. A fifth of the volume
  is left to the write-ahead log and to the block being made.
- **One or more**: {sizing.LARGEST_SERIES:,} series are where `size` divides. That is a choice, no limit of Prometheus:
  beyond it a machine is hard to get, and a restart, which reads the log of all series, is long.
- **Mimir**: for 300,000 series in memory, each {sizing.MIMIR_COPIES} times, a processor, 2.5 GB of memory and 5 GB of
  disk; for 25,000 samples a second, those of both replicas, a processor and 1 GB; half as much again of memory and disk
  to spare (Mimir, *Planning capacity*). What answers queries comes on top, and the object storage.

They are estimates: labels, churn and queries differ. Measure before you buy."""

_BEYOND = """\
**A million series** are one Prometheus, and another one that does the same.

**Ten million** are too much for one process. Divide the targets among environments, each with its own stack file, its
own pair of Prometheus and `external_labels` that tell it apart; rules and alerts stay in each, where the samples are.
To look at all of them together, let each [send its samples](long-term.md) to one backend.

**A hundred million** are a backend first of all, with many Prometheus before it. Mimir divides and copies series by
itself. VictoriaMetrics publishes no figures by series; its documentation names a single node that has held over 50
million active series at 1.5 million samples a second, and asks for half of the memory to be left free."""


def page() -> str:
    """What so many series need."""
    return markdown.page(
        "# Sizing",
        _INTRODUCTION,
        block("sh", "./watchstack size -e boss-workflow\n./watchstack size --series 10000000"),
        _ASKING,
        "## By series",
        f"Every {_INTERVAL} a sample, kept for {_RETENTION}, {_REPLICAS} replicas. Where the targets are divided, each "
        "Prometheus is sized with the queue to a backend.",
        table(
            ("series", "samples a second", "Prometheus", "processors", "memory", "disk", "Mimir behind them"),
            [_row(sizing.of_series(count, _INTERVAL, _RETENTION, _REPLICAS)) for count in _COUNTS],
        ),
        "Processors, memory and disk are of one Prometheus.",
        "## Beyond one",
        _BEYOND,
        "## Figures",
        _FIGURES,
    )


def _row(load: Load) -> list[str]:
    parts, each, mimir = sizing.shards(load), sizing.needed(sizing.shard(load)), sizing.mimir(load)
    return [
        f"{load.series:,}",
        f"{load.samples:,.0f}",
        f"{parts} x {load.replicas}" if parts > 1 else str(load.replicas),
        str(each.processors),
        rounded(each.memory),
        rounded(each.disk),
        f"{mimir.processors} processors, {rounded(mimir.memory)}, {rounded(mimir.disk)}" if parts > 1 else "",
    ]
