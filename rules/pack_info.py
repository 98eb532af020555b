"""A series for each pack that is deployed, so that Prometheus itself says which rules it runs."""

from collections.abc import Sequence

from rules import Pack, RuleFile, rule_file
from rules.overrides import Changes
from stacks.service import PLATFORM, to_yaml

PATH = "platform/declared/pack-info.yml"
RECORD = "watchstack_pack_info"


def file(packs: Sequence[Pack]) -> RuleFile:
    """`watchstack_pack_info{pack, version}` is 1 for the packs of this environment."""
    rules = [
        {"record": RECORD, "expr": "vector(1)", "labels": {"pack": pack.name, "version": pack.version}}
        for pack in packs
    ]
    document = {"groups": [{"name": f"{PLATFORM}.pack-info", "rules": rules}]}
    return rule_file(PLATFORM, PATH, to_yaml(document), document, (), Changes(PLATFORM, {}, {}))
