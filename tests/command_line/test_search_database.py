"""A search in a database: it finds itself again, and no other in its place."""

import json
from pathlib import Path

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.sweeping.search import Search
from command_line.sweeping.space import read_space
from tests.support.searches import CONFIG, quiet, space

__all__ = ["quiet", "space"]


def searched(output: Path, space: Path, database: Path, score: float = 1.0) -> Search:
    """Work on a search in a database until it has one more trial, which has a score."""
    output.mkdir(parents=True, exist_ok=True)
    search = Search(CONFIG, [], read_space(space), True, output, f"sqlite:///{database}")
    trial = search.take(100)
    assert trial is not None
    search.run_of(trial).folder.mkdir()
    search.study.tell(trial, score)
    return search


def test_folders_of_one_name_are_two_searches_in_a_database(tmp_path: Path, space: Path) -> None:
    one, two = tmp_path / "one/sweep", tmp_path / "two/sweep"
    database = tmp_path / "all.db"
    for output in (one, two, one):
        search = searched(output, space, database)
    assert sorted(folder.name for folder in one.glob("trial-*")) == ["trial-1", "trial-2"]
    assert [folder.name for folder in two.glob("trial-*")] == ["trial-1"]
    name = search.claims.study_name
    assert json.loads((one / "study.json").read_text()) == {"study": name}
    assert name.startswith("sweep-")
    assert not list(one.glob(".*"))


def test_a_search_begun_before_there_were_ids_goes_on_where_its_best_trial_is(
    tmp_path: Path, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "mine/sweep", tmp_path / "other/sweep"
    database = tmp_path / "all.db"
    with monkeypatch.context() as before:
        before.setattr("command_line.sweeping.database.study_name", lambda output, _: output.name)
        searched(mine, space, database, score=1.0)
        searched(other, space, database, score=2.0)
    with pytest.raises(MisconfigurationException, match=r"has its best trial in another folder than .*other/sweep"):
        searched(other, space, database)
    search = searched(mine, space, database)
    assert search.claims.study_name == "sweep"
    assert len(search.trials()) == 3
    assert not (mine / "study.json").exists()


def test_a_folder_keeps_to_its_database(tmp_path: Path, space: Path) -> None:
    output = tmp_path / "sweep"
    searched(output, space, tmp_path / "all.db")
    with pytest.raises(MisconfigurationException, match="holds a search in a database .*study.json.: repeat the comm"):
        Search(CONFIG, [], read_space(space), True, output)
    with pytest.raises(MisconfigurationException, match="holds trials, but the database of --storage has no search"):
        searched(output, space, tmp_path / "new.db")
    (output / "study.json").write_text("{}")
    with pytest.raises(MisconfigurationException, match="Can't read the name of the search in .*study.json"):
        searched(output, space, tmp_path / "all.db")
