"""`launch.py audit`: findings for people, for machines, as a page, as an exit code."""

import json

from init_study.diagnosis.rules import TRAPS

NET = ("--model=cnn", "--study.depth=2", "--study.width=3", "--study.seeds=3")
STUCK = ("audit", *NET, "--scheme=zeros")
FIELDS = ["program", "scheme", "id", "severity", "place", "evidence", "why", "cure"]


def is_one_line(err):
    return err.startswith("error: ") and err.count("\n") == 1


def test_findings_are_a_list_for_machines_and_a_page_that_is_not_overwritten(
    call, tmp_path
):
    code, out, err = call(*STUCK, "--json", "--page=found.html")
    found = json.loads(out)
    assert code == 0 and err == ""
    assert all(list(one) == FIELDS for one in found)
    assert {one["id"] for one in found} <= set(TRAPS)
    never = [one for one in found if one["id"] == "never-moves"]
    assert {one["severity"] for one in never} == {"error"}
    assert never[0]["place"] == "Conv_0/kernel"

    page = (tmp_path / "found.html").read_text()
    for one in found:
        assert one["id"] in page and one["place"] in page
    assert "Every parameter" in page and "Dense_0/bias" in page
    code, out, err = call(*STUCK, "--page=found.html")
    assert (code, out) == (73, "") and is_one_line(err) and "exists" in err
    code, out, err = call(*STUCK, "--page=found.pdf")
    assert (code, out) == (64, "") and is_one_line(err) and "found.html" in err
    assert page == (tmp_path / "found.html").read_text()


def test_every_parameter_has_a_rule_and_a_law(call):
    words = ("audit", *NET, "--scheme=he_normal", "--leaves")
    code, out, err = call(*words, "--json")
    found = json.loads(out)
    assert code == 0 and err == "" and list(found) == ["findings", "leaves"]
    rules = {one["parameter"]: one["rule"] for one in found["leaves"]}
    assert rules["Conv_1/kernel"] == "he_normal" and rules["Conv_1/bias"] == "zeros"
    zeros = [one for one in found["leaves"] if one["parameter"] == "Conv_1/bias"]
    assert zeros[0]["follows"].startswith("zeros")


def test_grave_findings_are_an_exit_code_where_that_is_asked_for(call):
    for asked, wanted in (
        ((), 0),
        (("--fail-on=error",), 1),
        (("--fail_on=warning",), 1),
    ):
        code, out, err = call(*STUCK, *asked)
        assert code == wanted and err == "", err
        assert "error: never-moves" in out and "why: " in out and "cure: " in out
    healthy = ("audit", *NET, "--scheme=he_normal", "--fail-on=error")
    code, out, _ = call(*healthy)
    assert code == 0 and out.startswith("he_normal on ")
    code, out, err = call("audit", "--fail-on=info")
    assert (code, out) == (64, "") and "fail_on" in err and "warning" in err
