"""All commands, in the order in which the help shows them: importing a module adds its own."""

# isort: off
from auditlake.cli import running, sending, asking, failures, redriving, reconciling, objects, spooling  # noqa: F401
from auditlake.cli.shared import app, err

__all__ = ["app", "err"]
