"""Libraries that would report to their makers are told not to, before they are imported."""

import os
import sys


def silence() -> None:
    """Turns the telemetry of ONNX Runtime and OpenVINO off; `import dfjax` calls it.

    ONNX Runtime would keep a device id in the user's cache folder, leave a file in the temporary
    folder and send events; calling `disable_telemetry_events` after its import is too late.
    OpenVINO would send statistics, and fork to do so, which may block JAX; without this package it
    uses a stub.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    sys.modules.setdefault("openvino_telemetry", None)
