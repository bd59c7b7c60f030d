"""Sums as bytes that come back with the same bits, and digests that tell one question from another."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from functools import partial
from operator import attrgetter

import numpy as np
import pytest

from mixtura import Mixture, Noise
from mixtura.core.em import _e_steps, _Records
from mixtura.core.estep import e_step
from mixtura.kernels import reference
from mixtura.sources.record import NotRecordableError, digest, packed, recordable, unpacked

RNG = np.random.default_rng(1)


def model(shift=0.0):
    return Mixture([0.4, 0.6], [[0.0, 1.0], [2.0 + shift, 3.0]], [np.eye(2), 2 * np.eye(2)])


@pytest.mark.parametrize(
    "value",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([np.nan, np.inf, -0.0, 5e-324]),
        np.zeros((0, 3)),
        np.array(3.5),
        np.array([True, False]),
        np.array([2**64 - 1], dtype=np.uint64),
    ],
    ids=repr,
)
def test_arrays_come_back_with_their_bits_and_their_order_in_memory(value):
    back = unpacked(packed(value))
    assert back.dtype == value.dtype
    assert back.tobytes() == value.tobytes()
    assert back.shape == value.shape
    if value.size:
        assert back.strides == value.strides
        assert back.flags.writeable


@pytest.mark.parametrize("value", [None, True, 7, 2**70, -0.0, 0.1, float("inf"), "ä", np.float64(0.1), np.int32(-3)])
def test_single_values_come_back_as_they_were(value):
    back = unpacked(packed(value))
    assert type(back) is type(value)
    assert back == value
    assert np.signbit(back) == np.signbit(value) if isinstance(value, float) else True


def test_statistics_come_back():
    records = _Records([e_step(model(), RNG.normal(size=(50, 2)))] * 2)
    back = unpacked(packed(records))
    assert type(back) is _Records
    for one, other in zip(back, records, strict=True):
        assert one.kind == other.kind
        assert one.loglik.hex() == other.loglik.hex()
        for name in ("centre", "n", "s1", "s2"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("value", [object(), {1: 2}, [1], (1, 2), np.array(["a"]), np.array([None])])
def test_what_is_no_sum_is_not_recorded(value):
    with pytest.raises(NotRecordableError):
        packed(value)


def test_a_name_is_recordable_once():
    with pytest.raises(ValueError, match="there is a recordable Statistics already"):
        recordable(type("Statistics", (), {}))


def test_bytes_that_are_no_record_are_refused():
    good = packed(np.arange(5.0))
    for bad in (b"", good[:3], good[:-1], good + b"x", b"\xff" * 40, b"\x02\x00\x00\x00[]"):
        with pytest.raises(ValueError, match="no record"):
            unpacked(bad)
    for tree in (
        ["array", "|O", [1], [0]],
        ["array", "<f8", [-1], [0]],
        ["array", "<f8", [10**9], [0]],
        ["array", "<f8", [2], [5]],
        ["parts", "Mixture", []],
        ["parts", "Statistics", []],
        ["float", "x"],
        ["other"],
        7,
    ):
        text = json.dumps(tree).encode()
        with pytest.raises(ValueError, match="no record"):
            unpacked(struct.pack("<I", len(text)) + text + bytes(16))


def test_the_same_question_has_the_same_digest_in_another_process():
    code = (
        "import numpy as np; from functools import partial; from mixtura import Mixture; "
        "from mixtura.core.em import _e_steps; from mixtura.kernels import reference; "
        "from mixtura.sources.record import digest; "
        "m = Mixture([0.4, 0.6], [[0.0, 1.0], [2.0, 3.0]], [np.eye(2), 2 * np.eye(2)]); m.covariances; "
        "print(digest(partial(_e_steps, (m,), reference)).hex())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert digest(partial(_e_steps, (model(),), reference)).hex() == there.stdout.strip()


def test_other_questions_have_other_digests():
    from mixtura.kernels import compiled

    box = Noise.box([0, 0], [1, 1])
    noisy = Mixture([0.35, 0.6], model().means, model().structure, noise=box)
    questions = [
        partial(_e_steps, (model(),), reference),
        partial(_e_steps, (model(1e-15),), reference),
        partial(_e_steps, (model(), model()), reference),
        partial(_e_steps, (model(),), compiled),
        partial(_e_steps, (noisy,), reference),
        attrgetter("weight"),
        attrgetter("rows"),
        partial(len, np.arange(4.0)),
        partial(len, np.arange(4.0).reshape(2, 2)),
        partial(len, np.arange(4.0).astype(np.float32)),
        partial(len, 1),
        partial(len, 1.0),
        partial(len, True),
        partial(len, "1"),
        partial(len, (1, (2, 3))),
        partial(len, ((1, 2), 3)),
        partial(len, [1, 2]),
        partial(len, (1, 2)),
        partial(len, None),
        len,
        partial(len, key={"a": 1}),
    ]
    assert len({digest(question) for question in questions}) == len(questions)


def test_what_was_computed_on_the_way_is_not_part_of_a_question():
    one, other = model(), model()
    other.logpdf([[0.0, 0.0]])
    assert digest(one) == digest(other)


@pytest.mark.parametrize("function", [lambda block: block, partial(lambda block: block), (i for i in "a")])
def test_what_has_no_name_has_no_digest(function):
    with pytest.raises(NotRecordableError):
        digest(function)


def test_what_holds_itself_has_no_digest():
    endless: list = []
    endless.append(endless)
    with pytest.raises(NotRecordableError, match="holds itself"):
        digest(endless)
