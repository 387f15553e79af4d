"""Steps, graph, fingerprints, and the engine that runs them: from raw data to a packaged model.

Nothing here knows how a model is packaged (that is handed in as a ``ModelFinisher``), and importing this
package loads no data library.
"""

from __future__ import annotations

from kairos.pipeline.declare import StepSpec, model, source, step

__all__ = ["StepSpec", "model", "source", "step"]
