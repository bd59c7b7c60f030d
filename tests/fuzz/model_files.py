"""Model files with something wrong: each gives an error that says what, or a sound model.

    python tests/fuzz/model_files.py --count 100000 --seed 0

Half of the mutations are blind: bytes flipped, cut out, put in, moved. The others know the format, and what they leave
is a zip whose checksums are right: values of model.json, the heads and the numbers of the arrays, members, and the
fields of the zip itself. Whatever is read is held to this:

- an error is a ``ModelFileError`` of one short printable line, which begins with the name of the file;
- a model whose bytes were changed blindly is the original to the bit, for the checksums cover it; any other is sound:
  it can be described, saved and loaded again, and its responsibilities sum to 1;
- nothing is run, imported, started or opened but the file (an audit hook watches);
- the process gets no more memory than the limit says, which is far less than the sizes that files claim;
- reading gives no warning, and takes no longer than the limit.

Exits with 1 if anything else happened, after printing how to see it again.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mixtura import Mixture, Noise, load, save, summary, text
from mixtura.covariance.structure import Diagonal, Full, Tied
from mixtura.io import ModelFileError, SavedModel

#: Bytes of memory beyond what the process has when it begins, seconds for a file, and characters of an error beyond the
#: name of the file.
MEMORY = 256 << 20
SECONDS = 5
LONGEST = 400

#: Numbers at which readers stumble.
NUMBERS = (0, 1, 2, *(2**bits - less for bits in (7, 8, 15, 16, 31, 32, 63, 64) for less in (0, 1)))
FLOATS = (0.0, -0.0, 5e-324, -1.0, 1e308, -1e308, np.inf, -np.inf, np.nan, 1e-308, 0.5, 1.0)
NAMES = ("../../evil.npy", "/etc/passwd", "C:\\evil", "weights.npy", "a/", "\0", "x" * 60_000, "means.npy/..", "ü")
CODE = "__import__('os').system('true')"
TEXTS = ("", "full", "tied", "spherical", "x" * 10_000, CODE, "\x1b[2J", "\u202e", "\ud800", "<f8", "|O", "\0")
SIGNATURES = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08", b"\x93NUMPY", b"\x80\4\x95")

Rng = np.random.Generator


class Original(NamedTuple):
    """A sound file: its bytes, its members and its model."""

    content: bytes
    members: dict[str, bytes]
    model: Mixture


def originals(folder: Path) -> list[Original]:
    """One file of each structure, with noise and without."""
    rng = np.random.default_rng(0)
    k, d = 3, 2
    spread = rng.standard_normal((k, d, d + 3))
    matrices = spread @ np.swapaxes(spread, 1, 2)
    noise = Noise.region(np.array([1.0, 2.0]), np.array([[1.0, 0.3], [0.1, 7.0]]), 0.25, estimated=True)
    path, out = folder / "original", []
    for structure in (
        Full.from_covariances(matrices),
        Tied.from_covariance(matrices[0], k),
        Diagonal.from_variances(np.diagonal(matrices, axis1=1, axis2=2)),
    ):
        for beside in (None, noise, Noise.of_density(1e-3, 0.25)):
            weights = rng.dirichlet(np.ones(k)) * (1.0 if beside is None else 0.75)
            model = Mixture(weights, rng.standard_normal((k, d)), structure, columns=["a", "ü"], noise=beside)
            metadata = {"rows": 272, "weight": 272.0, "notes": ["one"], "chosen": {"loglik": -1.5, "converged": True}}
            save(model, path, metadata=metadata, overwrite=True)
            with zipfile.ZipFile(path) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            out.append(Original(path.read_bytes(), members, model))
    return out


# Blind mutations: of bytes


def _flip(content: bytearray, rng: Rng) -> None:
    for _ in range(rng.integers(1, 9)):
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)


def _overwrite(content: bytearray, rng: Rng) -> None:
    at, size = int(rng.integers(len(content))), int(rng.integers(1, 17))
    content[at : at + size] = rng.bytes(size)


def _cut_short(content: bytearray, rng: Rng) -> None:
    del content[rng.integers(len(content)) :]


def _cut_out(content: bytearray, rng: Rng) -> None:
    at, size = int(rng.integers(len(content))), int(rng.integers(1, 200))
    del content[at : at + size]


def _put_in(content: bytearray, rng: Rng) -> None:
    at = int(rng.integers(len(content) + 1))
    signature = SIGNATURES[rng.integers(len(SIGNATURES))]
    content[at:at] = signature if rng.random() < 0.3 else rng.bytes(rng.integers(1, 200))


def _repeat(content: bytearray, rng: Rng) -> None:
    at, to, size = int(rng.integers(len(content))), int(rng.integers(len(content))), int(rng.integers(1, 300))
    content[to:to] = content[at : at + size]


def _number(content: bytearray, rng: Rng) -> None:
    size = int(rng.choice([1, 2, 4, 8]))
    at = int(rng.integers(len(content) - size))
    content[at : at + size] = (NUMBERS[rng.integers(len(NUMBERS))] % 256**size).to_bytes(size, "little")


BLIND = (_flip, _overwrite, _cut_short, _cut_out, _put_in, _repeat, _number)


def blind(original: Original, rng: Rng) -> bytes:
    content = bytearray(original.content)
    for _ in range(rng.integers(1, 4)):
        if len(content) > 16:
            BLIND[rng.integers(len(BLIND))](content, rng)
    return bytes(content)


# Mutations that know the format


def _zipped(members: list[tuple[str, bytes]], rng: Rng) -> bytes:
    content = io.BytesIO()
    methods = [zipfile.ZIP_STORED] * 30 + [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that come twice
        with zipfile.ZipFile(content, "w") as archive:
            for name, data in members:
                info = zipfile.ZipInfo("x", date_time=(1980, 1, 1, 0, 0, 0))
                info.filename = name
                archive.writestr(info, data, methods[rng.integers(len(methods))])
    return content.getvalue()


def _some_value(rng: Rng) -> Any:
    value = (
        lambda: NUMBERS[rng.integers(len(NUMBERS))],
        lambda: -int(rng.integers(1, 10**9)),
        lambda: 10 ** int(rng.integers(1, 400)),
        lambda: float(FLOATS[rng.integers(len(FLOATS))]),
        lambda: float(rng.normal() * 10.0 ** rng.integers(-300, 300)),
        lambda: TEXTS[rng.integers(len(TEXTS))],
        lambda: [int(x) for x in rng.integers(-2, 5, rng.integers(0, 5))],
        lambda: {TEXTS[rng.integers(len(TEXTS))]: 1},
        lambda: None,
        lambda: bool(rng.integers(2)),
    )
    return value[rng.integers(len(value))]()


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in _places(each, (*path, key)))]


def _changed_json(raw: bytes, rng: Rng) -> bytes:
    if rng.random() < 0.1:
        content = bytearray(raw)
        BLIND[rng.integers(len(BLIND))](content, rng)
        return bytes(content)
    header = json.loads(raw)
    for _ in range(rng.integers(1, 3)):
        *way, last = _places(header)[1:][rng.integers(len(_places(header)) - 1)]
        holder = header
        for key in way:
            holder = holder[key]
        chance = rng.random()
        if chance < 0.15:
            del holder[last]
        elif chance < 0.25 and isinstance(holder, dict):
            holder[TEXTS[rng.integers(len(TEXTS))]] = _some_value(rng)
        else:
            holder[last] = _some_value(rng)
    if rng.random() < 0.1:  # sizes that claim much, and agree with each other
        sizes = {"K": int(10 ** rng.uniform(0, 6)), "D": int(10 ** rng.uniform(0, 6))}
        header.update(n_components=sizes["K"], n_features=sizes["D"], columns=None)
        axes = {"weights": "K", "means": "KD", "cholesky": "KDD", "scale": "KD"}
        if isinstance(header.get("arrays"), dict):
            header["arrays"] = {
                name: {"shape": [sizes[axis] for axis in axes[name]], "dtype": "<f8"}
                for name in header["arrays"]
                if name in axes
            }
    return json.dumps(header).encode()


def _changed_array(raw: bytes, rng: Rng) -> bytes:
    content = bytearray(raw)
    chance = rng.random()
    if chance < 0.4:  # numbers
        for _ in range(rng.integers(1, 4)):
            at = 128 + 8 * int(rng.integers((len(content) - 128) // 8))
            struct.pack_into("<d", content, at, FLOATS[rng.integers(len(FLOATS))] * rng.choice([1.0, 1.0, 0.999]))
    elif chance < 0.8:  # the head, in text
        head = bytes(content[10:128]).decode("latin-1")
        old, new = {
            0: ("<f8", str(rng.choice([">f8", "<f4", "|O", "O", "V99999999", "<U9999999", "<i8", "<c16", "f8,f8"]))),
            1: ("False", str(rng.choice(["True", "1", "None", "[]"]))),
            2: ("(", "(" * int(rng.integers(1, 90))),
            3: ("shape", str(rng.choice(["shope", "descr", "", "__class__"]))),
            4: ("3", str(NUMBERS[rng.integers(len(NUMBERS))])),
            5: ("{", "{" + "'a':" * int(rng.integers(1, 20))),
            6: ("}", "} if open('/tmp/evil','w') else {}"),
            7: ("'<f8'", "__import__('os').system('true')"),
            8: ("2", "9" * int(rng.integers(1, 90))),
        }[int(rng.integers(9))]
        text_ = head.replace(old, new, 1).ljust(118)
        content[8:128] = struct.pack("<H", len(text_)) + text_.encode("latin-1", "replace")
    elif chance < 0.9:
        content[6:10] = rng.bytes(4)
    else:
        BLIND[rng.integers(len(BLIND))](content, rng)
    return bytes(content)


def _in_members(original: Original, rng: Rng) -> bytes:
    members = list(original.members.items())
    chance = rng.random()
    at = int(rng.integers(len(members)))
    if chance < 0.45:
        members[0] = members[0][0], _changed_json(members[0][1], rng)
    elif chance < 0.85:
        at = int(rng.integers(1, len(members)))
        members[at] = members[at][0], _changed_array(members[at][1], rng)
    elif chance < 0.88:
        del members[at]
    elif chance < 0.91:
        members.append((NAMES[rng.integers(len(NAMES))], members[at][1]))
    elif chance < 0.94:
        members[at] = NAMES[rng.integers(len(NAMES))], members[at][1]
    elif chance < 0.97:
        members.append(members[at])
    else:
        other = int(rng.integers(len(members)))
        members[at], members[other] = (members[at][0], members[other][1]), (members[other][0], members[at][1])
    return _zipped(members, rng)


#: Where the fields of a zip's records begin, and how many bytes each takes.
FIELDS = {
    b"PK\1\2": "4:2 6:2 8:2 10:2 16:4 20:4 24:4 28:2 30:2 32:2 34:2 42:4",
    b"PK\3\4": "4:2 6:2 8:2 14:4 18:4 22:4 26:2 28:2",
    b"PK\5\6": "4:2 6:2 8:2 10:2 12:4 16:4 20:2",
}


def _in_zip(original: Original, rng: Rng) -> bytes:
    content = bytearray(original.content)
    for _ in range(rng.integers(1, 4)):
        signature = tuple(FIELDS)[rng.integers(len(FIELDS))]
        places = [i for i in range(len(content)) if content.startswith(signature, i)]
        if not places:
            break
        fields = FIELDS[signature].split()
        at, size = map(int, fields[rng.integers(len(fields))].split(":"))
        at += places[rng.integers(len(places))]
        if at + size <= len(content):
            old = int.from_bytes(content[at : at + size], "little")
            chance = rng.random()
            new = old + int(rng.integers(-64, 65)) if chance < 0.4 else NUMBERS[rng.integers(len(NUMBERS))]
            content[at : at + size] = (new % 256**size).to_bytes(size, "little")
    if rng.random() < 0.2:  # the records of large zips
        end = content.rfind(b"PK\5\6")
        if end >= 0:
            numbers = [NUMBERS[rng.integers(len(NUMBERS))] % 2**64 for _ in range(4)]
            record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *numbers)
            content[end:end] = record + struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    return bytes(content)


# What came of it


class Watch:
    """Whether anything is run, imported, started or opened while a file is read."""

    FORBIDDEN = ("exec", "import", "pickle.", "marshal.", "os.", "shutil.", "subprocess.", "socket.", "ctypes.")

    def __init__(self, path: Path) -> None:
        self.path, self.on, self.seen = str(path), False, list[str]()
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and (event.startswith(self.FORBIDDEN) or (event == "open" and arguments[0] != self.path)):
            self.seen.append(f"{event} {arguments!r:.200}")


def complaint(path: Path, watch: Watch, unchanged: Mixture | None) -> tuple[str, str]:
    """What became of a file ("refused" or "read"), and what is wrong with that; nothing, if all is well."""
    watch.seen.clear()
    watch.on = True
    try:
        saved = load(path)
    except ModelFileError as error:
        watch.on = False
        said = str(error)
        rest = said.removeprefix(str(path))
        sound = str(path) in said and len(rest) <= LONGEST and said.isprintable()
        return "refused", "" if sound else f"an error of {len(said)} characters: {said[:300]!r}"
    finally:
        watch.on = False
    if watch.seen:
        return "read", f"events: {watch.seen}"
    with np.errstate(all="ignore"):  # numbers at the ends of double precision are as good as others
        return "read", _unsound(path, saved, unchanged)


def _unsound(path: Path, saved: SavedModel, unchanged: Mixture | None) -> str:
    """What is wrong with a model that was read."""
    model = saved.mixture
    if unchanged is not None and model != unchanged:
        return "another model than was saved"
    if not (np.isfinite(model.means).all() and (model.weights >= 0).all()):
        return "parameters that are no mixture's"
    share = model.shares(model.means)
    if not np.allclose(share.sum(1), 1.0):
        return f"responsibilities that sum to {share.sum(1)}"
    shown = summary.describe(model, saved.family, saved.metadata)
    json.loads(summary.as_json(shown))
    if not text.as_text(shown).replace("\n", "").isprintable():
        return "a summary with control characters"
    save(model, path, family=saved.family, metadata=saved.metadata, overwrite=True)
    if load(path).mixture != model:
        return "a model that does not come back"
    return ""


def _too_long(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def mutated(seed: int, number: int, sound: list[Original]) -> tuple[bytes, Mixture | None, str]:
    """File number so-and-so: its bytes, the model if no other may come of it, and the way it was made."""
    rng = np.random.default_rng([seed, number])
    original = sound[rng.integers(len(sound))]
    ways: tuple[Callable[[Original, Rng], bytes], ...] = (blind, blind, _in_members, _in_zip)
    way = ways[number % len(ways)]
    return way(original, rng), original.model if way is not _in_members else None, way.__name__.strip("_")


def main() -> int:
    """Try so many files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one file, to see it again")
    options = parser.parse_args()
    began = time.perf_counter()
    warnings.simplefilter("error")
    counts: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound, path = originals(folder), folder / "model.mixtura"
        watch = Watch(path)
        for each in sound:  # what is imported late is imported now
            path.write_bytes(each.content)
            complaint(path, watch, each.model)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, -1))
        signal.signal(signal.SIGALRM, _too_long)
        for number in range(options.count) if options.only is None else [options.only]:
            content, unchanged, way = mutated(options.seed, number, sound)
            path.write_bytes(content)
            signal.alarm(SECONDS)
            try:
                outcome, reason = complaint(path, watch, unchanged)
            except Exception as error:
                outcome, reason = "crashed", f"{type(error).__name__}: {error}"
                if options.only is not None:
                    raise
            signal.alarm(0)
            counts[f"{way}: {outcome}"] += 1
            if reason:
                wrong += 1
                print(f"--seed {options.seed} --only {number} ({way}): {reason}")
    for outcome, count in sorted(counts.items()):
        print(f"{outcome:24}{count:9,}")
    seconds = time.perf_counter() - began
    print(f"{sum(counts.values()):,} files in {seconds:.0f} s with {MEMORY >> 20} MiB to spare: {wrong:,} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
