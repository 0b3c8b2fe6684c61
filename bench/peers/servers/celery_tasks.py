"""The worker of Celery: a task is a row. Results live in Redis for an hour."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ort  # noqa: E402
from celery import Celery  # noqa: E402

redis = os.environ["REDIS_URL"]
app = Celery("tasks", broker=redis, backend=redis)
app.conf.update(task_serializer="json", result_serializer="json", result_expires=3600, worker_prefetch_multiplier=64,
                task_acks_late=os.environ.get("ACKS_LATE", "0") == "1", task_reject_on_worker_lost=os.environ.get("ACKS_LATE", "0") == "1",
                worker_send_task_events=False, task_ignore_result=False, broker_pool_limit=32, redis_max_connections=200)
held = None


@app.task(name="predict")
def predict(x):
    global held
    held = held or ort.session()
    return float(ort.run(held, np.array([x], dtype=np.float32))[0, 0])
