"""Hosts: processors, memory, disks, file systems, network and clocks of the machines."""

from dashboards import promql
from dashboards.board import Board, Panel, Query, Thresholds
from dashboards.components import NODE, NODE_EXPORTER
from dashboards.links import dashboard, runbook, runbooks
from dashboards.panels import bargauge, row, stat, timeseries
from dashboards.promql import RATE
from dashboards.variables import ANY_INSTANCE, ENVIRONMENT, FILTER, instance

_EACH = "{{instance}}"
# Without loopback, and without the one for each container and each network of containers.
_WIRED = f'{ANY_INSTANCE},device!~"lo|(veth|br-|docker|cni|cali|flannel|virbr).*"'
_ALONE = "the host has no network but loopback and those of containers"
_REAL = f'{ANY_INSTANCE},fstype!~"tmpfs|overlay|squashfs|ramfs"'
_NEARLY_USED = Thresholds(warning=0.8, critical=0.9)


def board() -> Board:
    """As node-exporter sees them."""
    return Board(
        uid="hosts",
        title="Hosts",
        description="Processors, memory, disks, file systems, network and clocks.",
        tags=("platform", "watchstack"),
        links=(dashboard("start", "Start"), runbooks()),
        variables=(ENVIRONMENT, instance(f'job="{NODE_EXPORTER}"'), FILTER),
        needs=NODE,
        panels=(*_numbers(), *_processors(), *_memory(), *_disks(), *_network(), *_system()),
    )


def _numbers() -> tuple[Panel, ...]:
    return (
        stat(
            "CPU used",
            Query(expr=f"instance:node_cpu:ratio{{{ANY_INSTANCE}}}", legend=_EACH),
            unit="percentunit",
            description="Part of all cores that is not idle.",
            thresholds=_NEARLY_USED,
            links=(runbook("NodeCPUHigh"),),
        ),
        stat(
            "Memory used",
            Query(expr=f"instance:node_memory:ratio{{{ANY_INSTANCE}}}", legend=_EACH),
            unit="percentunit",
            description="Part of memory that programs cannot have any more.",
            thresholds=_NEARLY_USED,
            links=(runbook("NodeMemoryHigh"),),
        ),
        stat(
            "Fullest file system",
            Query(expr=f"max by (instance) (instance:node_filesystem:ratio{{{ANY_INSTANCE}}})", legend=_EACH),
            unit="percentunit",
            description="Used part of the file system with the least room.",
            thresholds=Thresholds(warning=0.9, critical=0.95),
            links=(runbook("NodeDiskSpaceLow"), runbook("NodeDiskSpaceCritical")),
        ),
        stat(
            "Up for",
            Query(expr=f"time() - node_boot_time_seconds{{{ANY_INSTANCE}}}", legend=_EACH, instant=True),
            unit="s",
            description="Since the machine was started.",
        ),
    )


def _processors() -> tuple[Panel, ...]:
    modes = promql.rate("node_cpu_seconds_total", f'{ANY_INSTANCE},mode!="idle"', ("mode",), RATE)
    cores = f'count(node_cpu_seconds_total{{{ANY_INSTANCE},mode="idle"}})'
    return (
        row("Processors"),
        timeseries(
            "CPU by mode",
            Query(expr=f"{modes} / scalar({cores})", legend="{{mode}}"),
            unit="percentunit",
            description="Part of all cores, by what they do.",
            stacked=True,
            width=10,
            links=(runbook("NodeCPUHigh"),),
        ),
        timeseries(
            "Load by core",
            Query(
                expr=f"node_load5{{{ANY_INSTANCE}}} / on (instance) group_left () count by (instance) "
                f'(node_cpu_seconds_total{{{ANY_INSTANCE},mode="idle"}})',
                legend=_EACH,
            ),
            unit="short",
            description="Processes that run or want to, for each core, over 5 minutes.",
            thresholds=Thresholds(warning=1.5),
            width=7,
        ),
        timeseries(
            "Pressure",
            *(
                Query(
                    expr=promql.rate(f"node_pressure_{what}_waiting_seconds_total", ANY_INSTANCE, ("instance",), RATE),
                    legend=f"{what} {_EACH}",
                )
                for what in ("cpu", "memory", "io")
            ),
            unit="percentunit",
            description="Part of the time in which something waited for processor, memory or disk.",
            width=7,
        ),
    )


def _memory() -> tuple[Panel, ...]:
    used = " - ".join(
        f"sum(node_memory_{part}_bytes{{{ANY_INSTANCE}}})" for part in ("MemTotal", "MemFree", "Buffers", "Cached")
    )
    return (
        row("Memory"),
        timeseries(
            "Memory by use",
            Query(expr=used, legend="programs"),
            Query(expr=promql.total("node_memory_Buffers_bytes", ANY_INSTANCE), legend="buffers"),
            Query(expr=promql.total("node_memory_Cached_bytes", ANY_INSTANCE), legend="cache"),
            Query(expr=promql.total("node_memory_MemFree_bytes", ANY_INSTANCE), legend="free"),
            unit="bytes",
            description="What memory is used for. Buffers and cache are given back when programs ask.",
            stacked=True,
            links=(runbook("NodeMemoryHigh"),),
        ),
        timeseries(
            "Page faults and kills",
            Query(
                expr=promql.rate("node_vmstat_pgmajfault", ANY_INSTANCE, ("instance",), RATE), legend=f"faults {_EACH}"
            ),
            Query(
                expr=promql.increase("node_vmstat_oom_kill", ANY_INSTANCE, ("instance",)),
                legend=f"killed in 5m {_EACH}",
            ),
            unit="cps",
            description="Pages read from disk a second, and processes killed for want of memory.",
            links=(runbook("NodeOOMKill"),),
        ),
    )


def _disks() -> tuple[Panel, ...]:
    return (
        row("Disks"),
        bargauge(
            "File systems",
            Query(
                expr=f"max by (instance, mountpoint) (instance:node_filesystem:ratio{{{ANY_INSTANCE}}})",
                legend="{{instance}} {{mountpoint}}",
                instant=True,
            ),
            unit="percentunit",
            description="Used part of each file system.",
            maximum=1,
            thresholds=Thresholds(warning=0.9, critical=0.95),
            links=(runbook("NodeDiskSpaceLow"), runbook("NodeDiskFillingUp")),
        ),
        timeseries(
            "Inodes free",
            Query(
                expr=f"min by (instance, mountpoint) (node_filesystem_files_free{{{_REAL}}} / "
                f"(node_filesystem_files{{{_REAL}}} > 0))",
                legend="{{instance}} {{mountpoint}}",
                empty_when="no file system counts inodes",
            ),
            unit="percentunit",
            description="Part of the inodes of each file system that is free.",
            thresholds=Thresholds(critical=0.1, below=True),
            width=8,
            links=(runbook("NodeInodesLow"),),
        ),
        timeseries(
            "Disk throughput",
            Query(
                expr=promql.rate("node_disk_read_bytes_total", ANY_INSTANCE, ("instance",), RATE),
                legend=f"read {_EACH}",
            ),
            Query(
                expr=f"-{promql.rate('node_disk_written_bytes_total', ANY_INSTANCE, ('instance',), RATE)}",
                legend=f"written {_EACH}",
            ),
            unit="Bps",
            description="Bytes read above the line, written below it.",
            width=8,
        ),
    )


def _network() -> tuple[Panel, ...]:
    return (
        row("Network"),
        timeseries(
            "Network traffic",
            Query(
                expr=promql.rate("node_network_receive_bytes_total", _WIRED, ("instance", "device"), RATE),
                legend="in {{instance}} {{device}}",
                empty_when=_ALONE,
            ),
            Query(
                expr=f"-{promql.rate('node_network_transmit_bytes_total', _WIRED, ('instance', 'device'), RATE)}",
                legend="out {{instance}} {{device}}",
                empty_when=_ALONE,
            ),
            unit="Bps",
            description="Received above the line, sent below it.",
        ),
        timeseries(
            "Network errors and drops",
            *(
                Query(
                    expr=promql.rate(f"node_network_{way}_{what}_total", _WIRED, ("instance",), RATE),
                    legend=f"{way} {what} {_EACH}",
                    empty_when=_ALONE,
                )
                for way in ("receive", "transmit")
                for what in ("errs", "drop")
            ),
            unit="pps",
            description="Packets that were broken or thrown away.",
        ),
    )


def _system() -> tuple[Panel, ...]:
    return (
        row("System"),
        timeseries(
            "Clock offset",
            Query(expr=f"node_timex_offset_seconds{{{ANY_INSTANCE}}}", legend=_EACH),
            unit="s",
            description="Distance of the clock to the right time, as the kernel knows it.",
            width=8,
            links=(runbook("NodeClockSkew"),),
        ),
        timeseries(
            "Open files",
            Query(expr=f"node_filefd_allocated{{{ANY_INSTANCE}}}", legend=_EACH),
            unit="short",
            description="File handles that are in use.",
            width=8,
        ),
        timeseries(
            "TCP connections",
            Query(expr=f"node_sockstat_TCP_inuse{{{ANY_INSTANCE}}}", legend=f"in use {_EACH}"),
            Query(expr=f"node_sockstat_TCP_tw{{{ANY_INSTANCE}}}", legend=f"closing {_EACH}"),
            unit="short",
            description="Sockets in use, and those that wait to be closed.",
            width=8,
        ),
    )
