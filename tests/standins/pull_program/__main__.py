"""Images from a registry that has users, by tag and by digest."""

import pulumi
import pulumi_docker as docker

settings = pulumi.Config().require_object("settings")
login = docker.ProviderRegistryAuthArgs(
    address=settings["address"], username=settings["user"], password=pulumi.Output.secret(settings["password"])
)
own = pulumi.ResourceOptions(provider=docker.Provider("own", host=settings["host"], registry_auth=[login]))
by_tag = docker.RemoteImage("by-tag", name=settings["tag"], opts=own)
digest = docker.RemoteImage(
    "by-digest",
    name=settings["digest"],
    opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[by_tag])),
)
pulumi.export("images", [by_tag.image_id, digest.image_id])
pulumi.export("digest", by_tag.repo_digest)
