"""One side of ``scripts/bench_speech``: loads a model, then writes down the recordings that come on standard input."""

from __future__ import annotations

import json
import os
import resource
import sys
from time import perf_counter


def gpux_side(job):
    import gpux

    model = gpux.load(job["folder"], threads=job["threads"], provider="cpu", batch=1)
    return lambda items, parameters: [model(item, **parameters)["text"] for item in items]


def transformers_side(job):
    import soundfile
    import torch
    from transformers import logging, pipeline

    logging.set_verbosity_error()
    torch.set_num_threads(job["threads"])
    # The pipeline's own default is five beams; gpux follows the model's files, which ask for none.
    run = pipeline("automatic-speech-recognition", model=job["folder"], device="cpu", num_beams=1)

    def answer(item, parameters):
        samples, rate = soundfile.read(item, dtype="float32")  # the pipeline would ask for ffmpeg
        return run({"array": samples, "sampling_rate": rate}, **parameters)["text"]

    return lambda items, parameters: [answer(item, parameters) for item in items]


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print have no part in the conversation
    side = {"gpux": gpux_side, "transformers": transformers_side}[sys.argv[1]]
    run = None
    for line in sys.stdin:
        message = json.loads(line)
        started = perf_counter()
        if "peak" in message:
            unit = 1 if sys.platform == "darwin" else 1024
            found = {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20}
        elif "items" in message:
            texts = run(message["items"], message["parameters"])
            found = {"seconds": perf_counter() - started, "texts": texts}
        else:
            run = side(message)
            found = {"seconds": perf_counter() - started}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
