#!/usr/bin/env python3
"""How long encoders of several depths would take, before any is trained.

    speed.py --layers 0,5 --layers 0,2,4 ... [--head match] [--joint 0] [--pairs 30] [--tokens 128]
             [--threads 2] [--repeats 20] [--encoder DIR] --out OUT

Cuts the layers out of the encoder, quantizes as the export step does, and runs the pairs one at a time
on as many sessions as threads, as Braid does. Prints median and 95th percentile in milliseconds.
PyTorch, onnx, onnxruntime.
"""

import argparse
import concurrent.futures
import pathlib
import tempfile
import time

import numpy
import onnxruntime

import encoder
import export
import network as networks
from files import fail


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", action="append", required=True, metavar="N,N", help="layers that are kept")
    parser.add_argument("--head", choices=networks.HEADS, default="match")
    parser.add_argument("--joint", type=int, default=0, help="with the head late: layers that read both texts together")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--encoder", metavar="DIR", help="a BERT encoder in place of all-MiniLM-L6-v2")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the encoder is fetched to")
    return parser.parse_args()


def session(path):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def pair(tokens, vocabulary):
    """A query of eight tokens and a passage that fills the rest."""
    ids = numpy.random.default_rng(7).integers(vocabulary // 20, vocabulary, (1, tokens))
    types = numpy.zeros((1, tokens), dtype=numpy.int64)
    types[0, 10:] = 1
    return {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": types}


def milliseconds(path, arguments, vocabulary):
    """Of each repeat, after one that is not counted."""
    feed = pair(arguments.tokens, vocabulary)
    sessions = [session(path) for _ in range(arguments.threads)]
    shares = [len(range(place, arguments.pairs, arguments.threads)) for place in range(arguments.threads)]

    def work(one, count):
        for _ in range(count):
            one.run(["logits"], feed)

    spent = []
    with concurrent.futures.ThreadPoolExecutor(arguments.threads) as pool:
        for _ in range(arguments.repeats + 1):
            began = time.perf_counter()
            list(pool.map(work, sessions, shares))
            spent.append((time.perf_counter() - began) * 1e3)
    return sorted(spent[1:])


def main():
    arguments = parse()
    if min(arguments.pairs, arguments.tokens - 11, arguments.threads, arguments.repeats) < 1:
        fail("--pairs, --threads and --repeats must be at least 1, --tokens at least 12")
    start = encoder.find(pathlib.Path(arguments.out), arguments.encoder)
    print(f"{arguments.pairs} pairs of {arguments.tokens} tokens, {arguments.threads} threads, head {arguments.head}, joint {arguments.joint}")
    print("| layers | MB | median ms | 95th percentile ms |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for layers in arguments.layers:
            network = networks.load(start, [int(number) for number in layers.split(",")], arguments.head, joint=arguments.joint).eval()
            path = pathlib.Path(folder, "model.onnx")
            export.quantize(network, path)
            spent = milliseconds(path, arguments, network.config["vocab_size"])
            low, high = spent[len(spent) // 2], spent[min(len(spent) - 1, int(0.95 * len(spent)))]
            print(f"| {layers} | {path.stat().st_size / 1e6:.1f} | {low:.0f} | {high:.0f} |", flush=True)


if __name__ == "__main__":
    main()
