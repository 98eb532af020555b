"""The arguments of a container in the words of the engine's API, and what the engine says of one as arguments."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from standins.docker_schema import is_empty
from standins.wire import Props

MIB = 2**20

_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def body(i: Props) -> Props:
    """What the engine is asked to make."""
    ports: Props = {f"{port['internal']}/{port['protocol']}": {} for port in i.get("ports", [])}
    return _given(
        Image=i["image"],
        Hostname=i.get("hostname"),
        Env=i.get("envs"),
        Cmd=i.get("command"),
        Entrypoint=i.get("entrypoints"),
        User=i.get("user"),
        WorkingDir=i.get("workingDir"),
        Labels=labels(i),
        Tty=i.get("tty"),
        OpenStdin=i.get("stdinOpen"),
        StopSignal=i.get("stopSignal"),
        StopTimeout=i.get("stopTimeout"),
        ExposedPorts=ports,
        Volumes={volume["containerPath"]: {} for volume in i.get("volumes", []) if volume.get("containerPath")},
        Healthcheck=_healthcheck(i.get("healthcheck")),
        HostConfig=_host(i),
    )


def _host(i: Props) -> Props:
    capabilities = i.get("capabilities") or {}
    return _given(
        NetworkMode=i["networkMode"],
        PidMode=i.get("pidMode"),
        IpcMode=i.get("ipcMode"),
        UsernsMode=i.get("usernsMode"),
        Binds=[_bind(volume) for volume in i.get("volumes", []) if volume.get("hostPath") or volume.get("volumeName")],
        VolumesFrom=[volume["fromContainer"] for volume in i.get("volumes", []) if volume.get("fromContainer")],
        Mounts=[_mount(mount) for mount in i.get("mounts", [])],
        Tmpfs=i.get("tmpfs"),
        PortBindings=_bindings(i.get("ports", [])),
        PublishAllPorts=i.get("publishAllPorts"),
        ExtraHosts=[f"{host['host']}:{host['ip']}" for host in i.get("hosts", [])],
        Privileged=i.get("privileged"),
        ReadonlyRootfs=i.get("readOnly"),
        AutoRemove=i.get("rm"),
        CapAdd=[_capability(name) for name in capabilities.get("adds", [])],
        CapDrop=[_capability(name) for name in capabilities.get("drops", [])],
        SecurityOpt=i.get("securityOpts"),
        GroupAdd=i.get("groupAdds"),
        Devices=[_device(device) for device in i.get("devices", [])],
        Dns=i.get("dns"),
        DnsOptions=i.get("dnsOpts"),
        DnsSearch=i.get("dnsSearches"),
        Sysctls=i.get("sysctls"),
        Init=bool(i.get("init")),
        Runtime=i.get("runtime"),
        ShmSize=i.get("shmSize", 0) * MIB,
        Memory=i.get("memory", 0) * MIB,
        MemoryReservation=i.get("memoryReservation", 0) * MIB,
        MemorySwap=swap(i),
        CpuShares=i.get("cpuShares"),
        CpusetCpus=i.get("cpuSet"),
        NanoCpus=int(Decimal(i.get("cpus") or 0) * 10**9),
        Ulimits=[{"Name": one["name"], "Soft": one["soft"], "Hard": one["hard"]} for one in i.get("ulimits", [])],
        LogConfig={"Type": i.get("logDriver", ""), "Config": i.get("logOpts") or {}},
        RestartPolicy=restart_policy(i),
    )


def _given(**values: Any) -> Props:
    return {name: value for name, value in values.items() if not is_empty(value) or name == "Init"}


def _capability(name: str) -> str:
    """Docker's own client sends it with the prefix, whatever the program said: after a refresh that is a change."""
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def swap(i: Props) -> int:
    """-1 is without a limit."""
    swap = int(i.get("memorySwap", 0))
    return swap * MIB if swap > 0 else swap


def restart_policy(i: Props) -> Props:
    """As the engine takes it."""
    return {"Name": i["restart"], "MaximumRetryCount": i.get("maxRetryCount", 0)}


def _bind(volume: Props) -> str:
    modes = ["ro" if volume.get("readOnly") else "rw", *filter(None, [volume.get("selinuxRelabel")])]
    return f"{volume.get('hostPath') or volume['volumeName']}:{volume['containerPath']}:{','.join(modes)}"


def _mount(mount: Props) -> Props:
    bind, volume, tmpfs = (mount.get(f"{kind}Options") or {} for kind in ("bind", "volume", "tmpfs"))
    return _given(
        Type=mount["type"],
        Target=mount["target"],
        Source=mount.get("source"),
        ReadOnly=mount.get("readOnly"),
        BindOptions=_given(Propagation=bind.get("propagation")),
        VolumeOptions=_given(NoCopy=volume.get("noCopy"), Labels=labels(volume)),
        TmpfsOptions=_given(SizeBytes=tmpfs.get("sizeBytes"), Mode=tmpfs.get("mode")),
    )


def _bindings(ports: Iterable[Props]) -> Props:
    bindings: dict[str, list[Props]] = {}
    for port in ports:
        binding = {"HostIp": port["ip"], "HostPort": str(port.get("external", 0))}
        bindings.setdefault(f"{port['internal']}/{port['protocol']}", []).append(binding)
    return bindings


def _device(device: Props) -> Props:
    path = device["hostPath"]
    inside = device.get("containerPath") or path
    return {"PathOnHost": path, "PathInContainer": inside, "CgroupPermissions": device["permissions"]}


def _healthcheck(check: Props | None) -> Props:
    if not check:
        return {}
    return _given(
        Test=check.get("tests"),
        Interval=_nanoseconds(check["interval"]),
        Timeout=_nanoseconds(check["timeout"]),
        StartPeriod=_nanoseconds(check["startPeriod"]),
        Retries=check.get("retries"),
    )


def seen_as(seen: Props, state: Props) -> Props:
    """What the engine says of a container, as arguments and outputs; some only where the state has them."""
    return {**_configuration(seen, state), **_limits(seen["HostConfig"], state), **_run_state(seen, state)}


def _configuration(seen: Props, state: Props) -> Props:
    """What was fixed when it was made, as the engine has it. Environment and labels are taken from the state."""
    host, config = seen["HostConfig"], seen["Config"]
    found = {
        "name": seen["Name"].lstrip("/"),
        "image": seen["Image"] if state.get("image", "").startswith("sha256:") else config["Image"],
        "hostname": config["Hostname"],
        "command": config["Cmd"],
        "entrypoints": config["Entrypoint"],
        "user": config["User"],
        "workingDir": config["WorkingDir"],
        "stopSignal": config.get("StopSignal", ""),
        "stopTimeout": config.get("StopTimeout", 0),
        "tty": config["Tty"],
        "stdinOpen": config["OpenStdin"],
        "platform": seen["Platform"],
        "networkMode": host["NetworkMode"],
        "ipcMode": host["IpcMode"],
        "usernsMode": host["UsernsMode"],
        "readOnly": host["ReadonlyRootfs"],
        "rm": host["AutoRemove"],
        "privileged": host["Privileged"],
        "publishAllPorts": host["PublishAllPorts"],
        "runtime": host["Runtime"],
        "init": bool(host.get("Init")),
        "securityOpts": host["SecurityOpt"] or [],
        "groupAdds": host["GroupAdd"] or [],
        "dns": host["Dns"] or [],
        "tmpfs": host.get("Tmpfs"),
        "logDriver": host["LogConfig"]["Type"],
    }
    if host["CapAdd"] or host["CapDrop"]:
        found["capabilities"] = {"adds": host["CapAdd"] or [], "drops": host["CapDrop"] or []}
    if not is_empty(state.get("pidMode")):
        found["pidMode"] = host["PidMode"]
    if not is_empty(state.get("logOpts")):
        found["logOpts"] = host["LogConfig"]["Config"]
    if check := config.get("Healthcheck"):
        found["healthcheck"] = _seen_healthcheck(check)
    return found


def _limits(host: Props, state: Props) -> Props:
    limits = {
        "memory": host["Memory"] // MIB,
        "memoryReservation": host["MemoryReservation"] // MIB,
        "memorySwap": host["MemorySwap"] // MIB if host["MemorySwap"] > 0 else host["MemorySwap"],
        "shmSize": host["ShmSize"] // MIB,
        "cpuShares": host["CpuShares"],
        "cpuSet": host["CpusetCpus"],
        "restart": host["RestartPolicy"]["Name"],
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
    }
    if host["NanoCpus"]:
        limits["cpus"] = _cpus(host["NanoCpus"])
    if not is_empty(state.get("ulimits")):
        limits["ulimits"] = [{key.lower(): one[key] for key in ("Name", "Soft", "Hard")} for one in host["Ulimits"]]
    return limits


def _run_state(seen: Props, state: Props) -> Props:
    """A container that has ended though it must run is one that must not: the next update sees the change."""
    running, network = seen["State"]["Running"], seen["NetworkSettings"]
    found: Props = {"bridge": network["Bridge"], "networkDatas": _networks(network["Networks"])}
    if not is_empty(state.get("ports")) and (running or state.get("mustRun")):
        found["ports"] = _seen_ports(network["Ports"])
    if not running:
        found |= {"exitCode": seen["State"]["ExitCode"], "mustRun": False}
    return found


def _networks(networks: Props | None) -> list[Props]:
    return [
        {
            "networkName": name,
            "ipAddress": seen["IPAddress"],
            "ipPrefixLength": seen["IPPrefixLen"],
            "gateway": seen["Gateway"],
            "globalIpv6Address": seen["GlobalIPv6Address"],
            "globalIpv6PrefixLength": seen["GlobalIPv6PrefixLen"],
            "ipv6Gateway": seen["IPv6Gateway"],
            "macAddress": seen["MacAddress"],
        }
        for name, seen in sorted((networks or {}).items())
    ]


def _seen_ports(ports: Props | None) -> list[Props]:
    found = []
    for key, bindings in sorted((ports or {}).items(), key=lambda item: int(item[0].split("/")[0])):
        internal, protocol = key.split("/")
        for one in bindings or []:
            port = {"internal": int(internal), "external": int(one["HostPort"]), "ip": one["HostIp"]}
            found.append({**port, "protocol": protocol})
    return found


def _seen_healthcheck(check: Props) -> Props:
    names = {
        "interval": "Interval",
        "timeout": "Timeout",
        "startPeriod": "StartPeriod",
        "startInterval": "StartInterval",
    }
    durations = {name: _duration(check.get(key, 0)) for name, key in names.items()}
    return {**durations, "tests": check.get("Test", []), "retries": check.get("Retries", 0)}


def _cpus(nanoseconds: int) -> str:
    """As the official provider writes it: a whole number of them is `1.0`, and `1` a change each time."""
    text = f"{Decimal(nanoseconds) / 10**9:.9f}"
    return f"{Decimal(nanoseconds) / 10**9:.1f}" if text.count("0") == 9 else text.rstrip("0")


def _nanoseconds(duration: str) -> int:
    return sum(
        int(Decimal(number) * _UNITS[unit]) for number, unit in re.findall(r"([\d.]+)(h|ms|m|s|us|ns)", duration)
    )


def _duration(nanoseconds: int) -> str:
    """As Go writes it: 90 seconds are `1m30s`, whatever the program said."""
    hours, rest = divmod(nanoseconds, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    if nanoseconds and nanoseconds < _UNITS["s"]:
        return f"{Decimal(nanoseconds) / _UNITS['ms']:f}ms"
    seconds = f"{Decimal(rest) / _UNITS['s']:f}s"
    return "".join([f"{hours}h" if hours else "", f"{minutes}m" if hours or minutes else "", seconds])


def labels(inputs: Props) -> dict[str, str]:
    """As the engine takes them."""
    return {label["label"]: label["value"] for label in inputs.get("labels", [])}
