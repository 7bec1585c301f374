"""Scores of many pairs by PyTorch, short ones together so that little is padded."""

import pathlib

import torch

# Padded tokens of one forward pass.
BATCH_TOKENS = 8192


def tensors(batch, device):
    return {name: torch.from_numpy(values).to(device) for name, values in batch.items()}


def device_of(network):
    return next(network.parameters()).device


def in_batches(sizes, tokens=BATCH_TOKENS):
    """Places by rising size, cut so that places times the longest stay within `tokens`."""
    batch, longest = [], 0
    for place in sorted(range(len(sizes)), key=sizes.__getitem__):
        longest = max(longest, sizes[place])
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch, longest = [], sizes[place]
        batch.append(place)
    if batch:
        yield batch


def scorer(network, pairs, autocast=False):
    """A function from (query, title, text) triples to raw scores."""

    def score(triples):
        was_training = network.training
        network.eval()
        encoded = [pairs.pair(*triple) for triple in triples]
        found = [0.0] * len(encoded)
        device = device_of(network)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            for batch in in_batches([len(ids) for ids, _ in encoded]):
                inputs = tensors(pairs.padded([encoded[place] for place in batch]), device)
                for place, value in zip(batch, network(**inputs).float().tolist()):
                    found[place] = value
        network.train(was_training)
        return found

    return score


def embed(network, pairs, texts, max_tokens, autocast=False):
    """Unit vectors of texts: the mean of an encoder's token states, as all-MiniLM-L6-v2 does it."""
    encoded = [pairs.alone(text, max_tokens) for text in texts]
    found = torch.zeros(len(texts), network.config["hidden_size"])
    device = device_of(network)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        for batch in in_batches([len(ids) for ids, _ in encoded]):
            inputs = tensors(pairs.padded([encoded[place] for place in batch]), device)
            mask = inputs["attention_mask"][:, :, None].float()
            vectors = (network.encode(**inputs).float() * mask).sum(1) / mask.sum(1)
            found[batch] = torch.nn.functional.normalize(vectors, dim=1).cpu()
    return found


def pick_device(threads):
    torch.set_num_threads(threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wants_bf16(choice, device):
    """bf16 where the device is faster with it: GPUs, and CPUs with bf16 arithmetic."""
    if choice != "auto":
        return choice == "on"
    if device.type == "cuda":
        return True
    flags = pathlib.Path("/proc/cpuinfo")
    text = flags.read_text() if flags.is_file() else ""
    return "amx_bf16" in text or "avx512_bf16" in text
