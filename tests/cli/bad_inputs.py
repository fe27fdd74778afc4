"""Bad inputs, as a table: each is one line on standard error, a status that is not 0, and no file more or less.

To add a case, append to one of the lists. A case is a command line, which runs in a folder that holds the good inputs
of :func:`tests.cli.test_bad_inputs.kit`; what to do to that folder before; and words that the line must have.
"""

import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Change = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A bad input.

    Attributes:
        command: words after ``hwflow``.
        words: parts of the line that it ends with.
        change: what is done before, in the current folder.
        name: of the case, where the command does not tell it.
    """

    command: str
    words: tuple[str, ...]
    change: Change = lambda: None
    name: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.command, self.name]))[:150]


def case(command: str, *words: str, change: Change = lambda: None, name: str = "") -> Case:
    return Case(command, words, change, name)


def write(path: str, content: str | bytes) -> Change:
    """Write a file."""
    return lambda: Path(path).write_bytes(content.encode() if isinstance(content, str) else content)


def edit(path: str, change: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of a file."""
    return lambda: Path(path).write_bytes(change(Path(path).read_bytes()))


def remove(path: str) -> Change:
    return lambda: shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def folder_instead(path: str) -> Change:
    def change() -> None:
        Path(path).unlink()
        Path(path).mkdir()

    return change


def link_to_itself(path: str) -> Change:
    def change() -> None:
        Path(path).unlink()
        Path(path).symlink_to(Path(path).name)

    return change


def json_with(path: str, **values: Any) -> Change:
    """Change keys of a JSON file."""
    return edit(path, lambda content: json.dumps({**json.loads(content), **values}).encode())


def without(path: str, key: str) -> Change:
    """Remove a key of a JSON file."""
    return edit(path, lambda content: json.dumps({k: v for k, v in json.loads(content).items() if k != key}).encode())


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


DEEP = "[" * 100_000
HUGE = "1" * 5000
DAMAGES: dict[str, Callable[[str], Change]] = {
    "missing": remove,
    "empty": lambda path: write(path, b""),
    "truncated": lambda path: edit(path, half),
    "longer": lambda path: edit(path, lambda content: content + b"x"),
    "of another kind": lambda path: write(path, b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "a folder": folder_instead,
    "a ring of links": link_to_itself,
}
"""What may happen to any file."""


def damaged(command: str, path: str, *words: str, leave_out: tuple[str, ...] = ()) -> list[Case]:
    """A case for everything that may happen to a file."""
    name = Path(path).name
    return [
        case(command, *(words or (name,)), change=damage(path), name=f"({path} {what})")
        for what, damage in DAMAGES.items()
        if what not in leave_out
    ]


def zip_with(path: str, **members: bytes) -> Change:
    def change() -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", "."), content)

    return change


def arrays(path: str, **content: Any) -> Change:
    return lambda: np.savez(path, **content)


# --- model files ---------------------------------------------------------------------------------------------------

HARDEN = "harden {} --calibration data.npz -o out"
EMULATE = "emulate {} --random 3"


def model_cases(command: str) -> list[Case]:
    run = command.format
    cases = [
        *damaged(run("model.h5"), "model.h5", leave_out=("longer",)),
        *damaged(run("model.keras"), "model.keras", leave_out=("longer",)),
        *damaged(run("model.json"), "model.json"),
        *damaged(run("model.json"), "model_weights.h5", leave_out=("longer",)),
        case(run("nowhere.h5"), "nowhere.h5"),
        case(run("digits_cnnn"), "digits_cnnn", "digits_cnn"),
        case(run("model.onnx"), "model.onnx", change=write("model.onnx", b"x")),
        case(run("model.h5"), "model.h5", change=write("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(2000)), name="(zeros)"),
        case(run("weights.h5"), "weights.h5", change=lambda: shutil.copy("model_weights.h5", "weights.h5")),
        case(run("x.keras"), "x.keras", change=zip_with("x.keras", other__json=b"{}")),
        case(run("x.keras"), "x.keras", change=zip_with("x.keras", config__json=b"{"), name="(no JSON)"),
        case(run("x.keras"), "x.keras", change=zip_with("x.keras", config__json=DEEP.encode()), name="(deep)"),
        case(run("x.keras"), "x.keras", change=zip_with("x.keras", config__json=b"\xff\xfe"), name="(no text)"),
    ]
    for name, text in {
        "a list": "[]", "a number": "3", "text": '"model"', "null": "null", "deep": DEEP, "huge": HUGE,
        "no class": "{}", "another class": '{"class_name": "Lambda", "config": {}}',
        "no config": '{"class_name": "Sequential"}', "a config that is none": '{"class_name": "Sequential", "config": 3}',
        "layers that are none": '{"class_name": "Sequential", "config": {"name": "x", "layers": 3}}',
    }.items():  # fmt: skip
        cases.append(case(run("model.json"), "model.json", change=write("model.json", text), name=f"({name})"))
    return cases


MODELS = [*model_cases(HARDEN), *model_cases(EMULATE)]

# --- arrays --------------------------------------------------------------------------------------------------------

IMAGES = np.zeros((4, 8, 8, 1))


def data_cases(command: str, labels: bool = True) -> list[Case]:
    run = command.format("bad.npz")
    x: dict[str, Any] = {
        "one axis": np.zeros(5), "no images": np.zeros((0, 8, 8, 1)), "text": np.array(["a", "b"]),
        "complex": IMAGES + 1j, "objects": np.array([{}, {}], dtype=object), "NaN": IMAGES + np.nan,
        "infinite": IMAGES + np.inf, "too large for float32": IMAGES + 1e300, "another shape": np.zeros((4, 9, 8, 1)),
        "channels first": np.zeros((4, 1, 8, 8)), "a number": np.array(3.0), "dates": np.zeros((2, 8), "M8[s]"),
    }  # fmt: skip
    y: dict[str, Any] = {
        "another length": np.zeros(3, int), "fractions": np.full(4, 0.5), "negative": np.full(4, -1),
        "too large": np.full(4, 10), "text": np.array(["a"] * 4), "a cube": np.zeros((4, 2, 2), int),
        "objects": np.array([None] * 4, dtype=object),
    }  # fmt: skip
    start = command.format("data.npz")
    cases = [
        *damaged(start, "data.npz", "data", leave_out=("longer",)),
        case(run, "bad.npz", name="(not there)"),
        case(run, "bad", change=write("bad.npz", npy(header("4, 8")) + bytes(256)), name="(.npy)"),
        case(run, "bad", change=arrays("bad.npz", images=IMAGES), name="(no x)"),
        case(run, "bad", change=arrays("bad.npz"), name="(no arrays)"),
        case(run, "bad", change=zip_with("bad.npz", x__npy=b"\x93NUMPY\x01\x00\xff\xff"), name="(header cut)"),
        case(run, "bad", change=zip_with("bad.npz", x__npy=npy("{'descr':")), name="(header no dict)"),
        case(run, "bad", change=zip_with("bad.npz", x__npy=npy("(" * 5000)), name="(header deep)"),
        case(run, "bad", change=zip_with("bad.npz", x__npy=npy(header(HUGE))), name="(header huge)"),
        case(run, "bad", change=zip_with("bad.npz", x__npy=npy(header("1000000000, 1000000"))), name="(shape huge)"),
        case(run, "bad", change=zip_with("bad.npz", x__npy=npy(header("-1, 8"))), name="(shape negative)"),
        case(run, "data", change=edit("data.npz", lambda content: content[:300] + b"!" + content[301:]), name="(byte)"),
        *(case(run, "bad", change=arrays("bad.npz", x=value), name=f"(x: {name})") for name, value in x.items()),
    ]
    cases = [
        each if each.name != "(byte)" else case(start, "data", change=each.change, name="(a byte)") for each in cases
    ]
    if labels:
        cases += [
            case(run, "bad", change=arrays("bad.npz", x=IMAGES, y=value), name=f"(y: {name})")
            for name, value in y.items()
        ]
    return cases


def npy(text: str) -> bytes:
    encoded = text.encode()
    return b"\x93NUMPY\x02\x00" + len(encoded).to_bytes(4, "little") + encoded


def header(shape: str) -> str:
    return f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape},), }}"


DATA = [
    *data_cases("evaluate design --data {}"),
    *data_cases("harden digits_cnn -o out --calibration {}", labels=False),
    *data_cases("simulate design --data {} --simulator icarus --images 2", labels=False),
    *data_cases("emulate design/model.h5 --data {}", labels=False),
]

# --- designs -------------------------------------------------------------------------------------------------------

DESIGN_FILES = ("design.json", "graph.json", "arrays.npz", "model.h5")
DESIGNS = [
    *(each for name in DESIGN_FILES for each in damaged("evaluate design --data digits", f"design/{name}", "design")),
    *(each for name in DESIGN_FILES for each in damaged("generate design -o out", f"design/{name}", "design")),
    *(
        case(f"{command} {path}", path.split("/")[-1])
        for command in ("evaluate --data digits", "simulate --data digits", "generate -o out")
        for path in ("nowhere", "data.npz", "pictures", "project")
    ),
]
for what, change in {
    "a list": write("design/design.json", "[]"),
    "deep": write("design/design.json", DEEP),
    "huge": write("design/design.json", HUGE),
    "a huge number": json_with("design/design.json", format_version=10**400),
    "another format": json_with("design/design.json", format="hwflow-project"),
    "a newer version": json_with("design/design.json", format_version=99),
    "another hash": json_with("design/design.json", sha256="0" * 64),
    "other files": json_with("design/design.json", files={}),
    "files that are none": json_with("design/design.json", files=3),
    "another name": json_with("design/design.json", name="\x1b[31mx"),
    "no hash": without("design/design.json", "sha256"),
    "no plan": without("design/design.json", "plan"),
    "nan": json_with("design/design.json", seed=float("nan")),
}.items():
    DESIGNS.append(case("evaluate design --data digits", "design", change=change, name=f"({what})"))

# --- projects ------------------------------------------------------------------------------------------------------

CSIM = "evaluate design --data digits --images 2 --executor csim --project project"
RTL = "simulate design --data digits --images 2 --simulator icarus --project project"
PROJECTS = [
    *damaged(CSIM, "project/project.json", "project", leave_out=("longer",)),
    *damaged(RTL, "project/project.json", "project", leave_out=("longer",)),
    *damaged(CSIM, "project/firmware/hwflow.json", "project"),
    # Only these, because the float network runs before the project's RTL is opened.
    case(RTL, "project", change=write("project/rtl/rtl.json", b"{"), name="(rtl.json)"),
    case(CSIM, "project", change=remove("project/firmware"), name="(no firmware)"),
    case(RTL, "project", change=remove("project/rtl"), name="(no RTL)"),
    case("evaluate design --data digits --project project", "project", "csim"),
    case("evaluate design --data digits --executor keras --project project", "project", "csim"),
]
for what, change in {
    "a list": write("project/project.json", "[]"),
    "deep": write("project/project.json", DEEP),
    "another design": json_with("project/project.json", design_sha256="0" * 64),
    "another version": json_with("project/project.json", hwflow="0.0.0"),
    "layers that are none": json_with("project/project.json", layers=3),
    "layers of numbers": json_with("project/project.json", layers=[1]),
    "no layers": without("project/project.json", "layers"),
    "notes that are none": json_with("project/project.json", notes=3),
    "sizes that are none": json_with("project/project.json", bytes=3),
    "no sizes": json_with("project/project.json", bytes={}),
}.items():
    PROJECTS.append(case(CSIM, "project", change=change, name=f"({what})"))
    PROJECTS.append(case(RTL, "project", change=change, name=f"({what})"))

# --- fault lists ---------------------------------------------------------------------------------------------------

LIST = "faults.json"
FAULTS_COMMAND = f"evaluate design --data digits --images 2 --faults {LIST}"


def memory_with(**values: Any) -> Change:
    """Change the first memory of the fault list."""

    def change() -> None:
        data = json.loads(Path(LIST).read_text())
        data["memories"][0] |= values
        Path(LIST).write_text(json.dumps(data))

    return change


def faults_with(**values: Any) -> Change:
    """Change the faults of the first memory that has any."""

    def change() -> None:
        data = json.loads(Path(LIST).read_text())
        next(iter(data["faults"].values())).update(values)
        Path(LIST).write_text(json.dumps(data))

    return change


FAULTS = [
    *damaged(FAULTS_COMMAND, LIST),
    case("evaluate design --data digits --faults nowhere.json", "nowhere.json"),
    case("simulate design --data digits --simulator icarus --faults data.npz", "data.npz"),
    case(f"evaluate other --data digits --faults {LIST}", "another design"),
    *(
        case(FAULTS_COMMAND, LIST, change=without(LIST, key), name=f"(no {key})")
        for key in ("format", "version", "model_hash", "source", "memories", "faults")
    ),
]
for what, change in {
    "a list": write(LIST, "[]"),
    "deep": write(LIST, DEEP),
    "huge": write(LIST, HUGE),
    "format": json_with(LIST, format="hwflow faults"),
    "version": json_with(LIST, version=2),
    "version text": json_with(LIST, version="1"),
    "hash of another": json_with(LIST, model_hash="0" * 64),
    "hash a number": json_with(LIST, model_hash=3),
    "seed text": json_with(LIST, seed="3"),
    "seed fraction": json_with(LIST, seed=0.5),
    "source a list": json_with(LIST, source=[]),
    "memories an object": json_with(LIST, memories={}),
    "memories none": json_with(LIST, memories=[]),
    "memories numbers": json_with(LIST, memories=[1]),
    "faults a list": json_with(LIST, faults=[]),
    "faults none": json_with(LIST, faults={}),
    "faults elsewhere": json_with(LIST, faults={"nowhere.weight": {"word": [0], "bit": [0]}}),
    "faults numbers": json_with(LIST, faults={"conv1.weight": 3}),
    "name another": memory_with(name="conv9.weight"),
    "name a number": memory_with(name=3),
    "words 0": memory_with(words=0),
    "words negative": memory_with(words=-1),
    "words text": memory_with(words="9"),
    "words fraction": memory_with(words=1.5),
    "words true": memory_with(words=True),
    "words one more": memory_with(words=73),
    "words huge": memory_with(words=10**30),
    "words at the limit": memory_with(words=2**62),
    "bits 0": memory_with(bits=0),
    "bits many": memory_with(bits=40_000),
    "bits huge": memory_with(bits=10**30),
    "flips more": memory_with(flips=10**6),
    "flips text": memory_with(flips="1"),
    "word text": faults_with(word=["1"]),
    "word negative": faults_with(word=[-1], bit=[0]),
    "word outside": faults_with(word=[10**9], bit=[0]),
    "word huge": faults_with(word=[10**30], bit=[0]),
    "word over int64": faults_with(word=[2**64 - 1], bit=[0]),
    "word fraction": faults_with(word=[0.5], bit=[0]),
    "word a number": faults_with(word=3),
    "word nested": faults_with(word=[[1]], bit=[[1]]),
    "word ragged": faults_with(word=[1, [2]], bit=[1, 2]),
    "word null": faults_with(word=[None], bit=[0]),
    "word true": faults_with(word=[True], bit=[0]),
    "bit outside": faults_with(word=[0], bit=[8]),
    "bit negative": faults_with(word=[0], bit=[-1]),
    "bit huge": faults_with(word=[0], bit=[10**30]),
    "bits fewer": faults_with(word=[0, 1], bit=[0]),
    "twice": faults_with(word=[0, 0], bit=[0, 0]),
    "one less": faults_with(word=[0], bit=[0]),
}.items():
    FAULTS.append(case(FAULTS_COMMAND, "fault list", change=change, name=f"({what})"))

# --- campaigns -----------------------------------------------------------------------------------------------------

CAMPAIGN = "campaign spec.toml -o new.sqlite"
NOT_THE_SPECS = ("digits_cnnn", "nowhere", "resnet20", "10000", "labels", "preprocessing")
"""Mistakes that show when the spec's networks and images are opened."""
SPECS = [
    case("campaign nowhere.toml -o new.sqlite", "nowhere.toml"),
    *damaged(CAMPAIGN, "spec.toml", leave_out=("empty", "truncated")),
]
for text in (
    "models = ", "models = []", "models = [3]", 'models = ["digits_cnnn"]', 'models = "nowhere.h5"', "models = 3",
    'modles = ["digits_cnn"]', 'models = ["digits_cnn", "digits_cnn"]', 'models = [{ model = 3 }]',
    'models = [{ name = "x" }]', 'models = [{ model = "resnet20" }]', 'models = [{ model = "digits_cnn", classes = "3" }]',
    "formats = []", "formats = [3]", 'formats = ["int8"]', 'formats = ["ap_fixed<99,3>"]', 'formats = ["fp32", "fp32"]',
    "t = []", 't = ["best"]', "t = [-1]", "t = [0]", "t = [nan]", "t = [inf]", "t = [true]",
    "ber = []", "ber = [2]", "ber = [-0.1]", "ber = [nan]", 'ber = ["x"]', "ber = [0.1, 0.1]", "ber = { a = 1 }",
    'protections = ["secded"]', 'protections = ["x"]', 'where = ["here"]', "where = [3]",
    "rounds = 0", "rounds = -1", "rounds = 1.5", 'rounds = "3"', "rounds = true", "rounds = 100000000000000000000",
    "max_rounds = 0", "until_ci = 0", "until_ci = -1", "until_ci = nan", 'until_ci = "x"', "seed = -1", "seed = 0.5",
    'interval = "normal"', "images = 0", "images = 10000", 'data = "nowhere.npz"', "data = 3", 'labels = "x.txt"',
    'preprocessing = "cifar"', 'preprocessing = "x"', 'executor = "csim"', 'msb = "x"', 'scale = "x"', "faults = 3",
    "[faults]\nmodel = 3", '[faults]\nmodel = "x"', "[faults]\nbits = []", "[faults]\nbits = [1.5]",
    '[faults]\nbits = ["x"]', "[faults]\nbits = [99]", "[faults]\nlayers = []", '[faults]\nlayers = ["nowhere"]',
    '[faults]\nmodel = "clustered"\nsizes = ["a"]', '[faults]\nmodel = "clustered"\nsizes = []', "[faults]\nup = nan",
    "[faults]\nx = 1", "[physics]\nfit_per_mbit = 1", "[physics]\nscrub_interval = 1", "[physics]\nx = 1", "a" * 3000,
    "x = " + "[" * 5000, "rounds = " + HUGE,
):  # fmt: skip
    word = next((word for word in NOT_THE_SPECS if word in text), "spec.toml")
    SPECS.append(case(CAMPAIGN, word, change=write("spec.toml", text), name=f"({text[:60]})"))

RESULTS_FILES: list[Case] = []
for command in ("report results.sqlite -o out", "campaign -o results.sqlite --status"):
    RESULTS_FILES += damaged(command, "results.sqlite", leave_out=("longer", "truncated"))
RESULTS_FILES += [
    case(f"{command}", "nowhere.sqlite")
    for command in ("report nowhere.sqlite -o out", "campaign -o nowhere.sqlite --status", "campaign -o nowhere.sqlite")
]


def database(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (name TEXT)")
    connection.commit()
    connection.close()


RESULTS_FILES += [
    case(command, "people.db", change=partial(database, "people.db"))
    for command in ("report people.db", "campaign -o people.db --status", "campaign spec.toml -o people.db")
]
RESULTS_FILES += [
    case("campaign spec.toml -o results.sqlite --seed 9", "results.sqlite", "seed"),
    case("campaign spec.toml -o pictures", "pictures"),
    case("campaign spec.toml -o nowhere/x.sqlite", "nowhere"),
    case("campaign spec.toml -o data.npz", "data.npz"),
    case("campaign -o results.sqlite --status --rounds 3", "--rounds"),
    case("campaign spec.toml -o results.sqlite --status", "SPEC"),
    case("campaign -o results.sqlite --status --dask local", "--dask"),
    case("campaign spec.toml -o new.sqlite --dask here", "--dask", "here"),
    case("campaign spec.toml -o new.sqlite --dask local:x", "--dask"),
    case("campaign spec.toml -o new.sqlite --dask local:0", "--dask"),
    case("campaign spec.toml -o new.sqlite --rounds 0", "--rounds"),
    case("campaign spec.toml -o new.sqlite --until-ci 0", "until_ci"),
    case("campaign spec.toml -o new.sqlite --until-ci nan", "until_ci"),
    case("campaign spec.toml -o new.sqlite --until-ci x", "--until-ci"),
    case("campaign spec.toml -o new.sqlite --max-rounds 5", "--max-rounds"),
    case("report results.sqlite --csv x.csv --force", "--force"),
    case("report results.sqlite -o pictures", "pictures", "exists"),
    case("report results.sqlite -o pictures --force", "pictures", "not a report"),
    case("report results.sqlite --csv nowhere/x.csv", "--csv", "nowhere"),
    case("report results.sqlite --parquet pictures", "--parquet", "folder"),
]

# --- image folders and labels --------------------------------------------------------------------------------------

FOLDER = "evaluate design --data pictures"
LABELLED = f"{FOLDER} --labels labels.txt"
PICTURES = [
    case(FOLDER, "pictures", name="(another shape)"),
    case(
        FOLDER, "pictures", change=lambda: [each.unlink() for each in Path("pictures/cat").iterdir()], name="(no cat)"
    ),
    case(FOLDER, "pictures", change=lambda: shutil.rmtree("pictures/cat"), name="(one class)"),
    case(
        FOLDER,
        "pictures",
        change=lambda: [each.write_bytes(b"") for each in Path("pictures").rglob("*.png")],
        name="(empty)",
    ),
    case(
        FOLDER,
        "pictures",
        change=lambda: [each.write_bytes(b"GIF89a") for each in Path("pictures").rglob("*.png")],
        name="(no images)",
    ),
    case("evaluate design --data flat --labels labels.txt --images 99", "flat"),
    case(f"{FOLDER} --preprocessing none", "--preprocessing"),
    case(f"{FOLDER} --labels nowhere.txt", "nowhere.txt"),
    case("evaluate design --data flat --labels pictures", "meta.mat"),
    case("evaluate design --data flat", "flat", "labels"),
    case("evaluate design --data empty", "empty", "no images", change=lambda: os.mkdir("empty")),
    case("evaluate design --data digits --labels labels.txt", "digits"),
    case("evaluate design --data data.npz --labels labels.txt", "data.npz"),
    case("evaluate design --data data.npz --preprocessing unit", "data.npz"),
    case("simulate design --data digits --labels labels.txt --simulator icarus", "digits"),
    case("simulate design --data data.npz --preprocessing unit --simulator icarus", "data.npz"),
    case("harden digits_cnn -o out --preprocessing unit", "digits"),
    case("paper table1 --data digits --labels labels.txt", "digits"),
    case("paper table1 --data data.npz --preprocessing unit", "data.npz"),
    case("emulate design/model.h5 --data pictures", "pictures"),
    case("harden digits_cnn -o out --calibration pictures", "pictures"),
    *damaged("evaluate design --data flat --labels labels.txt", "labels.txt", leave_out=("longer", "truncated")),
]
for text in ("x", "000.png", "000.png cat", "000.png -1", "000.png 1.5", "000.png 99", "000.png " + HUGE, "nowhere.png 1",
             "000.png 1\n000.png 1", "../000.png 1", "\n\n", "000.png 1 2 3 4\n", "\x1b[31m000.png 1"):  # fmt: skip
    PICTURES.append(
        case(
            "evaluate design --data flat --labels labels.txt",
            "flat" if "99" in text else "labels.txt",
            change=write("labels.txt", text),
            name=f"({text[:30]!r})",
        )
    )

# --- state dicts ---------------------------------------------------------------------------------------------------

STATES: list[Case] = []
for suffix in ("npz", "safetensors"):
    run = f"harden resnet20 --torch-weights state.{suffix} --calibration pictures -o out"
    STATES += damaged(run, f"state.{suffix}", leave_out=("longer",))
    STATES.append(case(run, f"state.{suffix}", "resnet20", name="(of another network)"))


def tensors(text: str, data: bytes = bytes(8)) -> Change:
    encoded = text.encode()
    return write("state.safetensors", len(encoded).to_bytes(8, "little") + encoded + data)


SAFE = "harden resnet20 --torch-weights state.safetensors --calibration pictures -o out"
for text in (
    "{", "[]", "3", "null", DEEP, HUGE, '{"w": 3}', '{"w": {}}', '{"w": {"dtype": "F32"}}',
    '{"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}',
    '{"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
    '{"w": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}',
    '{"w": {"dtype": "F32", "shape": [2.5], "data_offsets": [0, 8]}}',
    '{"w": {"dtype": "F32", "shape": "22", "data_offsets": [0, 8]}}',
    '{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}',
    '{"w": {"dtype": "F32", "shape": [2], "data_offsets": ["0", "8"]}}',
    '{"w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}',
    '{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 99999]}}',
    '{"w": {"dtype": "F32", "shape": [99999999999999999999], "data_offsets": [0, 8]}}',
    '{"w": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}',
    '{"w": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]}}',
    '{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
):  # fmt: skip
    STATES.append(case(SAFE, "state.safetensors", change=tensors(text), name=f"({text[:90]})"))
STATES += [
    case(SAFE, "safetensors", change=write("state.safetensors", b"\xff" * 16), name="(size)"),
    case(SAFE, "safetensors", change=write("state.safetensors", b"\x08"), name="(one byte)"),
    case("harden resnet20 -o out --calibration pictures", "--torch-weights"),
    case("harden resnet20 --torch-weights nowhere.npz -o out --calibration pictures", "nowhere.npz"),
    case("harden resnet20 --torch-weights labels.txt -o out --calibration pictures", "labels.txt"),
    case("harden digits_cnn --torch-weights state.npz -o out", "digits_cnn"),
    case("harden model.h5 --torch-weights state.npz -o out --calibration data.npz", "model.h5"),
    case("harden digits_cnn --classes 3 -o out", "digits_cnn"),
    case("harden digits_cnn --image-size 3 -o out", "digits_cnn"),
]  # fmt: skip

# --- options -------------------------------------------------------------------------------------------------------

OPTIONS = [
    *(
        case(f"harden digits_cnn -o out {option}", word)
        for option, word in {
            "--protect hamming": "hamming", "--protect byte4": "labels have 5, 6, 7 bits", "--protect cep0": "1 or more",
            "--protect byte7 --weights ap_fixed<6,2>": "8 bits, not 6", "--protect zero-space --weights ap_fixed<6,2>": "6 bits",
            "--protect value-aware --weights ap_fixed<4,2>": "8 bits", "--protect tmr:1e-2": "not fitted",
            "--protect parity --weights ap_fixed<12,3>": "4096", "--protect mset3": "no room", "--protect repeat9": "repeat9",
            "--protect zero-space --outliers 0.1": "outliers", "--weights int8": "int8", "--weights ap_fixed<0,0>": "ap_fixed<0,0>", "--weights ap_fixed<8,3": "ap_fixed",
            "--weights ap_ufixed<8,3>": "signed", "--weights ap_fixed<99999999999999999999,3>": "ap_fixed",
            "--t 0": "t=0", "--t -1": "t=-1", "--t nan": "t=nan", "--t inf": "t=inf", "--t 5": "t=5", "--t x": "--t",
            "--t 1e400": "t=inf", "--scale half": "--scale", "--granularity row": "--granularity",
            "--align x": "--align", "--compensation x": "--compensation", "--outliers 1": "outliers=1",
            "--outliers -1": "outliers=-1", "--outliers nan": "outliers=nan", "--activation-bits 7": "activation_bits=7",
            "--activation-bits 17": "activation_bits=17", "--activation-bits 99999999999999999999": "activation_bits",
            "--activation-bits x": "--activation-bits", "--guard-bits -1": "guard_bits=-1",
            "--guard-bits 99999999999999999999": "guard_bits", "--calibration nowhere": "nowhere",
            "--calibration-images 0": "--calibration-images", "--seed -1": "--seed", "--seed x": "--seed",
            "--absorb": "--absorb", "--absorb --granularity channel --compensation layer": "--absorb",
            "--scale none --t 1": "--t", "--scale none --align multiply": "--align",
            "--scale none --granularity channel": "--granularity", "--scale none --compensation layer": "--compensation",
            "--json nowhere/x.json": "--json", "--json pictures": "--json", "--nonsense": "--nonsense", "extra": "extra",
            f"--guard-bits {HUGE}": "--guard-bits",
        }.items()
    ),
    case("harden", "MODEL"),
    case("harden digits_cnn", "--output"),
    case("harden digits_cnn -o design", "design", "--force"),
    case("harden digits_cnn -o pictures --force", "pictures", "not a design"),
    case("harden digits_cnn -o data.npz", "data.npz", "exists"),
    case("harden digits_cnn -o data.npz/out", "data.npz"),
    case(f"harden digits_cnn -o {'n' * 300}", "nnn"),
    case("harden model.h5 -o out", "--calibration"),
    *(
        case(f"generate design -o out {option}", word)
        for option, word in {
            "--reuse 0": "--reuse", "--reuse x": "--reuse", "--target-cycles 0": "--target-cycles",
            "--reuse 8 --target-cycles 100": "not both", "--io-type x": "--io-type", "--no-rtl --no-firmware": "--no-",
            "--no-firmware --bram-ports": "--bram-ports", "--data nothing": "nothing", "--data pictures": "pictures",
            "--no-firmware --io-type io_parallel": "--io-type", f"--reuse {HUGE}": "--reuse",
            "--target-fps 100": "--clock", "--clock 100": "--clock", "--target-fps 0 --clock 100": "--target-fps",
            "--target-fps 9 --clock 9 --target-cycles 9": "--target-cycles", "--synth x": "--synth",
            "--synth yosys --no-rtl": "--synth", "--no-rtl --loadable": "--loadable",
            "--no-rtl --uram": "--uram", "--uram": "--part", "--uram --part xc7a35t": "xc7a35t", "--part xc7a35t --reuse 1": "xc7a35t",
        }.items()
    ),
    case("generate design --estimate --bram-ports", "--bram-ports"),
    case("generate", "DESIGN"),
    case("generate design", "--output"),
    case("generate design -o project", "project", "--force"),
    case("generate design -o other --force", "other", "not a project"),
    *(
        case(f"evaluate design --data digits {option}", word)
        for option, word in {
            "--ber 2": "--ber", "--ber -1": "--ber", "--ber nan": "--ber", "--ber x": "--ber", "--ber inf": "--ber",
            "--rounds 0 --ber 0.1": "--rounds", "--rounds 3": "bit error rate", "--faulty-biases": "bit error rate",
            f"--rounds 3 --faults {LIST}": "bit error rate", f"--faulty-biases --faults {LIST}": "bit error rate",
            f"--ber 0.1 --faults {LIST}": "not both", "--layers conv1": "bit error rate",
            "--ber 0.1 --layers conv9": "conv9", "--ber 0.1 --rounds 99999999999999": "rounds=99999999999999",
            "--save-faults lists": "bit error rate", "--ber 0.1 --save-faults pictures": "pictures",
            "--images 0": "--images", "--images 501": "501", "--images 99999999999999999999": "99999999999999999999",
            "--executor fpga": "--executor", "--executor keras --ber 0.1": "reference", "--threads 0": "--threads",
            "--executor csim --threads 2": "threads=2", "--executor keras --threads 2": "threads=2",
            "--threads 99999999": "threads=99999999", "--executor csim --project nowhere": "nowhere", "--seed -1": "--seed",
            f"--executor keras --faults {LIST}": "reference", "--data": "--data", f"--images {HUGE}": "--images",
        }.items()
    ),
    case("evaluate design", "--data"),
    case("evaluate --data digits", "DESIGN"),
    case("evaluate design --data nowhere", "nowhere"),
    *(
        case(f"simulate design --data digits --simulator icarus {option}", word)
        for option, word in {
            "--ber 2": "--ber", "--ber nan": "--ber", "--rounds 3": "bit error rate", "--faulty-biases": "bit error rate",
            "--upset-cycle 5": "needs faults", "--upset-cycle -1 --ber 0.1": "--upset-cycle", "--images 0": "--images",
            "--upset-cycle 5 --ber 0.1 --csim": "no clock cycles", f"--ber 0.1 --faults {LIST}": "not both",
            "--images 501": "501", "--simulator x": "--simulator", "--project nowhere": "nowhere",
            "--faults nowhere.json": "nowhere.json", "--max-loss -1": "--max-loss", "--max-loss nan": "--max-loss",
            "--min-accuracy 101": "--min-accuracy", "--min-accuracy nan": "--min-accuracy", "--seed x": "--seed",
        }.items()
    ),
    *(
        case(f"emulate model.h5 {option}", word)
        for option, word in {
            "": "--random", "--random 0": "--random", "--random 3 --data data.npz": "--random",
            "--random 3 --images 2": "--images", "--random 100000000000000": "--random 100000000000000",
            "--random 3 --precision x": "x", "--random 3 --precision fixed<0,0>": "fixed<0,0>",
            "--random 3 --io-type x": "--io-type", "--random 3 --granularity x": "--granularity",
            "--random 3 --hls-config nowhere.yml": "nowhere.yml", "--random 3 --hls-config data.npz": "data.npz",
            "--random 3 -o x.txt": "x.txt", "--random 3 -o nowhere/x.npz": "nowhere", "--random x": "--random",
            "--data digits --images 501": "501", "--random 3 --seed -1": "--seed", f"--random {HUGE}": "--random",
        }.items()
    ),
    *(
        case("emulate model.h5 --random 3 --hls-config config.yml", "config.yml", change=write("config.yml", text), name=f"({text[:30]})")
        for text in ("", "[", "[1]", "3", "a: b", "Model: 3", "[" * 5000, "a: &a [*a]", "Model: {Precision: 3}", "!!python/name:os.getcwd", "\x00", "Model: {Precision: nonsense}")
    ),
    *(
        case(f"paper {option}", word)
        for option, word in {
            "fig2 --ber 2": "--ber", "fig2 --ber nan": "--ber", "fig2 --rounds 1": "--rounds", "fig2 --c 0": "constants",
            "fig2 --c nan": "constants", "fig2 --format int8": "int8", "fig2 --figure x.gif": "--figure",
            "fig2 --figure nowhere/x.svg": "--figure", "fig2 --msb x": "--msb", "fig2 --format ap_fixed<8,3> --msb none": "--msb",
            "fig3 --model nowhere": "nowhere", "fig3 --data nowhere": "nowhere", "fig3 --rounds 0": "--rounds",
            "fig3 --images 0": "--images", "fig3 --images 9999": "9999", "fig3 --format int8": "int8", "fig3 --figure x": "--figure",
            "fig3 --results data.npz": "data.npz", "fig3 --results nowhere/x": "nowhere", "table1 --model resnet20": "resnet20",
            "table1 --weights state.npz": "digits_cnn", "table1 --classes 3": "digits_cnn", "table1 --model model.onnx": "model.onnx",
            "table2 --format ap_fixed<8,3> --msb clamp": "--msb", "table2 --msb x": "--msb", "logits --ber 2": "--ber",
            "logits --rounds 3": "--rounds", "logits --msb none": "--msb", "logits --format fp32 --calibration digits": "--calibration",
            "logits --ber 0.1 --format ap_fixed<8,3> --msb none": "--msb", "nonsense": "nonsense", "table1 --seed -1": "--seed",
        }.items()
    ),
    case("demo -o pictures", "pictures", "--force"),
    case("demo -o pictures --force", "pictures", "not a demo"),
    case("demo -o out --simulator x", "--simulator"),
    case("demo -o out --seed -1", "--seed"),
    case("doctor extra", "extra"),
    case("doctor --seed x", "--seed"),
    case("doctor --json nowhere/x", "nowhere"),
    case("hardne", "hardne"),
    case("--nonsense", "--nonsense"),
]  # fmt: skip

ALL = [*MODELS, *DATA, *DESIGNS, *PROJECTS, *FAULTS, *SPECS, *RESULTS_FILES, *PICTURES, *STATES, *OPTIONS]
