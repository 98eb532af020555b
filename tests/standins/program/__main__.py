"""One of each Docker resource as Watchstack uses them. `settings` of the stack is what a test changes."""

import pulumi
import pulumi_docker as docker

settings = pulumi.Config().require_object("settings")
name = settings["name"]
labels = {"watchstack.environment": name, **settings["labels"]}

network = docker.Network(
    "network", name=name, labels=[docker.NetworkLabelArgs(label=label, value=value) for label, value in labels.items()]
)
volume = docker.Volume(
    "volume", name=name, labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in labels.items()]
)
image = docker.RemoteImage("image", name=settings["image"], keep_locally=True)
container_labels = [docker.ContainerLabelArgs(label=label, value=value) for label, value in labels.items()]

uploads = [docker.ContainerUploadArgs(file="/watchstack/etc/main.conf", content=settings["conf"], **settings["mode"])]
if settings["token"]:
    token = pulumi.Output.secret(settings["token"])
    uploads.append(docker.ContainerUploadArgs(file="/watchstack/etc/token", content=token, permissions="0400"))

loader = docker.Container(
    "loader",
    name=f"{name}-loader",
    image=image.image_id,
    entrypoints=["/bin/sh"],
    command=["-c", settings["load"]],
    envs=["WHO=loader"],
    network_mode="none",
    capabilities=docker.ContainerCapabilitiesArgs(adds=["CAP_CHOWN", "CAP_DAC_OVERRIDE"], drops=["ALL"]),
    security_opts=["no-new-privileges:true"],
    volumes=[docker.ContainerVolumeArgs(container_path="/watchstack/etc", volume_name=volume.name)],
    uploads=uploads,
    labels=container_labels,
    must_run=False,
    attach=True,
    logs=True,
)

service = docker.Container(
    "service",
    name=f"{name}-service",
    image=image.image_id,
    entrypoints=["/bin/sh"],
    command=["-c", "exec httpd -f -p 8080 -h /watchstack/etc"],
    working_dir="/watchstack",
    user="65534:65534",
    network_mode="bridge",
    networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=["service"])],
    ports=[docker.ContainerPortArgs(internal=8080, external=settings["port"], ip="127.0.0.1")],
    volumes=[docker.ContainerVolumeArgs(container_path="/watchstack/etc", volume_name=volume.name, read_only=True)],
    read_only=True,
    tmpfs={"/tmp": "size=1m"},  # noqa: S108
    capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
    security_opts=["no-new-privileges:true"],
    memory=settings["memory"],
    memory_swap=settings["memory"],
    cpus=settings["cpus"],
    log_driver="json-file",
    log_opts={"max-size": "1m"},
    ulimits=[docker.ContainerUlimitArgs(name="nofile", soft=1024, hard=2048)],
    healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "/bin/true"], interval=settings["interval"]),
    labels=container_labels,
    restart="unless-stopped",
    wait=settings["wait"],
    wait_timeout=10,
    destroy_grace_seconds=2,
    opts=pulumi.ResourceOptions(depends_on=[loader]),
)

pulumi.export("image", image.image_id)
pulumi.export("digest", image.repo_digest)
pulumi.export("logs", loader.container_logs)
pulumi.export("exit_code", loader.exit_code)
pulumi.export("networks", service.network_datas)
