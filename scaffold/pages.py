"""The pages that the checks of the repository ask for: of the system, and a runbook for each of its alerts."""

from collections.abc import Sequence

from scaffold.exposition import Address
from scaffold.pack import Rule


def system(name: str, where: Address, rules: Sequence[Rule]) -> str:
    """`docs/systems/NAME.md`."""
    alerts = "\n".join(
        f"| [{rule.alert}](../runbooks/{rule.alert}.md) | {rule.severity} | {rule.summary} |" for rule in rules
    )
    return f"""# {name}

Scaffolded from its metrics. What it does, and who runs it, belongs here.

```sh
make up ENV={name}
./watchstack status -e {name}
make down ENV={name}
```

It is scraped at `{where.target}`, path `{where.path}`: [its metrics](../metrics/{name}.md), and
[what the environment does](../environments/{name}.md).

## Alerts

| alert | severity | when |
| --- | --- | --- |
{alerts}

All of them come to the receiver `{name}-webhook`, which is the capture page until the stack file gives a secret of that
name. Change it, and who hears of what, in `apps/{name}.yaml`.
"""


def runbook(name: str, rule: Rule) -> str:
    """`docs/runbooks/ALERT.md`."""
    expr = rule.expr if rule.record is None else f"{rule.expr.split()[0]}"
    return f"""# {rule.alert}

## Meaning

{rule.summary} It has been so for {rule.wait} minutes.

## Impact

Users of {name} may notice it. Say here who they are, and what they notice.

## Diagnosis

```promql
{expr}
```

```logql
{{system="{name}"}} | level=~"(?i)warning|error|critical"
```

## Fix

1. {_FIRST[rule.file].format(name=name)}
2. The dashboard `{name}` shows since when, and what else changed then.
3. It is how {name} is meant to be: change the threshold, with `watchstack:override` of the stack file.
"""


_FIRST = {
    "availability": "Does {name} run? Start it. Does it answer elsewhere? Correct `targets` in the stack file.",
    "errors": "Read the log of {name}: what fails, and since when? Take back the last change of it.",
    "latency": "What does {name} wait for? A database, another service, or too little processor time.",
    "saturation": "Too many connections, or files that are never closed: restart {name}, then find where.",
}
