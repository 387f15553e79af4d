"""Compiling a model when it is packaged: to ONNX, with a proof. Only ``prove`` may be imported without onnx."""
