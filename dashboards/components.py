"""Components that more than one dashboard needs, by the names of their jobs."""

NODE_EXPORTER = "node-exporter"
CADVISOR = "cadvisor"
KUBE_STATE_METRICS = "kube-state-metrics"

# What a panel or a dashboard `needs`.
CONTAINERS = frozenset({CADVISOR})
JAEGER = frozenset({"jaeger"})
LOKI = frozenset({"loki"})
NODE = frozenset({NODE_EXPORTER})
OBJECTIVES = frozenset({"objectives"})
PODS = frozenset({KUBE_STATE_METRICS})
POSTGRES = frozenset({"postgres-exporter"})
REDIS = frozenset({"redis-exporter"})

# Not a program: that samples are sent to other backends.
REMOTE_WRITE = frozenset({"remote-write"})
