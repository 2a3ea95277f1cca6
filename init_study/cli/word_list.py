"""Every word of the launcher, with what it does in a line."""

WORDS = {
    "run": "train a study and write its report; the word if none is given",
    "plan": "what would run, what it costs, what is done",
    "tune": "how fast each execution is on this machine",
    "status": "how far a run is",
    "report": "render the report of a run again",
    "export": "the records as a file",
    "repair": "take out what is damaged in a run, to have it run again",
    "claims": "what an introduction to initialization claims, put to the test",
    "published": "whether results of papers come out again",
    "list": "studies, results, models, data sets, initializers, schemes",
    "data": "data sets: which there are and are here; have one here; check them",
    "audit": "which traps a study or a model walks into, before it trains",
    "advise": "which scheme to try first on a model or a study, before it trains",
    "show": "what a scheme makes of a model, layer by layer",
    "gain": "what activations do to signal and gradients",
}
