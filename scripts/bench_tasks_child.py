"""One side of ``scripts/bench_tasks``: loads a model, then answers the shares that come on standard input and times each."""

from __future__ import annotations

import json
import os
import resource
import sys
from time import perf_counter


def gpux_side(job):
    import gpux

    model = gpux.load(job["reference"], batch=job["batch"])
    if job["asks"] == "sentences":
        return model.encode, None
    return lambda items: list(model.stream(items, **job["parameters"])), lambda items: stages(
        model, items, job
    )


def stages(model, items, job):
    """Seconds of the graph, of waiting for pictures while it could run, and of preparing them one after the other."""
    _, seconds = model.timed(items, **job["parameters"])
    started = perf_counter()
    for position, item in enumerate(items):
        model.pipeline.prepare(item, position)
    return {"infer": seconds["infer"], "waiting": seconds["preprocess"], "prepare": perf_counter() - started}


def transformers_side(job):
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if job["asks"] == "sentences":
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(job["folder"], device="cpu")
        return lambda items: model.encode(items, batch_size=job["batch"]), None
    from transformers import pipeline

    run = pipeline(job["task"], model=job["folder"], device="cpu", batch_size=job["batch"])
    return lambda items: run(items, **job["parameters"]), None


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print have no part in the conversation
    side = {"gpux": gpux_side, "transformers": transformers_side}[sys.argv[1]]
    run = divided = None
    for line in sys.stdin:
        message = json.loads(line)
        started = perf_counter()
        if "peak" in message:
            unit = 1 if sys.platform == "darwin" else 1024
            found = {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20}
        elif "stages" in message:
            found = divided(message["stages"])
        elif "items" in message:
            assert len(run(message["items"])) == len(message["items"])
            found = {"seconds": perf_counter() - started}
        else:
            run, divided = side(message)
            found = {"seconds": perf_counter() - started}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
