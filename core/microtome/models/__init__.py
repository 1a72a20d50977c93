"""Models: loading, families, anatomy, hooks; the only place that knows transformers."""

import os

# Read by the hub's library when it is imported, which happens below here alone.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
