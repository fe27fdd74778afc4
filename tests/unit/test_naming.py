"""Legal names: legal in C++, SystemVerilog and file systems, different from each other, and always the same."""

import re
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers.c_cpp import CppLexer
from pygments.lexers.hdl import SystemVerilogLexer
from pygments.token import Keyword

from hwflow.doctor import find_program
from hwflow.graph.naming import Unique, file_stems, identifier, identifiers, is_file_stem, is_identifier, restored
from tests.names import MODEL_NAMES, NAMES

HEADERS = "".join(f"#include <{name}>\n" for name in ("array", "cmath", "complex", "cstdint", "fstream", "iostream"))
ODD = st.text(st.characters(codec=None), max_size=80) | st.sampled_from([*NAMES, *map(str.upper, NAMES)])
SETS = st.lists(ODD, max_size=12)


@given(SETS)
def test_identifiers_are_legal_and_differ_in_more_than_case(names: list[str]) -> None:
    found = identifiers(names)
    assert list(found) == list(dict.fromkeys(names))
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,63}", each) and "__" not in each for each in found.values())
    assert len({each.lower() for each in found.values()}) == len(found)


@given(SETS)
def test_legal_names_stay(names: list[str]) -> None:
    assert all(is_identifier(each) for each in identifiers(names).values())
    assert all(is_file_stem(each) for each in file_stems(names).values())
    assert list(identifiers(identifiers(names).values()).values()) == list(identifiers(names).values())
    assert list(file_stems(file_stems(names).values()).values()) == list(file_stems(names).values())


@given(SETS)
def test_file_stems_are_legal_and_differ_in_more_than_case(names: list[str]) -> None:
    found = file_stems(names)
    assert list(found) == list(dict.fromkeys(names))
    assert all(re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", each) and each[-1] != "." for each in found.values())
    assert len({each.lower() for each in found.values()}) == len(found)


@given(SETS, st.randoms(use_true_random=False))
def test_a_name_always_becomes_the_same(names: list[str], random: object) -> None:
    shuffled = sorted(names, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert identifiers(shuffled) == identifiers(names)
    assert file_stems(shuffled) == file_stems(names)
    for name in names:
        if sum(other.lower() == name.lower() for other in set(names)) == 1:
            assert identifiers(names)[name] == identifier(name)


@given(SETS)
def test_messages_get_the_users_names_back(names: list[str]) -> None:
    found = identifiers(names)
    for name, legal in found.items():
        assert restored(f"{legal}: wrong", found) == f"{name}: wrong"


def test_what_can_stay_stays() -> None:
    for name in ("conv1", "block1_conv2", "layer1_0_conv1", "Dense", "fc1", "dense_1", "image", "logits"):
        assert identifier(name) == name
    assert identifiers(["Dense", "dense"]).keys() == {"Dense", "dense"}
    assert file_stems(["ber-digits-fixed-8-3.0"]) == {"ber-digits-fixed-8-3.0": "ber-digits-fixed-8-3.0"}


def test_what_a_name_becomes_never_changes() -> None:
    # Projects that lie on disks carry these.
    assert identifiers(["1st", "a/b", "Größe", ""]) == {
        "1st": "n_1st_e01ddf65",
        "a/b": "n_a_b_c14cddc0",
        "Größe": "n_groe_aedc3f80",
        "": "n_e3b0c442",
    }


def test_a_name_that_looks_mangled_is_no_collision() -> None:
    mangled = identifier("1st")
    found = identifiers(["1st", mangled])
    assert found[mangled] == mangled
    assert found["1st"] == "n_1st_e01ddf659"


def test_compilers_take_all_identifiers(tmp_path: Path) -> None:
    """Keywords as pygments knows them, more of them than are listed here, and odd names."""
    words = {word for lexer in (CppLexer, SystemVerilogLexer) for word in _keywords(lexer)}
    assert len(words) > 300
    assert not is_identifier("logic")
    assert not is_identifier("template")
    legal = identifiers([*sorted(words), *NAMES, *MODEL_NAMES]).values()
    source, module = tmp_path / "names.cpp", tmp_path / "names.sv"
    functions = "".join(f"void f{index}(int {name}) {{ (void){name}; }}\n" for index, name in enumerate(legal))
    source.write_text(HEADERS + functions)
    module.write_text("module names;\n" + "".join(f"    logic {name};\n" for name in legal) + "endmodule\n")
    _succeeds("g++", "-std=c++17", "-fsyntax-only", source)
    _succeeds("iverilog", "-g2012", "-t", "null", module)
    _succeeds(find_program("verilator"), "--lint-only", "-Wno-fatal", module)


def test_no_macro_is_an_identifier(tmp_path: Path) -> None:
    source = tmp_path / "macros.cpp"
    source.write_text(HEADERS)
    lines = _succeeds("g++", "-std=gnu++17", "-dM", "-E", source).splitlines()
    macros = {line.split()[1] for line in lines}
    assert len(macros) > 500
    assert not {macro for macro in macros if is_identifier(macro)}  # those with arguments need a bracket to matter


def test_unique_names() -> None:
    unique = Unique(["s_axis"])
    assert [unique(name) for name in ("s_a", "s_axis", "S_A", "s_a", "s_a_2")] == [
        "s_a",
        "s_axis_2",
        "S_A_2",
        "s_a_3",
        "s_a_2_2",
    ]


def _succeeds(program: object, *arguments: object) -> str:
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _keywords(lexer: type) -> set[str]:
    """Words that pygments colours as keywords, from the tables of a lexer and of those that it extends."""
    found: set[str] = set()
    for cls in lexer.__mro__:
        for rules in getattr(cls, "tokens", {}).values():
            for rule in rules:
                if isinstance(rule, tuple) and len(rule) > 1 and rule[1] in Keyword:
                    words = getattr(rule[0], "words", None)
                    found |= set(words or re.findall(r"[a-z][a-z0-9_]+", str(rule[0])))
    return found
