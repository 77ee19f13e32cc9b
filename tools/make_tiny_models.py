"""``python tools/make_tiny_models.py [--out DIR]``: the networks that come with the package.

``warm.onnx`` is one matrix of colours (``Stylize(model="warm")``), ``tiny/`` a Stable Diffusion with one ControlNet of
a few random weights (``Diffuse(model="tiny")``), whose zero convolutions are random too, so that conditions tell.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

WARM = ((0.92, 0.12, 0.02), (0.06, 0.86, 0.02), (0.04, 0.08, 0.66))
LIFT = (0.03, 0.02, 0.0)
SEED, SPREAD = 0, 0.5  # of random weights, and of those that begin at zero elsewhere
WIDE = {"block_out_channels": (4, 8), "norm_num_groups": 2}
ATTENDING = {"layers_per_block": 1, "cross_attention_dim": 8, "attention_head_dim": 2, "in_channels": 4}
START, END = 512, 513  # numbers of the words that begin and end a caption


def write_warm(path: Path) -> None:
    """One convolution of 1 x 1 pixels."""
    shape = (1, 3, "height", "width")
    stored = {"matrix": np.array(WARM, np.float32).reshape(3, 3, 1, 1), "lift": np.array(LIFT, np.float32)}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "matrix", "lift"], ["made"])], "warm",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("made", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(v, n) for n, v in stored.items()],
    )  # fmt: skip
    about = "One matrix of colours, for trying out Stylize"
    opset = [helper.make_opsetid("", 17)]
    onnx.save_model(
        helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="fusion_aug", doc_string=about),
        str(path),
    )


def write_tiny(folder: Path) -> None:
    """A whole pipeline, as diffusers saves it."""
    from diffusers import (
        AutoencoderKL,
        ControlNetModel,
        DDIMScheduler,
        StableDiffusionControlNetImg2ImgPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(SEED)
    down = {"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D")}
    unet = UNet2DConditionModel(
        sample_size=8, out_channels=4, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **down, **WIDE, **ATTENDING
    )
    vae = AutoencoderKL(
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        **WIDE,
    )
    control = ControlNetModel(conditioning_embedding_out_channels=(4, 8), **down, **WIDE, **ATTENDING)
    words = CLIPTextConfig(
        hidden_size=8, intermediate_size=8, num_attention_heads=2, num_hidden_layers=1, vocab_size=END + 1,
        max_position_embeddings=16, bos_token_id=START, eos_token_id=END, pad_token_id=END,
    )  # fmt: skip
    text_encoder = CLIPTextModel(words)
    zero = [*control.controlnet_down_blocks, control.controlnet_mid_block, control.controlnet_cond_embedding.conv_out]
    for layer in zero:
        torch.nn.init.normal_(layer.weight, 0, SPREAD)
    StableDiffusionControlNetImg2ImgPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer(), unet=unet, controlnet=control,
        scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip


def tokenizer() -> Any:
    """Letters alone: a word for every byte, and for every byte at the end of a word."""
    from transformers import CLIPTokenizer

    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that stand for themselves
    signs = [chr(b) for b in shown] + [chr(256 + i) for i in range(256 - len(shown))]
    words = [*signs, *(f"{s}</w>" for s in signs), "<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}), encoding="utf-8")
        (Path(folder) / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
        return CLIPTokenizer(f"{folder}/vocab.json", f"{folder}/merges.txt", model_max_length=16)


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("fusion_aug/transforms/generative"))
    words = parser.parse_args()
    words.out.mkdir(parents=True, exist_ok=True)
    write_warm(words.out / "warm.onnx")
    write_tiny(words.out / "tiny")


if __name__ == "__main__":
    main()
