"""Reads the response of each operation with the models that datamodel-code-generator has generated, and prints one JSON line for each.

Arguments: the folder of the module, the base URL of the API, and a file with the requests and the names of the models by operation id.
"""
import importlib
import json
import sys
import urllib.error
import urllib.request

folder, base, plan_file = sys.argv[1:]
sys.path.insert(0, folder)
models = importlib.import_module("generated_models")
with open(plan_file, encoding="utf-8") as file:
    plan = json.load(file)

for step in plan["steps"]:
    body = json.dumps(step["body"]).encode() if "body" in step else None
    request = urllib.request.Request(base + step["url"], data=body, method=step["method"])
    request.add_header("content-type", "application/json")
    result = {"operation": step["operation"]}
    try:
        try:
            response = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            response = error
        status, text = response.status, response.read()
        name = step["models"].get(str(status))
        if name is None and status >= 400:
            name = "InferenceError" if step["url"].startswith("/v2") else "Problem"
        result |= {"status": status, "parsed": name}
        if name is not None:
            model = getattr(models, name).model_validate_json(text)
            values = {key: getattr(model, key) for key in ("status", "code") if hasattr(model, key)}
            # A schema of a single text, such as a status, is a model with the member `root`.
            result["values"] = {key: str(getattr(value, "root", value)) for key, value in values.items()}
    except Exception as error:  # The test prints the error of the generated code.
        result["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(result), flush=True)
