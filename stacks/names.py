"""Names: of things in stack files and profiles, of labels, and of secrets."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

_NAME = r"^[a-z][a-z0-9-]*$"
# A key of PagerDuty, and many another token, has the form of a name.
_KEY = re.compile(r"[0-9a-f]{32,}")

IN_THE_CLEAR = "in_the_clear"

# What the name of a container ends with that is a part of a service: two fill its volumes, and one waits for it.
PARTS = ("loader", "secrets", "settle")

Name = Annotated[str, Field(pattern=_NAME)]
Label = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Severity = Literal["critical", "warning", "info"]
# The value of a label that routes are chosen by: nothing in it means something in a regular expression.
Value = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


def _of_a_secret(value: object) -> object:
    if isinstance(value, str) and re.match(_NAME, value) and not _KEY.fullmatch(value):
        return value
    raise PydanticCustomError(
        IN_THE_CLEAR,
        "the name of a secret belongs here, small letters, digits and dashes; give the secret itself with "
        "`pulumi config set --secret --path 'watchstack:secrets.NAME'`, or `file: PATH` in the stack file",
    )


# Whatever is no name may be the secret itself, and is not repeated in the refusal.
SecretName = Annotated[str, BeforeValidator(_of_a_secret)]
