"""Names that generated files may have, made from names that users gave.

Keras allows nearly anything as the name of a layer or model. What is pasted into C++, SystemVerilog, Tcl, YAML or a
path comes from here, and nowhere else are collisions resolved. A name that can be used as it is stays as it is; any
other becomes ``n_<what can be read of it>_<hash>``. The graph, tables, JSON and fault lists keep the users' names.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

LONGEST = 64
"""Characters of a legal name; with what is appended to it, a file name stays below every file system's limit."""
_READABLE = 32  # characters of the user's name in a mangled one
_HASH = 8  # hexadecimal digits of its hash


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


CPP_KEYWORDS = _words(
    """
    alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor bool break case
    catch char char16_t char32_t char8_t class co_await co_return co_yield compl concept const const_cast consteval
    constexpr constinit continue decltype default delete do double dynamic_cast else enum explicit export extern
    false final float for friend goto if import inline int long module mutable namespace new noexcept not not_eq
    nullptr operator or or_eq override private protected public reflexpr register reinterpret_cast requires return
    short signed sizeof static static_assert static_cast struct switch synchronized template this thread_local throw
    true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq
    """
)
VERILOG_KEYWORDS = _words(
    """
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind
    bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config
    const constraint context continue cover covergroup coverpoint cross deassign default defparam design disable
    dist do edge else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup
    endinterface endmodule endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask
    enum event eventually expect export extends extern final first_match for force foreach forever fork forkjoin
    function generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import
    incdir include initial inout input inside instance int integer interconnect interface intersect join join_any
    join_none large let liblist library local localparam logic longint macromodule matches medium modport module
    nand negedge nettype new nexttime nmos nor noshowcancelled not notif0 notif1 null or output package packed
    parameter pmos posedge primitive priority program property protected pull0 pull1 pulldown pullup
    pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime ref reg
    reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime
    s_until s_until_with scalared sequence shortint shortreal showcancelled signed small soft solve specify
    specparam static string strong strong0 strong1 struct super supply0 supply1 sync_accept_on sync_reject_on table
    tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg
    type typedef union unique unique0 unsigned until until_with untyped use uwire var vectored virtual void wait
    wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
    """
)
_OTHERS = _words(
    """
    axis errno hls linux main math_errhandling myproject nnet sched_priority std stderr stdin stdout unix weights
    height_factor keepdims out_shape perm sizes width_factor
    """
)
_TAKEN = CPP_KEYWORDS | VERILOG_KEYWORDS | _OTHERS
_TAKEN_FORM = re.compile(
    r"""
      (?: [abdepstwz] | br | wr | th | tl ) \d+                         # hls4ml's arrays
    | (?: [a-z]{2,} _ )* config \d+ (?: _ \w+ )?                           # hls4ml's structs
    | layer \d+ (?: _ (?: out | cpy\d* | [cht] ) )?                    # hls4ml's variables
    | \w+ _ (?: t | hls )                                              # types, and top functions
    | (?: ap | clone | hls | hwflow | nnet | repack | zp[12]d ) _ \w+   # what hls4ml and hwflow write before names
    | [msu] _ \w+                                                      # ports, streams and instances
    | [A-Z0-9_]+ | [A-Z] _ \w+                                          # macros
    """,
    re.VERBOSE,
)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_FILE_STEM = re.compile(r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)  # no file names on Windows


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Identifiers that are legal and free in C++ and SystemVerilog, one a name.

    No two are equal, not even when case is ignored; no keyword, macro, or name that hls4ml, its headers or hwflow's
    modules use is among them. What a name becomes does not depend on their order, nor on the others, unless one of
    them differs from it in case only or is just what it would become. An identifier becomes itself.

    Args:
        names: any texts; repetitions count once.
    """
    return _legal(names, is_identifier, "_")


def identifier(name: str) -> str:
    """The identifier of a name that has to differ from no other."""
    return identifiers([name])[name]


def is_identifier(name: str) -> bool:
    """Whether a name can be used as it is in C++ and SystemVerilog."""
    return bool(
        len(name) <= LONGEST
        and _IDENTIFIER.fullmatch(name)
        and name.lower() not in _TAKEN
        and not _TAKEN_FORM.fullmatch(name)
    )


def file_stems(names: Iterable[str]) -> dict[str, str]:
    """File names without suffix, one a name, legal and different on every file system, those without case included.

    Args:
        names: any texts; repetitions count once.
    """
    return _legal(names, is_file_stem, "-")


def is_file_stem(name: str) -> bool:
    """Whether a name can be that of a file everywhere."""
    return bool(len(name) <= LONGEST and _FILE_STEM.fullmatch(name) and not _DEVICE.fullmatch(name))


class Unique:
    """Hands out each name once: a name that was given before gets a number."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.lower() for name in taken}

    def __call__(self, name: str) -> str:
        """``name``, or with ``_2``, ``_3`` and so on the first that is free."""
        unique, number = name, 1
        while unique.lower() in self._taken:
            number += 1
            unique = f"{name}_{number}"
        self._taken.add(unique.lower())
        return unique


def restored(text: str, names: Mapping[str, str]) -> str:
    """A message with the users' names instead of the legal ones.

    Args:
        text: of hls4ml, of a compiler or of a simulator.
        names: legal names by the users', from :func:`identifiers`.
    """
    changed = {legal: name for name, legal in names.items() if legal != name}
    if not changed:
        return text
    longest_first = sorted(changed, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: changed[match[0]], text)


def _legal(names: Iterable[str], is_legal: Callable[[str], bool], joint: str) -> dict[str, str]:
    distinct = dict.fromkeys(names)
    folded = Counter(name.lower() for name in distinct)
    kept = {name for name in distinct if is_legal(name) and folded[name.lower()] == 1}
    taken = {name.lower() for name in kept}
    legal = {name: name for name in kept}
    for name in sorted(set(distinct) - kept):
        digits = _HASH
        while (mangled := _mangled(name, joint, digits)) in taken:
            digits += 1
        legal[name] = mangled
        taken.add(mangled)
    return {name: legal[name] for name in distinct}


def _mangled(name: str, joint: str, digits: int) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    readable = re.sub(r"[^a-z0-9]+", joint, ascii_only)[:_READABLE].strip(joint)
    # A JSON file may hold half of a surrogate pair, which is no text in UTF-8.
    hashed = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    return joint.join(part for part in ("n", readable, hashed) if part)
