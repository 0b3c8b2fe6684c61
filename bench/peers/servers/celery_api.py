"""FastAPI in front of Celery: POST /predict adds a task and waits for its result."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from celery_tasks import predict  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from fastapi.responses import JSONResponse  # noqa: E402
from pydantic import BaseModel  # noqa: E402

app = FastAPI()


class Row(BaseModel):
    x: list[float]


@app.post("/predict")
def wait(row: Row):
    task = predict.delay(row.x)
    return JSONResponse({"y": task.get(timeout=60, interval=0.002)})
