"""Protocols as codecs: pure functions between bytes and ``Rows``. None knows of a server, a route or a socket."""

from kairos.serving.protocols.inference import Inference
from kairos.serving.protocols.mlflow_scoring import MlflowScoring
from kairos.serving.protocols.plain import Plain

__all__ = ["Inference", "MlflowScoring", "Plain"]
