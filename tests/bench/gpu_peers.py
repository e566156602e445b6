"""What torch takes on a GPU for what `tests/bench/gpu.rs` measures: the same shapes, random weights, f16.

python3 gpu_peers.py SHAPE...   needs torch with CUDA; prints medians in ms with the middle half

Encoder: a window's mel to features, attention by scaled_dot_product_attention, in a CUDA graph. Decoder: one token for
each of n windows up to its logits, caches of a fixed length of 128 written in place, in a CUDA graph; the same through
torch.compile. openai/whisper's modules, with queries, keys and values in one product.
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SHAPES = {  # n_mels, n_state, n_head, encoder's layers, decoder's layers, n_vocab
    "tiny.en": (80, 384, 6, 4, 4, 51864),
    "large-v3": (128, 1280, 20, 32, 32, 51866),
    "turbo": (128, 1280, 20, 32, 4, 51866),
}
N_CTX, N_CACHE = 1500, 128


def heads(x, n_head):
    return x.unflatten(-1, (n_head, -1)).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, n, n_head, cross):
        super().__init__()
        self.n_head, self.cross = n_head, cross
        self.ln, self.qkv, self.out = nn.LayerNorm(n), nn.Linear(n, 3 * n), nn.Linear(n, n)
        if cross:
            self.cross_ln, self.cross_q, self.cross_out = nn.LayerNorm(n), nn.Linear(n, n), nn.Linear(n, n)
        self.mlp_ln, self.up, self.down = nn.LayerNorm(n), nn.Linear(n, 4 * n), nn.Linear(4 * n, n)

    def forward(self, x, cache=None, at=None, mask=None, audio=None):
        q, k, v = (heads(part, self.n_head) for part in self.qkv(self.ln(x)).chunk(3, -1))
        if cache is not None:
            k, v = cache[0].index_copy_(2, at, k), cache[1].index_copy_(2, at, v)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))
        if self.cross:
            q = heads(self.cross_q(self.cross_ln(x)), self.n_head)
            x = x + self.cross_out(F.scaled_dot_product_attention(q, *audio).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.mlp_ln(x))))


class Encoder(nn.Module):
    def __init__(self, n_mels, n, n_head, n_layer):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(n_mels, n, 3, padding=1), nn.Conv1d(n, n, 3, stride=2, padding=1)
        self.places = nn.Parameter(torch.randn(N_CTX, n))
        self.blocks = nn.ModuleList(Block(n, n_head, False) for _ in range(n_layer))
        self.ln = nn.LayerNorm(n)

    def forward(self, mel):
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        return self.ln(x)


class Decoder(nn.Module):
    def __init__(self, n, n_head, n_layer, n_vocab):
        super().__init__()
        self.tokens, self.places = nn.Embedding(n_vocab, n), nn.Parameter(torch.randn(448, n))
        self.blocks = nn.ModuleList(Block(n, n_head, True) for _ in range(n_layer))
        self.ln = nn.LayerNorm(n)

    def forward(self, tokens, at, mask, caches, audio):
        x = self.tokens(tokens) + self.places[at]
        for block, cache, heard in zip(self.blocks, caches, audio):
            x = block(x, cache, at, mask, heard)
        return self.ln(x) @ self.tokens.weight.T


def graph(step):
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        step()
    return recorded.replay


def measure(run, seconds=1.0):
    run()
    torch.cuda.synchronize()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 10 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    low, _, high = statistics.quantiles(times, n=4)
    return f"{statistics.median(times):.3f} ({low:.3f} to {high:.3f})"


@torch.inference_mode()
def main(shapes):
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}")
    for shape in shapes:
        n_mels, n, n_head, n_encoder, n_decoder, n_vocab = SHAPES[shape]
        with torch.device("cuda"):
            torch.set_default_dtype(torch.float16)
            encoder, decoder = Encoder(n_mels, n, n_head, n_encoder), Decoder(n, n_head, n_decoder, n_vocab)
            for batch in (1, 8):
                mel = torch.randn(batch, n_mels, 2 * N_CTX)
                print(f"{shape} encoder, {batch} windows, graph: {measure(graph(lambda: encoder(mel)))} ms", flush=True)
            for batch in (1, 8, 32):
                room = lambda length: torch.randn(batch, n_head, length, n // n_head)
                caches = [(room(N_CACHE), room(N_CACHE)) for _ in range(n_decoder)]
                audio = [(room(N_CTX), room(N_CTX)) for _ in range(n_decoder)]
                tokens, at = torch.zeros(batch, 1, dtype=torch.long), torch.tensor([64])
                mask = (torch.arange(N_CACHE) <= 64).view(1, 1, 1, N_CACHE)
                step = lambda of: of(tokens, at, mask, caches, audio)
                print(f"{shape} token, {batch} windows, graph: {measure(graph(lambda: step(decoder)))} ms", flush=True)
                try:
                    torch._dynamo.reset()
                    compiled = torch.compile(decoder, dynamic=False)
                    figures = measure(graph(lambda: step(compiled)))
                except Exception as error:  # what torch.compile lacks on a machine is torch's affair
                    figures = f"failed ({type(error).__name__})"
                print(f"{shape} token, {batch} windows, torch.compile, graph: {figures} ms", flush=True)


main(sys.argv[1:])
