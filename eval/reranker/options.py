"""The command line that the steps share. Standard library only."""

import argparse
import os


def parse(usage, data=False, against=False, braid=False, train=False, steps=()):
    parser = argparse.ArgumentParser(
        description=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where everything is written")
    parser.add_argument("--recipe", metavar="FILE", help="other than the recipe.toml beside the tool")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes the recipe")
    if data:
        what = "BEIR folders, pairs JSONL, or folders of them"
        parser.add_argument("--data", nargs="+", required=True, metavar="PATH", help=what)
        parser.add_argument("--split", default="train", help="qrels of BEIR folders")
    if against:
        what = "BEIR folders that must share nothing with the training data"
        parser.add_argument("--against", nargs="*", default=[], metavar="DIR", help=what)
    if braid:
        parser.add_argument("--braid", default="target/release/braid", metavar="FILE", help="the braid binary")
    if train:
        parser.add_argument("--run", default="run", metavar="NAME", help="one configuration; several share OUT's data")
        parser.add_argument("--encoder", metavar="DIR", help="a BERT encoder in place of all-MiniLM-L6-v2")
        parser.add_argument("--teacher", metavar="DIR", help="a trained run whose scores are distilled")
        parser.add_argument("--sparse", metavar="DIR", help="a sparse retriever in place of splade-tiny, as a teacher")
        parser.add_argument("--dense", metavar="DIR", help="a bi-encoder in place of all-mpnet-base-v2, as a teacher")
        parser.add_argument("--bge", metavar="DIR", help="bge-small-en-v1.5 quantized, out of a folder, as a teacher")
        parser.add_argument("--exact-cosine", action="store_true", help="embed every candidate for its cosine")
        parser.add_argument("--minutes", type=float, help="wall-clock budget of training")
        parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
        parser.add_argument("--bf16", choices=("auto", "on", "off"), default="auto", help="bf16 autocast")
    if steps:
        parser.add_argument("--steps", default=",".join(steps), metavar="NAMES", help="which steps")
    return parser.parse_args()
