#!/usr/bin/env python3
"""Writes models of Qwen3-0.6B's shape with random weights: their text is noise, their speed and memory are those of the
real one.

    python3 qwen3_shape.py --vocabulary ggml-vocab-qwen2.gguf --quantize llama-quantize --types q4_0,q8_0 --out MODELS/NAME

writes MODELS/NAME-q4_0.gguf and so on. The vocabulary is llama.cpp's file of Qwen2's and Qwen3's tokenizer. Needs numpy and gguf.
"""

import argparse
import os
import pathlib
import subprocess

import gguf
import numpy as np

LAYERS, EMBEDDING, FEED_FORWARD, HEADS, KV_HEADS, HEAD, VOCABULARY = 28, 1024, 3072, 16, 8, 128, 151_936
SEED = 600
# The logits are the product of a row of unit variance with the embedding: this is their spread.
LOGIT_SPREAD = 2.2


def copy_vocabulary(writer, path):
    """Every tokenizer.* field of the file; what the model's matrix has beyond the vocabulary's end is padding."""
    for name, field in gguf.GGUFReader(path).fields.items():
        if name.startswith("tokenizer."):
            kind = field.types[0]
            content = field.contents()
            if name == "tokenizer.ggml.tokens":
                content += [f"[PAD{i}]" for i in range(len(content), VOCABULARY)]
            if name == "tokenizer.ggml.token_type":
                content += [int(gguf.TokenType.UNUSED)] * (VOCABULARY - len(content))
            if kind == gguf.GGUFValueType.ARRAY:
                writer.add_array(name, content)
            else:
                writer.add_key_value(name, content, kind)


def write_base(path, vocabulary):
    """The model in half precision."""
    writer = gguf.GGUFWriter(str(path), "qwen3")
    writer.add_name("Qwen3 0.6B shape, random weights")
    writer.add_block_count(LAYERS)
    writer.add_context_length(40_960)
    writer.add_embedding_length(EMBEDDING)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    copy_vocabulary(writer, vocabulary)
    random = np.random.default_rng(SEED)

    def norm(name, size):
        writer.add_tensor(name, (1 + 0.1 * random.standard_normal(size)).astype(np.float32))

    def matrix(name, rows, columns, gain=1.0):
        """Keeps the variance of what it multiplies, times `gain` squared."""
        values = random.standard_normal((rows, columns), dtype=np.float32)
        values *= np.float32(gain / np.sqrt(columns))
        writer.add_tensor(name, values.astype(np.float16))

    # Each layer adds two branches to the residual stream; together they double its variance.
    branch = 2 / np.sqrt(2 * LAYERS)
    matrix("token_embd.weight", VOCABULARY, EMBEDDING, LOGIT_SPREAD)
    norm("output_norm.weight", EMBEDDING)
    for layer in range(LAYERS):
        prefix = f"blk.{layer}."
        norm(prefix + "attn_norm.weight", EMBEDDING)
        norm(prefix + "attn_q_norm.weight", HEAD)
        norm(prefix + "attn_k_norm.weight", HEAD)
        norm(prefix + "ffn_norm.weight", EMBEDDING)
        matrix(prefix + "attn_q.weight", HEADS * HEAD, EMBEDDING)
        matrix(prefix + "attn_k.weight", KV_HEADS * HEAD, EMBEDDING)
        matrix(prefix + "attn_v.weight", KV_HEADS * HEAD, EMBEDDING)
        matrix(prefix + "attn_output.weight", EMBEDDING, HEADS * HEAD, branch)
        matrix(prefix + "ffn_gate.weight", FEED_FORWARD, EMBEDDING)
        matrix(prefix + "ffn_up.weight", FEED_FORWARD, EMBEDDING)
        matrix(prefix + "ffn_down.weight", EMBEDDING, FEED_FORWARD, branch)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--quantize", required=True, help="llama.cpp's llama-quantize")
    parser.add_argument("--types", required=True)
    parser.add_argument("--out", required=True, help="folder and beginning of the files' names")
    options = parser.parse_args()
    base = pathlib.Path(f"{options.out}-f16.gguf.part")
    base.parent.mkdir(parents=True, exist_ok=True)
    write_base(base, options.vocabulary)
    for kind in options.types.split(","):
        path = f"{options.out}-{kind}.gguf"
        subprocess.run([options.quantize, str(base), path + ".part", kind.upper()], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.replace(path + ".part", path)
        print("wrote", path)
    base.unlink()


if __name__ == "__main__":
    main()
