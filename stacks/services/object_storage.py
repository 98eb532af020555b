"""How a service gets at the bucket: with a key that stands in no file but the secret's."""

from dataclasses import replace

from stacks.service import SecretFile, Service
from stacks.settings import ObjectStorage

_CREDENTIALS = "secrets/object-storage"


def reaching(service: Service, storage: ObjectStorage) -> Service:
    """The service with the access key where its S3 client looks for one."""
    return replace(
        service,
        environment=(*service.environment, ("AWS_SHARED_CREDENTIALS_FILE", _CREDENTIALS)),
        secrets=(*service.secrets, SecretFile(path=_CREDENTIALS, secret=storage.credentials)),
        outbound=True,
    )


def client(storage: ObjectStorage) -> dict[str, object]:
    """Where the store is, in the words of an S3 client; the bucket has another name in each."""
    region = {"region": storage.region} if storage.region else {}
    return {"endpoint": storage.endpoint, "insecure": storage.insecure, **region}
