"""Reads the files of a job, FOLDER/job.json and those beside it."""

import json

import numpy as np
import torch

TYPES = {"float32": "<f4", "int32": "<i4", "int64": "<i8"}


def read_job(folder):
    return json.loads((folder / "job.json").read_text())


def read(path, dtype="<f4"):
    """Numbers in double precision."""
    return torch.from_numpy(np.fromfile(path, dtype)).double()


def read_feeds(folder, job):
    """Float inputs in double precision, integers as they are."""
    feeds = {}
    for name, tensor in job["inputs"].items():
        values = torch.from_numpy(np.fromfile(folder / f"{name}.input", TYPES[tensor["dtype"]])).reshape(tensor["dims"])
        feeds[name] = values.double() if values.is_floating_point() else values
    return feeds


def read_sides(folder, job):
    """The arguments of kinks that another run had, {node: x}."""
    sizes = [side["elements"] for side in job["sides"]]
    return {side["node"]: x for side, x in zip(job["sides"], read(folder / "sides.f32").split(sizes))}
