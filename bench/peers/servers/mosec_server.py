"""mosec at /inference: {"x": [166 numbers]}, or 664 raw bytes where FORMAT is raw."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ort  # noqa: E402
from mosec import Server, Worker  # noqa: E402


class Json(Worker):
    def __init__(self):
        super().__init__()
        self.session = ort.session()

    def forward(self, data):
        rows = ort.run(self.session, np.array([row["x"] for row in data], dtype=np.float32))
        return [{"y": float(row[0])} for row in rows]


class Raw(Worker):
    def __init__(self):
        super().__init__()
        self.session = ort.session()

    def deserialize(self, data):
        return np.frombuffer(data, dtype=np.float32)

    def serialize(self, data):
        return data

    def forward(self, data):
        return [row.tobytes() for row in ort.run(self.session, np.stack(data))]


if __name__ == "__main__":
    server = Server()
    worker = Raw if os.environ.get("FORMAT") == "raw" else Json
    server.append_worker(worker, num=ort.WORKERS, max_batch_size=ort.BATCH, max_wait_time=max(1, int(ort.WAIT_MS)))
    server.run()
