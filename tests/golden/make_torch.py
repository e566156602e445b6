"""A small checkpoint written by PyTorch itself: tests/golden/weights/torch.pt, with the layouts that real ones have.

Needs torch; made with 2.15.0. The numbers count up, so that a reader's can be worked out by hand.
"""
import collections, os

import torch

count = lambda *shape: torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)
shared = count(6)
state = collections.OrderedDict({
    "encoder.conv1.weight": count(2, 3, 2).half(),
    "encoder.conv1.bias": torch.nn.Parameter(count(4)),
    "encoder.ln_post.weight": count(3).bfloat16(),
    "encoder.ln_post.bias": count(3).double(),
    "decoder.token_embedding.weight": shared[:4].reshape(2, 2),
    # Begins in the middle of the same numbers.
    "decoder.positional_embedding": shared[4:].reshape(1, 2),
    "decoder.something_else": count(1),
})
dims = dict(n_mels=80, n_vocab=51864, n_audio_ctx=1500, n_audio_state=384, n_audio_head=6, n_audio_layer=4, n_text_ctx=448,
            n_text_state=384, n_text_head=6, n_text_layer=4)
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights")
os.makedirs(out, exist_ok=True)
torch.save({"dims": dims, "model_state_dict": state}, os.path.join(out, "torch.pt"))
torch.save({"encoder.conv1.weight": count(2, 3, 2).transpose(0, 1)}, os.path.join(out, "transposed.pt"))
