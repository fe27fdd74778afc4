"""What results show in a shell, in a notebook and as rows: short, escaped, and all of it."""

import sys
from types import SimpleNamespace

import pytest

import hwflow
from hwflow.show import ROWS, Shown


class Fruit(Shown):
    def facts(self):
        return {"name": "<b>pear</b>", "weight": 0.1}

    def rows(self):
        return [{"seed": index, "sugar": index / 3, "worm": None} for index in range(ROWS + 5)]


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return hwflow.harden("digits_cnn", tmp_path_factory.mktemp("show") / "design")


def test_a_line_and_a_table() -> None:
    assert repr(Fruit()) == "Fruit(name=<b>pear</b>, weight=0.1)"
    page = Fruit()._repr_html_()
    assert "&lt;b&gt;pear" in page
    assert "<b>" not in page
    assert page.count("<tr>") == 2 + 1 + ROWS
    assert "5 more rows" in page
    assert "<td>0.3333</td>" in page
    assert "worm" not in page


def test_an_editor_is_offered_the_public_names() -> None:
    assert dir(hwflow) == sorted(hwflow.__all__)
    assert all(getattr(hwflow, name) is not None for name in hwflow.__all__)


def test_progress_in_a_notebook_needs_ipython_alone(monkeypatch) -> None:
    shown = []
    handle = SimpleNamespace(update=shown.append)
    fake = SimpleNamespace(HTML=str, display=lambda html, display_id: shown.append(html) or handle)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=fake))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with hwflow.progress_bar("reading <images>") as bar:
        bar.step("building")
        bar.advance(1, 4, "rounds")
        bar.advance(4, 4, "rounds")
    assert shown[0].startswith("reading &lt;images&gt; <progress></progress> 0:0")
    assert shown[-2].startswith('rounds <progress value="4" max="4"></progress> 100 % 0:0')
    assert shown[-1] == ""
    assert len(shown) < 5, "what comes at once is shown once"


def test_pandas(monkeypatch) -> None:
    pandas = pytest.importorskip("pandas")

    frame = Fruit().to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.shape == (ROWS + 5, 3)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(hwflow.HwflowError, match="pip install 'pandas"):
        Fruit().to_pandas()


def test_results_show_themselves(design) -> None:
    digits = hwflow.load_digits()
    images, labels = digits.images[:20], digits.labels[:20]
    result = hwflow.evaluate(design, (images, labels), ber=1e-3, rounds=3)
    assert result == hwflow.evaluate(design, hwflow.Dataset("images", images, labels), ber=1e-3, rounds=3)
    faults = hwflow.sample_ber(hwflow.memories(design.graph), 1e-3, 1, design.graph.digest)
    for shown in (design, result, faults):
        assert len(repr(shown)) < 400
        assert "\n" not in repr(shown)
        rows = shown.rows()
        assert rows
        assert len({tuple(row) for row in rows}) == 1
        assert shown._repr_html_().count("<tr>") == len(shown.facts()) + 1 + min(len(rows), ROWS)
    assert len(faults.rows()) == len(faults)
    assert [row["accuracy"] for row in result.rows()] == [draw.accuracy for draw in result.draws]


def test_every_public_name_exists_and_is_documented() -> None:
    for name in hwflow.__all__:
        if name != "__version__":
            assert getattr(hwflow, name).__doc__, name
