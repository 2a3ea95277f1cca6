"""A damaged run, made one that goes on: what is lost is run again."""

from init_study import store
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.stages import folder_to_read, is_examination, is_race


def answer(invocation: Invocation) -> Answer:
    """Take out what is not as it was written, and say how to go on."""
    workdir = folder_to_read(invocation)
    found = store.repair(workdir)
    document = {"workdir": str(workdir), "repaired": [one._asdict() for one in found]}
    if not found:
        return Answer(document, f"{workdir}: all is as it was written")
    lines = [f"{one.place}: {one.what}" for one in found]
    if is_race(workdir) or is_examination(workdir):
        go_on = "the command that began it"
    else:
        go_on = store.read_manifest(workdir)["command"]
    notes = (f"go on with: {go_on}",)
    return Answer(document, "\n".join(lines), notes)
