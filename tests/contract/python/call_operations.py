"""Calls each operation of a client that openapi-python-client has generated, and prints one JSON line for each call.

Arguments: the folder above the package, the base URL of the API, and a file with the path parameters and the bodies by operation id.
"""
import importlib
import inspect
import json
import pkgutil
import sys
import typing

folder, base, plan_file = sys.argv[1:]
sys.path.insert(0, folder)
package = importlib.import_module("generated")
with open(plan_file, encoding="utf-8") as file:
    plan = json.load(file)


def body_of(annotation, example):
    """An instance of the model of a body. An annotation is a model, or a union with Unset."""
    for choice in (annotation, *typing.get_args(annotation)):
        if hasattr(choice, "from_dict"):
            return choice.from_dict(example)
    return example


api = importlib.import_module("generated.api")
client = package.Client(base_url=base, timeout=60.0)
modules = [found.name for found in pkgutil.walk_packages(api.__path__, "generated.api.") if not found.ispkg]
for step in plan["steps"]:
    name = next(one for one in modules if one.rsplit(".", 1)[1] == step["function"])
    module = importlib.import_module(name)
    parameters = inspect.signature(module.sync_detailed).parameters
    arguments = {key: value for key, value in step["path"].items() if key in parameters}
    if "body" in parameters and "body" in step:
        hints = typing.get_type_hints(module.sync_detailed)
        arguments["body"] = body_of(hints["body"], step["body"])
    result = {"operation": step["operation"]}
    try:
        response = module.sync_detailed(client=client, **arguments)
        result |= {"status": int(response.status_code), "parsed": type(response.parsed).__name__}
        result["values"] = {
            key: str(getattr(response.parsed, key)) for key in ("status", "code") if hasattr(response.parsed, key)
        }
        result["unknown"] = sorted(getattr(response.parsed, "additional_properties", {}))
    except Exception as error:  # The test prints the error of the generated code.
        result["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(result), flush=True)
