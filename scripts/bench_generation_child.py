"""One side of ``scripts/bench_generation``: loads a model, then answers prompts that come on standard input, one per line.

Every side takes the same tokens, writes greedily, and tells the moment of every step: seconds since it was asked, and the
tokens that it then had.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from itertools import pairwise
from time import perf_counter


def gpux_side(job):
    """GPUX, by its own loop. Where steps are watched, the seconds that ONNX Runtime's sessions took are told beside them."""
    import gpux

    spent = _watched() if job.get("watch") else None
    model = gpux.load(
        job["reference"],
        provider=job["provider"],
        variant=job["variant"],
        threads=job["threads"],
        task="text-generation",
    )

    def answer(message):
        # A benchmark asks the graph: no answer may come out of what an earlier turn left behind, but in the warm chat.
        moments, tokens, inside, text = [], [], [], ""
        began = perf_counter()
        for piece in model.emit(
            message.get("messages") or message["text"], max_new_tokens=message["new"], do_sample=False
        ):
            moments.append((perf_counter() - began, len(piece.tokens)))
            tokens += piece.tokens
            if spent is not None:
                inside.append(spent[0])
            if "messages" in message:
                text += piece
        extra = {"inside": [later - earlier for earlier, later in pairwise(inside)]} if inside else {}
        return {"moments": moments, "tokens": [int(token) for token in tokens], "text": text, **extra}

    disk = model.artifact.manifest.files
    graph = model.artifact.variant(model.plan.variant).graphs
    folder = next(iter(graph.values())).rpartition("/")[0]
    size = sum(file.size for file in disk if file.path.startswith(folder))
    return answer, {"bytes": size, "provider": str(model.placement), "quality": _quality(model)}


def _quality(model):
    certificate = model.plan.certificate or model.artifact.variant(model.plan.variant).certificate
    return certificate.quality


def _watched():
    """Seconds that all sessions' runs took so far, in a list of one; the runtime's own calls are timed, whoever makes them."""
    from onnxruntime.capi import _pybind_state

    spent = [0.0]

    def timed(run):
        def call(*arguments, **named):
            began = perf_counter()
            try:
                return run(*arguments, **named)
            finally:
                spent[0] += perf_counter() - began

        return call

    for name in ("run", "run_with_iobinding", "run_with_ort_values"):
        setattr(_pybind_state.InferenceSession, name, timed(getattr(_pybind_state.InferenceSession, name)))
    return spent


def transformers_side(job):
    """PyTorch in fp32, by transformers' ``generate``; its streamer is told of every step."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.generation.streamers import BaseStreamer

    torch.set_num_threads(job["threads"])
    model = AutoModelForCausalLM.from_pretrained(job["folder"], dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None  # as many tokens as are asked for

    class Watch(BaseStreamer):
        def __init__(self):
            self.moments = []

        def put(self, value):
            self.moments.append(perf_counter())

        def end(self):
            pass

    def answer(message):
        ids = torch.tensor([message["ids"]])
        watch = Watch()
        began = perf_counter()
        with torch.inference_mode():
            found = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=message["new"], do_sample=False, streamer=watch,
                pad_token_id=0,
            )  # fmt: skip
        return {
            "moments": [
                (moment - began, 1) for moment in watch.moments[1:]
            ],  # the first is the prompt itself
            "tokens": found[0, ids.shape[1] :].tolist(),
        }

    return answer, {}


def genai_side(job):
    """onnxruntime-genai, by its own loop."""
    import onnxruntime_genai

    config = onnxruntime_genai.Config(job["files"])
    threads = {"intra_op_num_threads": job["threads"]}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": threads}}}))
    model = onnxruntime_genai.Model(config)

    def answer(message):
        options = onnxruntime_genai.GeneratorParams(model)
        options.set_search_options(max_length=len(message["ids"]) + message["new"], do_sample=False)
        moments, tokens = [], []
        began = perf_counter()
        generator = onnxruntime_genai.Generator(model, options)
        generator.append_tokens(message["ids"])
        while len(tokens) < message["new"] and not generator.is_done():
            generator.generate_next_token()
            tokens.append(int(generator.get_next_tokens()[0]))
            moments.append((perf_counter() - began, 1))
        return {"moments": moments, "tokens": tokens}

    return answer, {}


def openvino_side(job):
    """OpenVINO GenAI, by its own loop, of the same Q4_0 weights that llama.cpp reads."""
    import numpy as np
    import openvino
    import openvino_genai

    pipeline = openvino_genai.LLMPipeline(job["files"], "CPU", INFERENCE_NUM_THREADS=job["threads"])

    class Watch(openvino_genai.StreamerBase):
        def __init__(self):
            super().__init__()
            self.moments = []

        def write(self, token):
            self.moments.append((perf_counter(), len(token) if isinstance(token, list) else 1))
            return openvino_genai.StreamingStatus.RUNNING

        def end(self):
            pass

    def answer(message):
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.ignore_eos, config.do_sample = message["new"], True, False
        watch = Watch()
        ids = openvino.Tensor(np.array([message["ids"]], np.int64))
        began = perf_counter()
        found = pipeline.generate(ids, config, watch)
        return {
            "moments": [(moment - began, count) for moment, count in watch.moments],
            "tokens": [int(token) for token in found.tokens[0]],
        }

    return answer, {}


def llama_side(job):
    """llama.cpp, by its C functions and the largest score: what its own bench does."""
    import ctypes

    import llama_cpp
    import numpy as np

    model = llama_cpp.Llama(
        job["files"],
        n_ctx=job["context"],
        n_batch=512,
        n_threads=job["threads"],
        n_threads_batch=job["threads"],
        verbose=False,
    )
    vocabulary = model.n_vocab()

    def read(tokens):
        context = model.ctx  # which lives as long as the model
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens))):
            raise RuntimeError("llama_decode failed")
        scores = ctypes.cast(llama_cpp.llama_get_logits_ith(context, -1), ctypes.POINTER(ctypes.c_float))
        return int(np.ctypeslib.as_array(scores, (vocabulary,)).argmax())

    def answer(message):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(model.ctx), 1)
        moments, tokens = [], []
        began = perf_counter()
        for start in range(0, len(message["ids"]), 512):
            token = read(message["ids"][start : start + 512])
        for number in range(message["new"]):
            token = read([token]) if number else token
            tokens.append(token)
            moments.append((perf_counter() - began, 1))
        return {"moments": moments, "tokens": tokens}

    return answer, {}


def bandwidth_side(job):
    """No model: bytes per second that all threads together read from memory, at the best of several passes."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    parts = [np.ones(job["bytes"] // job["threads"] // 8, np.uint64) for _ in range(job["threads"])]
    pool = ThreadPoolExecutor(job["threads"])

    def answer(_):
        best = 0.0
        for _ in range(5):
            began = perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            best = max(best, sum(part.nbytes for part in parts) / (perf_counter() - began))
        return {"bandwidth": best}

    return answer, {}


def pull_side(job):
    """Pulls the model with its variants, at once where all can be had; why one cannot, for each. Measures nothing."""
    import gpux
    from gpux.errors import GpuxError

    missing = {}
    try:
        gpux.pull(job["reference"], task="text-generation", variants=job["variants"])
    except GpuxError:
        for variant in job["variants"]:
            try:
                gpux.pull(job["reference"], task="text-generation", variants=[variant])
            except GpuxError as error:
                missing[variant] = str(error)
    return None, {"missing": missing}


SIDES = {
    "gpux": gpux_side,
    "transformers": transformers_side,
    "genai": genai_side,
    "openvino": openvino_side,
    "llama": llama_side,
    "bandwidth": bandwidth_side,
    "pull": pull_side,
}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print have no part in the conversation
    answer = None
    for line in sys.stdin:
        message = json.loads(line)
        if "peak" in message:
            unit = 1 if sys.platform == "darwin" else 1024
            found = {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
        elif answer is None:
            began = perf_counter()
            answer, found = SIDES[sys.argv[1]](message)
            found["load"] = perf_counter() - began
        else:
            found = answer(message)
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
