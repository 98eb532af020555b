"""An image that the engine builds, with a provider of the program's own."""

from pathlib import Path

import pulumi
import pulumi_docker as docker

settings = pulumi.Config().require_object("settings")
provider = docker.Provider("own", host=settings["host"])
build = docker.RemoteImageBuildArgs(context=str(Path(__file__).parent), build_args={"WORD": settings["word"]})
image = docker.RemoteImage("image", name="built:1", build=build, opts=pulumi.ResourceOptions(provider=provider))
pulumi.export("image", image.image_id)
