"""Makes the models and the expected outputs of table-models.test.ts with the defaults of each converter (zipmap on).

pip install scikit-learn==1.9.1 skl2onnx==1.20.0 lightgbm==4.7.0 xgboost onnxmltools==1.16.0 pandas && python make.py
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloatTensorType
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

here = Path(__file__).parent
rng = np.random.default_rng(7)
features, classes = load_iris(return_X_y=True)
features = features.astype(np.float32)
names = np.array(["setosa", "versicolor", "virginica"])[classes]
low, high = features.min(axis=0) - 1, features.max(axis=0) + 1
# No value is a threshold of a tree: the converters store thresholds as float32, and LightGBM compares with float64.
flowers = (rng.uniform(low, high, (1000, 4)).round(2) + 0.003).astype(np.float32)

people = pd.DataFrame(
    {
        "age": rng.integers(18, 80, 1400).astype(np.float32),
        "income": rng.normal(50, 20, 1400).round(1).astype(np.float32),
        "city": rng.choice(["Bern", "Basel", "Genève", "Zürich"], 1400),
    }
)
people.loc[::7, "income"] = np.nan
wants = np.where(people.age + 10 * (people.city == "Bern") + rng.normal(0, 10, 1400) > 50, "yes", "no")
train, tested = people[:400], people[400:].reset_index(drop=True)
# A city that training has not seen.
tested.loc[5::50, "city"] = "Chur"

models = {}


def add(name, onnx, model, rows):
    (here / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    models[name] = {
        "labels": [str(label) for label in model.predict(rows)],
        "probabilities": [[round(float(value), 6) for value in row] for row in model.predict_proba(rows)],
    }


linear = LogisticRegression(max_iter=500).fit(features, names)
add("linear", to_onnx(linear, features[:1]), linear, flowers)
integers = LogisticRegression(max_iter=500).fit(features, classes * 10 - 10)
add("integer-classes", to_onnx(integers, features[:1]), integers, flowers)
without = RandomForestClassifier(n_estimators=20, random_state=0).fit(features, names)
add("forest-without-zipmap", to_onnx(without, features[:1], options={"zipmap": False}), without, flowers)
forest = RandomForestClassifier(n_estimators=90, max_depth=4, random_state=0).fit(features, names)
add("forest", to_onnx(forest, features[:1]), forest, flowers)
boosted = LGBMClassifier(n_estimators=20, verbose=-1).fit(features, classes)
add("lightgbm", convert_lightgbm(boosted, initial_types=[("x", MlFloatTensorType([None, 4]))], target_opset=15), boosted, flowers)
trees = XGBClassifier(n_estimators=20, max_depth=3).fit(features, classes)
add("xgboost", convert_xgboost(trees, initial_types=[("x", MlFloatTensorType([None, 4]))], target_opset=15), trees, flowers)
columns = make_pipeline(
    ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    ),
    LogisticRegression(),
).fit(train, wants[:400])
types = [
    ("age", FloatTensorType([None, 1])),
    ("income", FloatTensorType([None, 1])),
    ("city", StringTensorType([None, 1])),
]
add("columns", convert_sklearn(columns, initial_types=types), columns, tested)

rows = [
    {"age": float(age), "income": None if np.isnan(income) else round(float(income), 1), "city": city}
    for age, income, city in tested.itertuples(index=False)
]
expected = {"flowers": [[round(float(value), 3) for value in row] for row in flowers], "people": rows, "models": models}
(here / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, separators=(",", ":")) + "\n")
