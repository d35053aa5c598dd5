"""Which code this is."""

import hashlib
from pathlib import Path


def code_version() -> str:
    """A hash of the engine's source: a kept catalogue is valid for exactly this code."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
