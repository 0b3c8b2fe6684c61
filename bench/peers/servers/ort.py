"""The model of a peer's process, and the settings that all peers share."""
import os

import numpy as np
import onnxruntime as ort

NAME = os.environ["MODEL"]
PATH = os.path.join(os.environ["MODELS_DIR"], NAME, "1", "model.onnx")
WORKERS = int(os.environ.get("WORKERS", "2"))
BATCH = int(os.environ.get("BATCH", "64"))
WAIT_MS = float(os.environ.get("WAIT_MS", "1"))
PORT = int(os.environ["PORT"])


def session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(PATH, options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, x: np.ndarray) -> np.ndarray:
    return session.run(None, {"x": x})[0]
