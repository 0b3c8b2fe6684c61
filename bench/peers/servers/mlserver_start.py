"""Writes the settings of MLServer to the folder STATE, and then becomes MLServer."""
import json
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
name, port, folder = os.environ["MODEL"], int(os.environ["PORT"]), os.environ["STATE"]
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "settings.json"), "w") as out:
    json.dump(
        {
            "debug": False,
            "host": "127.0.0.1",
            "http_port": port,
            "grpc_port": int(os.environ["PORT_2"]),
            "metrics_port": int(os.environ["PORT_3"]),
            "parallel_workers": int(os.environ.get("WORKERS", "2")),
            "access_log": False,
            "use_structured_logging": False,
            "logging_settings": None,
        },
        out,
    )
with open(os.path.join(folder, "model-settings.json"), "w") as out:
    json.dump(
        {
            "name": name,
            "implementation": "mlserver_runtime.Mlp",
            "max_batch_size": int(os.environ.get("BATCH", "64")),
            "max_batch_time": float(os.environ.get("WAIT_MS", "1")) / 1000,
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 166]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
        },
        out,
    )
os.environ["PYTHONPATH"] = here
mlserver = os.path.join(os.path.dirname(sys.executable), "mlserver")
os.execv(mlserver, [mlserver, "start", folder])
