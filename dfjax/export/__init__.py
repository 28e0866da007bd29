"""A finished run as files for other programs: SavedModel, StableHLO and ONNX."""
