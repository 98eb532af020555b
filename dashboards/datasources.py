"""The data sources that panels read, under the uids that provisioning gives them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Datasource:
    type: str
    uid: str

    def reference(self) -> dict[str, str]:
        """What a panel writes: by uid, so that renaming a data source breaks no panel."""
        return {"type": self.type, "uid": self.uid}


PROMETHEUS = Datasource(type="prometheus", uid="prometheus")
LOKI = Datasource(type="loki", uid="loki")
JAEGER = Datasource(type="jaeger", uid="jaeger")
ALERTMANAGER = Datasource(type="alertmanager", uid="alertmanager")
